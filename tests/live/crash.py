"""Commands in a child that something happens to, at a point as exact as one request.

A point is a moment before or after a line of the journal, a request to the kernel, a mount, a file
made or gone, a question to the supervisor. They are counted; at the one that is asked for the child
is killed, or gets a signal, or its disk is full from then on.
"""

from __future__ import annotations

import functools
import gc
import json
import os
import signal
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from netlab.kernel import acts, cgroups, enter, libc, names, processes, wire
from netlab.kernel.supervisor import client
from netlab.lab import journal, lifecycle
from tests.live.life import namespaces, nothing_of, seen
from tests.live.world import Said, eventually, netlab

Act = Callable[[int], object]
"""What happens at a point; it is told its number."""

WATCHED: tuple[tuple[Any, str, str], ...] = (
    (journal.Writer, "_append", "line"),
    (journal.Writer, "remove", "journal removed"),
    (acts, "_call", "call"),
    (libc, "mount", "mount"),
    (libc, "detach", "detach"),
    (libc, "unmount", "unmount"),
    (names, "prepare_directory", "prepare"),
    (names, "tidy_directory", "tidy"),
    (processes, "end", "end"),
    (enter, "run_line", "exec"),
    (client, "_launch", "launch"),
    (client.Supervisor, "ask", "ask"),
    (client, "_quit", "quit"),
    (cgroups, "clear", "cgroups"),
    (lifecycle, "_empty", "empty"),
    (os, "mkdir", "mkdir"),
    (os, "rmdir", "rmdir"),
    (os, "replace", "replace"),
    (os, "unlink", "unlink"),
)


def kill(number: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Points:
    """Counts them, in the process that it was made in."""

    def __init__(self, happens: Callable[[int, str], object]) -> None:
        self.passed: list[str] = []
        self._happens = happens
        self._process = os.getpid()
        self._lock = threading.Lock()

    def reach(self, what: str) -> None:
        if os.getpid() != self._process:
            return
        with self._lock:
            self.passed.append(what)
            number = len(self.passed)
        self._happens(number, what)

    def watch(self) -> None:
        """For the rest of this process."""
        for owner, name, what in WATCHED:
            setattr(owner, name, self._around(getattr(owner, name), what))
        wire.transact = self._one_by_one(wire.transact)  # type: ignore[assignment]

    def _around(self, act: Callable[..., Any], what: str) -> Callable[..., Any]:
        @functools.wraps(act)
        def watched(*words: Any, **more: Any) -> Any:
            self.reach(f"before {what}")
            result = act(*words, **more)
            self.reach(f"after {what}")
            return result

        return watched

    def _one_by_one(self, transact: Callable[..., Any]) -> Callable[..., Any]:
        """A batch of which the kernel has seen k requests, for every k."""

        def watched(sock: Any, requests: Sequence[Any]) -> Iterator[Any]:
            for place, request in enumerate(requests):
                self.reach("before request")
                for said in transact(sock, [request]):
                    yield said._replace(place=place)
            self.reach("after requests")

        return watched


def ran(happens: Callable[[int, str], object], *words: str | Path) -> tuple[Said, list[str]]:
    """The command in a child; how it ended (-9 when it was killed), and the points it passed."""
    inlet, outlet = os.pipe()
    pid = os.fork()
    if not pid:
        _child(happens, outlet, words)
    os.close(outlet)
    with os.fdopen(inlet) as told:
        text = told.read()
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code:
        return Said(code, "", text), []
    said, passed = json.loads(text)
    return Said(*said), passed


def _child(happens: Callable[[int, str], object], outlet: int, words: Sequence[str | Path]) -> None:
    try:
        gc.disable()
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        points = Points(happens)
        points.watch()
        said = netlab(*words)
        with os.fdopen(os.dup(outlet), "w") as tell:
            json.dump([[said.code, said.out, said.err], points.passed], tell)
        os._exit(0)
    except BaseException:
        os.write(outlet, traceback.format_exc().encode())
    finally:
        os._exit(1)


def points(*words: str | Path) -> list[str]:
    """Those of a command that nothing happens to."""
    said, passed = ran(lambda number, what: None, *words)
    assert said.code == 0, said
    return passed


def moments(*words: str | Path) -> list[int]:
    """The points of a command between which something is done: before each act, and at the end."""
    passed = points(*words)
    return [n for n, what in enumerate(passed, 1) if what.startswith("before") or n == len(passed)]


def killed(at: int, *words: str | Path) -> bool:
    """At that point; False where the command ended before (threads do not always take turns)."""
    said, _ = ran(lambda number, what: number == at and kill(number), *words)
    assert said.code in (-signal.SIGKILL, 0), said
    return said.code != 0


def look(lab: str, state: str = "/run/netlab") -> list[str]:
    """All that a lab is: what `ip` says of its nodes, switches, files, processes."""
    return [*seen(lab), *switches(lab), *files(lab, state), *programs(lab)]


def differing(lab: str, wanted: list[str], state: str = "/run/netlab") -> list[str]:
    """What is too much or missing at last: IPv6 routes come when the kernel gets to them."""
    with suppress(AssertionError):
        eventually(lambda: look(lab, state) == wanted, 2)
    now, then = Counter(look(lab, state)), Counter(wanted)
    return [*(f"+ {one}" for one in now - then), *(f"- {one}" for one in then - now)]


OF_A_NAMESPACE = ("ipv4/conf", "ipv6/conf", "ipv4/ip_default_ttl", "ipv4/ip_forward")


def switches(lab: str) -> list[str]:
    """``node path value`` of what a namespace has of its own under /proc/sys/net."""
    return [f"{ns.partition('.')[2]} {line}" for ns in namespaces(lab) for line in _switches(ns)]


def _switches(ns: str) -> list[str]:
    found: list[str] = []

    def visit() -> None:  # /proc/sys/net is that of the thread
        with open(f"/run/netns/{ns}") as file:
            libc.setns(file.fileno(), libc.CLONE_NEWNET)
        for place in OF_A_NAMESPACE:
            for directory, _, some in os.walk(f"/proc/sys/net/{place}"):
                found.extend(f"{directory}/{name} {_text(f'{directory}/{name}')}" for name in some)

    thread = threading.Thread(target=visit)
    thread.start()
    thread.join()
    return sorted(found)


def _text(path: str) -> str:
    fd = os.open(path, os.O_RDONLY)
    try:
        return os.read(fd, 4096).decode().strip()
    except OSError:
        return "not to be read"
    finally:
        os.close(fd)


def files(lab: str, state: str) -> list[str]:
    place = Path(state, lab)
    entries = [*place.glob("nodes/*"), *place.glob("hosts")]
    return sorted(f"{file.relative_to(place)} {file.read_text()}" for file in entries)


def programs(lab: str) -> list[str]:
    """``node command`` of all that stand in a node."""
    nodes = {os.stat(f"/run/netns/{ns}").st_ino: ns.partition(".")[2] for ns in namespaces(lab)}
    return sorted(f"{nodes[ino]} {_command(pid)}" for pid, ino in processes.inside(nodes))


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return "gone"


def nothing_is_left(lab: str, state: str = "/run/netlab") -> bool:
    """No name, no file, no control group, no supervisor; what it held is looked at once, later."""
    root = cgroups.root()
    return nothing_of(lab, state) and not (root and os.path.exists(f"{root}/{lab}"))
