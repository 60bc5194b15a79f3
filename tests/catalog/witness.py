"""What the catalog's checks ask of a lab: by its programs, and by judges beside netlab."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import IO, Any

from tests.live.world import NETLAB, ROOT, eventually, inside, ip, netlab

Watched = Callable[[str], list[str]]
"""The lines of a capture so far that hold a text."""

CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 1).close()
    print("connected")
except ConnectionRefusedError:
    print("refused")
except TimeoutError:
    print("silence")
"""


@dataclass(frozen=True)
class Lab:
    name: str
    stem: str
    """Its name in topologies/."""

    def ns(self, node: str) -> str:
        return f"{self.name}.{node}"

    def pings(self, node: str, to: str, *options: str) -> bool:
        return inside(self.name, node, "ping", *_ping(options), to).code == 0

    def ping_says(self, node: str, to: str, *options: str) -> str:
        return inside(self.name, node, "ping", *_ping(options), to).out

    def tcp(self, node: str, to: str, port: int) -> str:
        """How a connection ends: `connected`, `refused`, or `silence` for a second."""
        return inside(self.name, node, "python3", "-c", CONNECT, to, str(port)).out.strip()

    def neighbours(self, node: str) -> dict[str, str]:
        return {n["dst"]: n.get("lladdr", "") for n in ip(self.ns(node), "neigh")}

    def routes(self, node: str, *words: str) -> dict[str, Any]:
        return {route["dst"]: route for route in ip(self.ns(node), *words, "route")}

    def shown(self, *nodes: str) -> list[dict[str, Any]]:
        """What `netlab show` says of the nodes, of all by default."""
        found: list[dict[str, Any]] = netlab("show", self.name, "--json").json["nodes"]
        return [node for node in found if node["name"] in nodes or not nodes]

    def mac(self, node: str, interface: str) -> str:
        """As netlab shows it."""
        shown = netlab("show", self.name, node, "--json").json
        return next(str(i["mac"]) for i in shown["interfaces"] if i["name"] == interface)

    def counted(self, node: str) -> dict[str, int]:
        """Packets by the comments of the node's rules, as `netlab show --rules` tells them."""
        rules = netlab("show", self.name, node, "--rules", "--json").json["rules"]
        commented = ((re.search(r'comment "(.*)"', rule["text"]), rule) for rule in rules)
        return {said[1]: rule["packets"] for said, rule in commented if said}

    def connections(self, node: str) -> list[dict[str, Any]]:
        """As `netlab conntrack` tells them."""
        (only,) = netlab("conntrack", self.name, node, "--json").json["nodes"]
        found: list[dict[str, Any]] = only["connections"]
        return found

    @contextmanager
    def python(self, node: str, code: str, *words: str, until: str) -> Iterator[Watched]:
        """A Python program in a node; ended by SIGTERM. What it has said so far can be read."""
        command = [*NETLAB, "exec", self.name, node, "--", "python3", "-c", code, *words]
        with started(command, until=until) as output:
            yield lambda text: [line for line in output() if text in line]

    def told_commands(self) -> list[list[str]]:
        """The `netlab exec …` lines of the lab's description, as words, for this lab's name."""
        described = netlab("show", self.name, "--json").json["description"]
        found = re.findall(f"`netlab exec {self.stem} ([^`]+)`", described)
        return [["exec", self.name, *words.split()] for words in found]

    @contextmanager
    def watched(self, node: str, interface: str, what: str) -> Iterator[Watched]:
        """tcpdump, running; it is let go without having been asked."""
        command = ["tcpdump", "-n", "-e", "-l", "--immediate-mode", "-i", interface, what]
        in_node = ["ip", "netns", "exec", self.ns(node), *command]
        with started(in_node, until="listening on") as output:
            yield lambda text: [line for line in output() if text in line]

    @contextmanager
    def running(self, commands: Sequence[Sequence[str]], until: str) -> Iterator[None]:
        """Commands of netlab, each until it has said something; ended by SIGTERM."""
        with ExitStack() as stack:
            for words in commands:
                stack.enter_context(started([*NETLAB, *words], until=until))
            yield


def _ping(options: Sequence[str]) -> list[str]:
    return ["-n", "-c1", "-W2", *options]


@contextmanager
def started(command: Sequence[str], until: str) -> Iterator[Callable[[], list[str]]]:
    """A program that has said ``until``; what is given reads the lines it has said so far."""
    with tempfile.TemporaryFile("w+") as said:
        program = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, cwd=ROOT)
        try:
            eventually(lambda: until in _text(said) or program.poll() is not None)
            assert until in _text(said), _text(said)
            yield lambda: _text(said).splitlines()
        finally:
            program.terminate()
            program.wait(10)


def _text(file: IO[str]) -> str:
    """Without moving the place that the program, too, writes at."""
    return os.pread(file.fileno(), 1 << 20, 0).decode()


def renamed(stem: str, name: str) -> str:
    """A topology's text under another name."""
    text = (ROOT / "topologies" / f"{stem}.yaml").read_text()
    assert text.startswith(f"name: {stem}\n")
    return text.replace(f"name: {stem}\n", f"name: {name}\n", 1)
