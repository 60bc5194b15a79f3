"""Rulesets in namespaces of their own, held against ``nft``."""

from __future__ import annotations

import difflib
import re
import socket
import subprocess
import threading
from collections.abc import Callable
from typing import TypeVar

from netlab.firewall.compile import compile_script
from netlab.firewall.listing import list_ruleset
from netlab.firewall.parse import parse
from netlab.firewall.transaction import commit
from netlab.kernel.libc import CLONE_NEWNET, unshare

T = TypeVar("T")
_NETFILTER = 12


def in_a_namespace(do: Callable[[], T]) -> T:
    """Do it in a thread with a network namespace of its own; it ends with the thread."""
    result: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            unshare(CLONE_NEWNET)
            for pair in (("d0", "d1"), ("eth0", "eth1")):
                tool("ip", "link", "add", pair[0], "type", "veth", "peer", "name", pair[1])
            result.append(do())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return result[0]


def tool(*command: str, text: str = "") -> str:
    ended = subprocess.run(command, input=text, capture_output=True, text=True, errors="replace")
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def declined(text: str) -> str:
    """Why ``nft`` does not load a text; "" if it does, and nothing else is loaded then."""
    tool("nft", "flush", "ruleset")
    ended = subprocess.run(["nft", "-f", "-"], input=text, capture_output=True, text=True)
    return ended.stderr or str(ended.returncode) if ended.returncode else ""


def links() -> dict[str, int]:
    return {name: index for index, name in socket.if_nameindex()}


def channel() -> socket.socket:
    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER)
    opened.bind((0, 0))
    return opened


def load(text: str, file: str = "rules.nft") -> None:
    """By our own compiler."""
    batch = compile_script(parse(text, file), links=links())
    with channel() as sock:
        commit(sock, batch)


def load_afresh(text: str) -> None:
    tool("nft", "flush", "ruleset")
    load(text)


def own_listing() -> str:
    with channel() as sock:
        return without_clocks(list_ruleset(sock, links()))


def listing() -> str:
    return without_clocks(tool("nft", "list", "ruleset"))


def without_clocks(text: str) -> str:
    return re.sub(r" expires [0-9a-z]+", "", text)


def bytecode() -> str:
    """Expressions without handles; elements in order, since the kernel's is by hash."""
    text = tool("nft", "--debug=netlink", "list", "ruleset").partition("\ntable ")[0]
    text = re.sub(r"^(\S+ \S+ \S+) \d+( \d+)?$", r"\1", text, flags=re.MULTILINE)
    lines: list[str] = []
    elements: list[str] = []
    for line in without_clocks(text).splitlines():
        if line.startswith("\telement"):
            elements.append(line)
        else:
            lines += [*sorted(elements), line]
            elements = []
    return "\n".join([*lines, *sorted(elements)])


def judge(text: str) -> dict[str, list[str]]:
    """Lines that differ from nft's: (a) in nft's listing after our load, (b) in the bytecode,
    (c) in our own listing, (d) when that is loaded again.
    """
    assert not declined(text)
    listed, code, own = listing(), bytecode(), own_listing()
    again = listed if declined(listed) else listing()
    load_afresh(text)
    found = {"a": _unlike(listed, listing()), "b": _unlike(code, bytecode())}
    found["c"] = _unlike(listed, own)
    load_afresh(own)
    reloaded = listing()
    found["d"] = _unlike(listed, reloaded) and _unlike(again, reloaded)
    return found


def _unlike(left: str, right: str) -> list[str]:
    lines = difflib.unified_diff(left.splitlines(), right.splitlines(), lineterm="", n=0)
    return [line for line in list(lines)[2:] if not line.startswith("@@")]
