"""A lab in Python: up, looked at and tried from inside, and down again.

    from netlab import Lab

    with Lab("topologies/nat-gateway.yaml") as lab:
        assert lab["alice"].ping("web")
        assert lab["alice"].tcp("web", 80) == "connected"
        print(lab["gw"].run("cat", "/proc/net/route").stdout)

Nothing here starts a thread or a process before it is asked to, and `down` leaves nothing. Errors
are those of ``netlab.errors``; their text is a sentence for people.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, TypeVar

from netlab.errors import LabNotFound, UsageError

if TYPE_CHECKING:
    from netlab.bundle.recent import Recent
    from netlab.cli.work import Read
    from netlab.kernel.traffic import Traffic
    from netlab.kernel.visits import Visits
    from netlab.lab.lifecycle import Done
    from netlab.lab.portrait import Portrait
    from netlab.matrix.model import Matrix

__all__ = ["Lab", "Link", "Node"]

T = TypeVar("T")

SECONDS = 60.0
"""How long a command in a node may take unless another time is given."""


class Lab:
    """A lab of one topology, up between ``up`` and ``down``, or within a ``with`` block."""

    def __init__(
        self,
        topology: str | os.PathLike[str] | Mapping[str, Any],
        *,
        name: str = "",
        owner: int = 0,
    ):
        """``topology`` is a file, YAML text (which has line ends), or what YAML would become.

        ``name`` is the lab's instead of the file's own, so that one topology can be up twice.
        ``owner`` is a process with which the lab ends, however that one ends.
        """
        self._owners = (owner,) if owner else ()
        self._topology = topology
        self._wanted = name
        self._stack = ExitStack()
        self._path = ""
        self._read: Read | None = None
        self._drawn: Portrait | None = None
        self._visits: Visits | None = None
        self._downed: set[tuple[str, str]] = set()
        self._recent: Recent | None = None
        self._carried: dict[str, dict[str, Traffic]] = {}
        """At the last reset."""

    # its life

    def up(self) -> Lab:
        """Bring it up, or to what the topology says now. Raises NetlabError, and walks back."""
        from netlab.cli import lease
        from netlab.cli.work import read

        lease.check(*self._owners)
        is_first = self._read is None
        try:
            self._path = self._path or self._file(self._stack)
            self._read, self._drawn = read(self._path, name=self._wanted), None
            self._brought_up()
        except BaseException:
            if is_first:  # nobody will take down what never came up
                self._stack.close()
                self._path, self._read = "", None
            raise
        return self

    def _brought_up(self) -> Done:
        from netlab.cli import lease
        from netlab.cli.work import ground, located
        from netlab.errors import NetlabError
        from netlab.lab import lifecycle

        here, wanted = ground(), self._known()
        try:
            done = lifecycle.up(here, wanted.wanted)
            if done.road.is_new:
                lease.begin(here.state, done, self._owners)
        except NetlabError as failure:
            raise located(failure, wanted) from None
        finally:
            here.machine.close()
        return done

    def lacks(self) -> list[str]:
        """What this machine lacks for it, as ``netlab doctor FILE`` tells: a sentence each."""
        from netlab.cli.diagnosis import diagnose, lacking

        with ExitStack() as stack:
            file = self._path or self._file(stack)
            return lacking(diagnose(file)[1])

    def down(self) -> None:
        """Take it down. One that is not up is down."""
        from netlab.cli.work import ground
        from netlab.lab import lifecycle

        self._still()
        self._stack.close()
        self._visits, self._path = None, ""
        if self._read is not None:
            here = ground()
            try:
                lifecycle.down(here, self.name)
            except LabNotFound:
                return
            finally:
                here.machine.close()

    def __enter__(self) -> Lab:
        return self.up()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.down()

    def reset(self) -> tuple[str, ...]:
        """A clean baseline: as the topology says, and nothing learned or counted.

        Devices are switched on or off as they were, and addresses, routes, devices and nodes that
        somebody took away are there again. Tracked connections, neighbours and what switches have
        learned are forgotten, counters and quotas of nftables are zero, and so is ``traffic``.
        What somebody added by hand stays, and processes go on. What this kernel cannot take back
        is returned, a sentence each.
        """
        from netlab.kernel.traffic import traffic
        from netlab.lab import baseline

        wanted = self._known().wanted
        if self._brought_up().road.plan:
            self._visits = None  # there may be other namespaces now
        if baseline.switch(wanted, self._inside()):
            self._brought_up()
        self._downed.clear()
        lacks = baseline.forget(wanted, self._inside())
        self._carried = {name: self.inside(name, traffic) for name in self.nodes}
        return tuple(lacks)

    # when something fails

    def record(self, seconds: float = 10.0) -> None:
        """Keep the packets of the last seconds from now on, for ``bundle``.

        Of each interface in the nodes that there are now; no more than a little of the processor
        and of memory is spent on it, and what comes too fast for that is counted as lost.
        """
        from netlab.cli.bundle import heard

        self._still()
        self._recent = heard(self.name, seconds)

    def bundle(self, directory: str | os.PathLike[str], *, title: str = "", text: str = "") -> Path:
        """Write down all that there is of the lab in a directory; its index, to be read first.

        ``title`` says what failed, ``text`` how. Packets are part of it after ``record``, which
        ends with that.
        """
        from netlab.bundle.index import Why
        from netlab.cli.bundle import bundle

        recent, self._recent = self._recent, None
        try:
            return Path(bundle(self.name, os.fspath(directory), Why(title, text), recent))
        finally:
            if recent is not None:  # of a lab that somebody took down there is no bundle
                recent.close()

    def _still(self) -> None:
        if self._recent is not None:
            self._recent.close()
            self._recent = None

    # its parts

    @property
    def name(self) -> str:
        return self._known().wanted.lab

    @property
    def nodes(self) -> list[str]:
        """Their names, in the file's order."""
        return list(self._known().wanted.nodes)

    def __getitem__(self, node: str) -> Node:
        """Raises LabNotFound where there is no such node."""
        if node not in self._known().wanted.nodes:
            raise LabNotFound(f"lab {self.name} has no node {node}")
        return Node(self, node)

    def __iter__(self) -> Iterator[Node]:
        return (Node(self, name) for name in self.nodes)

    def link(self, a: str, b: str) -> Link:
        """The link between two nodes, or between ``node:interface`` and another one.

        Raises UsageError where there is none, or where there are several.
        """
        found = [ends for ends in self._picture().links if _fits(ends, a, b) or _fits(ends, b, a)]
        if len(found) != 1:
            count = "no" if not found else f"{len(found)}"
            raise UsageError(f"lab {self.name} has {count} links between {a} and {b}")
        return Link(self, found[0])

    def inside(self, node: str, act: Callable[[], T]) -> T:
        """What ``act`` returns, called by a thread that stands in the node's network namespace.

        Sockets that it opens are the node's, wherever they are used afterwards.
        """
        return self._inside().at(f"{self.name}.{node}", act)

    def _inside(self) -> Visits:
        if self._visits is None:
            from netlab.kernel.visits import visiting

            self._visits = self._stack.enter_context(visiting(self._identities()))
        return self._visits

    def matrix(
        self, *, tcp: Sequence[int] = (), udp: Sequence[int] = (), version: int = 0
    ) -> Matrix:
        """Every node asks every other one, by ping unless ports are given; all side by side.

        ``lab.matrix().of("ping")["client", "db"].word`` is ``answered``, ``denied`` or another
        word of ``netlab.matrix.model.MEANING``.
        """
        from netlab.matrix.take import PING, Probe, Questions, take
        from netlab.trace import terrain

        probes = [*(Probe("tcp", port) for port in tcp), *(Probe("udp", port) for port in udp)]
        spots = terrain.of_lab(self._picture(), self._known().wanted.inventory)
        return take(spots, self, Questions(tuple(probes) or (PING,), version))

    def addresses(self, node: str) -> list[str]:
        """Of a node, without prefix lengths, in the order of its interfaces."""
        interfaces = self._picture().nodes[node].interfaces
        return [a.partition("/")[0] for i in interfaces for a in i.addresses]

    def _known(self) -> Read:
        if self._read is None:
            raise UsageError("this lab is not up", hint="`with Lab(…) as lab:`, or lab.up()")
        return self._read

    def _picture(self) -> Portrait:
        if self._drawn is None:
            from netlab.lab.glance import Header, Summary
            from netlab.lab.portrait import portrait

            wanted = self._known().wanted
            header = Header(wanted.lab, "", wanted.file, wanted.digest)
            summary = Summary(nodes=wanted.nodes, links=wanted.links)
            self._drawn = portrait(header, summary, wanted.inventory, {})
        return self._drawn

    def _identities(self) -> dict[str, int]:
        """By namespace."""
        from netlab.cli.which import identities_of

        found = identities_of(self.name, self.nodes)
        return {f"{self.name}.{node}": told for node, told in found.items()}

    def _switch_on(self, ends: Collection[tuple[str, str]]) -> None:
        """And what the kernel took away with them: routes, and IPv6's addresses."""
        if ends:
            for node, device in sorted(ends):
                self._switch(node, device, True)
            self.up()

    def _switch(self, node: str, device: str, up: bool) -> None:
        self.inside(node, lambda: _switch(device, up))
        (self._downed.discard if up else self._downed.add)((node, device))

    def _file(self, stack: ExitStack) -> str:
        """``stack``: when it closes, a file that was made for it goes."""
        if isinstance(self._topology, os.PathLike):
            return os.fspath(self._topology)
        if isinstance(self._topology, str) and "\n" not in self._topology:
            return self._topology
        import yaml

        text = self._topology
        if not isinstance(text, str):
            text = yaml.safe_dump(dict(text), sort_keys=False)
        directory = tempfile.mkdtemp(prefix="netlab-")
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        named = re.search(r"^name: *([a-z0-9-]+)", text, re.M)
        file = Path(directory, f"{named[1] if named else 'lab'}.yaml")
        file.write_text(text)
        return str(file)


class Node:
    """A node of a lab that is up."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.lab = lab
        self.name = name

    @property
    def namespace(self) -> str:
        """As ``ip netns`` knows it."""
        return f"{self.lab.name}.{self.name}"

    @property
    def addresses(self) -> list[str]:
        return self.lab.addresses(self.name)

    def traffic(self) -> dict[str, Traffic]:
        """What its interfaces have carried since the last reset, else since they were made.

        ``lab["gw"].traffic()["wan"].tx_packets``
        """
        from netlab.kernel.traffic import Traffic, traffic

        before = self.lab._carried.get(self.name, {})
        now = self.lab.inside(self.name, traffic)
        return {name: t.since(before.get(name, Traffic())) for name, t in now.items()}

    def popen(self, *command: str, **more: Any) -> subprocess.Popen[Any]:
        """A program in the node, with its hosts file, its environment and its files."""
        return subprocess.Popen([*self._into(), *command], **more)

    def run(
        self,
        *command: str,
        check: bool = True,
        timeout: float = SECONDS,
        input: str | None = None,
        stdin: int | IO[Any] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end; what it said is in ``stdout`` and ``stderr``.

        Raises subprocess.CalledProcessError unless ``check`` is False, and TimeoutExpired.
        """
        ended = subprocess.run(
            [*self._into(), *command],
            check=False,
            timeout=timeout,
            input=input,
            stdin=stdin if input is None else None,
            capture_output=True,
            text=True,
        )
        if check and ended.returncode:
            failure = subprocess.CalledProcessError(
                ended.returncode, ended.args, ended.stdout, ended.stderr
            )
            failure.add_note(f"{self.name} said: {(ended.stderr or ended.stdout).strip()}")
            raise failure
        return ended

    def _into(self) -> Sequence[str]:
        return [sys.executable, "-m", "netlab", "exec", self.lab.name, self.name, "--"]

    def ping(self, to: str, *, within: float = 2.0, version: int = 0) -> bool:
        """Whether a node or an address answers an echo request; asked again until it does."""
        from netlab.attempts import ping

        return ping(self.lab, self.name, self._address(to, version), within)

    def pings(
        self, to: Iterable[str] = (), *, within: float = 1.5, version: int = 0
    ) -> dict[str, str]:
        """What nodes or addresses answer, all others without ``to``; they are asked side by side.

        By their names ``answered``, ``denied`` for silence, or why not, as in a matrix.
        """
        from netlab.matrix.pairs import Pair
        from netlab.matrix.take import ask

        names = list(to) or [name for name in self.lab.nodes if self._is_asked(name, version)]
        pairs = [Pair(self.name, name, self._address(name, version)) for name in names]
        found = ask(self.lab, self.lab.nodes, pairs, patience=within)
        return {name: found[place].word for place, name in enumerate(names)}

    def _is_asked(self, name: str, version: int) -> bool:
        own = (":" in address for address in self.lab.addresses(name))
        return name != self.name and any(not version or is_6 == (version == 6) for is_6 in own)

    def tcp(self, to: str, port: int, *, within: float = 1.0, version: int = 0) -> str:
        """``connected``, ``refused``, ``denied`` (no answer in time), ``unreachable``.

        ``to`` is a node or an address, ``within`` seconds.
        """
        from netlab.attempts import connect

        return connect(self.lab, self.name, self._address(to, version), port, within)

    def _address(self, to: str, version: int) -> str:
        if to not in self.lab.nodes:
            return _given(to, self.lab.name)
        found = [a for a in self.lab.addresses(to) if not version or (":" in a) == (version == 6)]
        if not found:
            raise UsageError(f"{to} has no address" + (f" of IPv{version}" if version else ""))
        return found[0]


def _given(address: str, lab: str) -> str:
    """A name that is no node's must not be looked up by the machine, which may know it."""
    from ipaddress import ip_address

    try:
        ip_address(address)
    except ValueError:
        hint = "a target is the name of a node, or an address"
        raise LabNotFound(f"lab {lab} has no node {address}", hint=hint) from None
    return address


class Link:
    """A link of a lab that is up."""

    def __init__(self, lab: Lab, ends: tuple[str, str]) -> None:
        self._lab = lab
        self.ends = ends
        """As ``node:interface``."""

    def down(self) -> None:
        """Switch both ends off; with them the kernel takes away the routes over them."""
        for node, device in self._places:
            self._lab._switch(node, device, False)

    def up(self) -> None:
        """As it was: switched on, with its addresses and the routes over it."""
        self._lab._switch_on(self._places)

    @property
    def _places(self) -> list[tuple[str, str]]:
        return [(node, device) for node, _, device in (end.partition(":") for end in self.ends)]


def _fits(ends: tuple[str, str], a: str, b: str) -> bool:
    return all(
        end == word or end.partition(":")[0] == word for end, word in zip(ends, (a, b), strict=True)
    )


def _switch(device: str, up: bool) -> None:
    import socket

    from netlab.kernel import links
    from netlab.kernel.wire import open_socket, transact

    with open_socket() as sock:
        for said in transact(sock, [links.set_up(socket.if_nametoindex(device), up)]):
            raise OSError(said.errno, said.words)
