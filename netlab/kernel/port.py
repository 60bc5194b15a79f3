"""The verbs netlab asks of a kernel.

Each verb is one request in the namespace named first. Verbs only queue; ``flush`` is the barrier
after which everything queued has been done or refused. Names are namespace names as under
``/run/netns``; devices are named, their indexes are the kernel room's own business.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from netlab.kernel.connection import Tracked
    from netlab.kernel.opened import Socket
    from netlab.kernel.values import (
        Held,
        HeldRule,
        NextHop,
        Noted,
        Options,
        Running,
        Table,
        VethEnd,
    )


class Kernel(Protocol):
    """Deleting what is not there is done; creating what is there is refused.

    But a neighbour takes the place of the one there, and a forwarding entry joins those there.
    """

    def begin(self, token: object) -> None:
        """Verbs from here on belong to ``token``, which a refusal carries."""

    def flush(self) -> None:
        """Do what is queued. Raises the first refusal; the queues are empty afterwards."""

    def insist(self) -> None:
        """From here on programs run to their end, whoever asks to stop."""

    # namespaces
    def most_namespaces(self) -> int:
        """How many ``make_namespaces`` can hold: open files are limited."""

    def make_namespaces(self, names: Sequence[str]) -> Mapping[str, int]:
        """Nameless namespaces that die with this process unless named; their inode numbers.

        At once, not queued: the numbers are journalled before ``add_namespace`` names them.
        """

    def add_namespace(self, ns: str) -> None:
        """Name a namespace made before: lo up, the sysctls of ``BASELINE`` set."""

    def del_namespace(self, ns: str) -> None:
        """End the processes inside, then take the name away; only if its inode is ``owned``."""

    def own(self, inodes: Mapping[str, int]) -> None:
        """The namespaces that are this lab's, by inode: all other ones are refused."""

    # devices
    def add_veth(self, a: VethEnd, b: VethEnd) -> None: ...
    def add_device(
        self, ns: str, name: str, kind: str, mac: str, mtu: int, up: bool, options: Options
    ) -> None:
        """``kind`` is bridge or vxlan; a bridge's ``options`` may be set again by ``set_device``.

        ``mac`` "" and ``mtu`` 0 leave the choice to the kernel.
        """

    def add_tun(
        self, ns: str, name: str, mode: str, mac: str, mtu: int, up: bool, options: Options
    ) -> None:
        """A persistent tun or tap device (``mode``); options: owner, group (ids), multi_queue."""

    def set_device(self, ns: str, name: str, kind: str, options: Options) -> None: ...
    def set_mtu(self, ns: str, name: str, mtu: int) -> None: ...
    def del_device(self, ns: str, name: str) -> None: ...
    def set_offload(self, ns: str, name: str, feature: str, on: bool) -> None: ...

    # bridges
    def set_master(self, ns: str, name: str, master: str) -> None:
        """``master`` "" releases the port."""

    def set_port(self, ns: str, name: str, options: Options) -> None:
        """Bridge port settings: cost, priority, isolated, learning, hairpin, flood …"""

    def add_fdb(self, ns: str, name: str, mac: str, remote: str) -> None: ...
    def del_fdb(self, ns: str, name: str, mac: str, remote: str) -> None: ...

    # layer 3
    def add_address(self, ns: str, name: str, cidr: str) -> None: ...
    def del_address(self, ns: str, name: str, cidr: str) -> None: ...
    def add_route(
        self,
        ns: str,
        to: str,
        hops: Sequence[NextHop],
        kind: str,
        table: int,
        metric: int,
        source: str,
        replace: bool,
    ) -> None:
        """``to`` is always a prefix (``0.0.0.0/0``); ``kind`` unicast, blackhole, unreachable, …"""

    def del_route(
        self,
        ns: str,
        to: str,
        kind: str,
        table: int,
        metric: int,
        hops: Sequence[NextHop] = (),
    ) -> None:
        """``hops`` tell it from one of another metric; without them it is told by all else."""

    def add_rule(self, ns: str, family: int, options: Options) -> None: ...
    def del_rule(self, ns: str, family: int, options: Options) -> None: ...
    def add_neighbour(self, ns: str, name: str, to: str, mac: str, proxy: bool) -> None: ...
    def del_neighbour(self, ns: str, name: str, to: str, proxy: bool) -> None: ...
    def set_sysctl(self, ns: str, name: str, value: str) -> None: ...
    def reset_sysctl(self, ns: str, name: str, otherwise: str = "") -> None:
        """Back to ``otherwise``; "" for what a fresh namespace has."""

    def set_rules(self, ns: str, before: str, after: str) -> None:
        """From one nftables ruleset to another in one transaction; "" is none.

        JSON text, see ``netlab.resources.firewall``. A refusal names the rule's file and line.
        """

    # what a process in a node sees
    def write_entry(self, ns: str, entry: str) -> None:
        """What ``enter`` needs to know of a node (JSON text; see ``netlab.kernel.enter``)."""

    def del_entry(self, ns: str) -> None: ...
    def write_hosts(self, lab: str, text: str) -> None:
        """The lab's ``/etc/hosts``, shared by its nodes."""

    def del_hosts(self, lab: str) -> None: ...
    def start_supervisor(self, lab: str) -> None:
        """What looks after the lab's processes, in a process of its own."""

    def stop_supervisor(self, lab: str) -> None: ...
    def start_process(self, ns: str, name: str, spec: str, turn: int) -> None:
        """Start it and wait until it is ready; those of one turn side by side.

        ``spec`` is JSON text, see ``netlab.resources.process``. CommandFailed where it does not
        start, or is not ready in time.
        """

    def set_process(self, ns: str, name: str, spec: str) -> None:
        """How it is looked after from now on; it goes on running."""

    def stop_process(self, ns: str, name: str, turn: int, forget: bool = True) -> None:
        """Ask it to end, kill it after its grace; ``forget`` what is known of it."""

    def run(self, ns: str, command: str) -> None:
        """Run a shell line in the node and wait; a non-zero exit is ``CommandFailed``."""


class Machine(Protocol):
    """The Linux machine that labs are on: where kernels come from, and what outlives them."""

    def admit(self) -> None:
        """Raises MachineLacks where this process may not build labs."""

    @property
    def boot(self) -> str:
        """The running boot's id: namespaces of another boot are gone."""

    def kernel(self, lab: str, should_stop: Callable[[], bool]) -> AbstractContextManager[Kernel]:
        """A kernel to build one lab with."""

    def taker(self, lab: str) -> AbstractContextManager[Kernel]:
        """One of which only what outlives namespaces is asked to go: it is loaded much sooner."""

    def foresee(self, namespaces: int) -> None:
        """So many will be asked for soon: what can be done ahead may begin."""

    def close(self) -> None:
        """Give back what was done ahead and not asked for."""

    def standing(self, inodes: Mapping[str, int]) -> frozenset[str]:
        """The namespaces that are still there under their names."""

    def held(
        self,
        inodes: Mapping[str, int],
        tables: Mapping[str, Collection[Table]],
        ruled: Collection[str],
    ) -> Mapping[str, Held | None]:
        """What those of these namespaces hold that are still there; routes, of their ``tables``,
        and of those that are ``ruled`` nftables' tables too.

        None for one that this process may not enter.
        """

    def rules(self, ns: str, identity: int, spec: str) -> Sequence[HeldRule]:
        """The nftables rules of a namespace; ``spec`` is the text that made them, or "".

        Raises KernelRefused where it is not the one, MachineLacks.
        """

    def connections(self, inodes: Mapping[str, int]) -> Mapping[str, Tracked]:
        """What the namespaces track. Raises KernelRefused where one is not it, MachineLacks."""

    def forget_connections(self, inodes: Mapping[str, int]) -> Mapping[str, int]:
        """Empty their tables; how many connections were in each. Raises as ``connections``."""

    def sockets(self, inodes: Mapping[str, int]) -> Mapping[str, Sequence[Socket]]:
        """What programs have open in the namespaces. Raises as ``connections``."""

    def stands_in(self, inodes: Mapping[str, int]) -> str:
        """The namespace among these that this process is in, or ""."""

    def processes(self, lab: str) -> Mapping[tuple[str, str], Running]:
        """By node and name; what has never been started is not among them."""

    def last_words(self, lab: str, node: str, process: str) -> Sequence[str]:
        """The last five lines that it has said; none where there is no log."""

    def note(self) -> Noted:
        """What a lab could leave on the machine, as it is now; takes about a millisecond."""

    def tidy(self) -> None:
        """Give back what was made for labs in general, if no lab is left."""

    def settle(self) -> None:
        """Wait until the kernel has cleaned up the namespaces that were taken down."""
