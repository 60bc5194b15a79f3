"""`netlab capture` at work, and traffic for it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.live.world import NETLAB, ROOT, eventually
from tests.trace.reader import File, read

CHAIN = """\
nodes: {h1: , r: {kind: router}, h2: }
links: [["h1:eth0 10.0.0.1/24", "r:a 10.0.0.2/24"], ["r:b 10.0.1.2/24", "h2:eth0 10.0.1.1/24"]]
routing: static
"""
"""h1 ── r ── h2"""

SEND = """\
import socket, sys
to, port, count, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for number in range(count):
    sock.sendto(number.to_bytes(4, 'big').ljust(size, b'.'), (to, port))
"""


@dataclass
class Capture:
    """A running one."""

    program: subprocess.Popen[bytes]
    out: bytes = b""
    err: bytes = b""
    code: int = -1

    def wait(self, seconds: float = 20.0) -> Capture:
        self.out, rest = self.program.communicate(timeout=seconds)
        self.err += rest
        self.code = self.program.returncode
        return self

    def end(self, number: int) -> Capture:
        self.program.send_signal(number)
        return self.wait()

    @property
    def lines(self) -> list[str]:
        return self.out.decode().splitlines()

    @property
    def said(self) -> list[str]:
        """On standard error, but for the first line."""
        return self.err.decode().splitlines()[1:]


@contextmanager
def capturing(lab: str, *words: str | Path, stdout: int | None = None) -> Iterator[Capture]:
    """From when it listens until it has ended, or is killed."""
    command = [*NETLAB, "capture", lab, *map(str, words)]
    program = subprocess.Popen(
        command, stdout=stdout or subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    )
    try:
        assert program.stderr
        first = program.stderr.readline()
        assert first.startswith(b"capturing "), first + program.stderr.read()
        yield Capture(program, err=first)
    finally:
        if program.poll() is None:
            program.kill()
        program.communicate()


def inside(lab: str, node: str, *command: str) -> str:
    """What a program says that must succeed in a node."""
    words = ["ip", "netns", "exec", f"{lab}.{node}", *command]
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout


def send(lab: str, node: str, to: str, port: int, count: int = 1, size: int = 4) -> None:
    """So many numbered UDP packets."""
    inside(lab, node, "python3", "-c", SEND, to, str(port), str(count), str(size))


def written(path: Path) -> File:
    return read(path.read_bytes())


def grows_to(path: Path, packets: int) -> None:
    """Waits until a file that is being written has so many packets."""
    eventually(lambda: len(written(path).packets) >= packets, 10.0)
