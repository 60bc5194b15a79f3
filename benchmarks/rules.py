"""Rules: netlab's own way into the kernel against libnftables', and what rules add to a lab.

    python -m benchmarks.rules           the section of docs/benchmark.md
    python -m benchmarks.rules CONTESTANT FILE    one load in a namespace of its own, timed
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.measure import Cost, Round, interleaved, run

ROOT = Path(__file__).parents[1]
NETLAB = [sys.executable, "-m", "netlab"]
ROUNDS = 7
FEW_ROUNDS = 5
MANY = 500
SET, RULES = 10_000, 1_000

PLAIN = ("tcp dport {n} counter accept",)
EVERYDAY = (
    *PLAIN,
    "ip saddr 10.{a}.{b}.0/24 tcp dport {{ 22, 80, {n} }} accept",
    'iifname "eth{n}" ct state established,related counter accept',
    'ip saddr 10.0.{a}.{b} udp dport {n}-2000 log prefix "x {n}" drop',
    "ip6 daddr 2001:db8::{n:x} tcp flags syn / syn,ack limit rate 10/second accept",
    "ip saddr @hosts tcp dport {n} jump other",
    'meta mark {n} meta l4proto udp counter comment "rule {n}"',
    "icmp type echo-request ip daddr 192.0.2.{b} reject",
)
RULESETS = {"plain rules": PLAIN, "everyday rules": EVERYDAY}
NINE = """\
table inet filter {
  set admins { type ipv4_addr; elements = { ADDRESS, 192.0.2.2 } }
  chain input {
    type filter hook input priority filter; policy accept;
    ct state established,related counter accept
    ct state invalid drop
    iif "lo" accept
    icmp type echo-request limit rate 10/second accept
    tcp dport { 22, 80, 443 } accept
    ip saddr @admins tcp dport 8080 accept
    udp dport 53 counter accept
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    ct state established,related accept
    tcp flags syn tcp option maxseg size set rt mtu
  }
}
"""

Loads = Mapping[str, Mapping[str, Cost]]
Labs = Mapping[str, Cost]


def compare(place: Path) -> tuple[Loads, Labs]:
    """Each ruleset by each contestant; a lab without rules, with the same, and with own ones."""
    print("rules …", file=sys.stderr, flush=True)
    loads = {what: interleaved(ROUNDS, _loaders(place, what)) for what in RULESETS}
    labs = interleaved(FEW_ROUNDS, [_lab(place, what) for what in _LABS])
    return loads, labs


def section(loads: Loads, labs: Labs) -> list[str]:
    """Of docs/benchmark.md."""
    lines = ["## Rules", ""]
    lines += [f"{RULES:,} rules and a set of {SET:,} addresses, in one text: parsed, compiled,"]
    lines += ["loaded in one transaction, by netlab and by libnftables (ctypes, in a Python"]
    lines += ["process too). Interpreters and libraries are loaded before the clock starts.", ""]
    lines += ["| text | loaded by | wall ms | of libnftables | CPU ms |", "|---|---|--:|--:|--:|"]
    for what, costs in loads.items():
        for who, cost in costs.items():
            ratio = cost.wall / costs["libnftables"].wall
            lines.append(f"| {what} | {who} | {cost.wall * 1000:.1f} | {ratio:.2f} |"
                         f" {cost.cpu * 1000:.1f} |")  # fmt: skip
    lines += ["", f"`netlab up` of a ring of {MANY} routers, each with nine rules and a set:", ""]
    lines += ["| lab | wall s | CPU s | added, wall ms a node |", "|---|--:|--:|--:|"]
    none = next(iter(labs.values()))
    for what, cost in labs.items():
        added = (cost.wall - none.wall) / MANY * 1000
        lines.append(f"| {what} | {cost.wall:.3f} | {cost.cpu:.3f} | {added:.2f} |")
    return [*lines, ""]


# ---- one large ruleset


def ruleset(kinds: tuple[str, ...]) -> str:
    hosts = ",\n      ".join(f"10.{n >> 8}.{n & 255}.1" for n in range(SET))
    rules = "\n    ".join(
        kinds[n % len(kinds)].format(n=n, a=n >> 8, b=n & 255) for n in range(1, RULES + 1)
    )
    return (
        f"table inet t {{\n  set hosts {{\n    type ipv4_addr\n    elements = {{ {hosts} }}\n  }}\n"
        f"  chain other {{\n  }}\n  chain input {{\n    type filter hook input priority filter\n"
        f"    {rules}\n  }}\n}}\n"
    )


def _loaders(place: Path, what: str) -> list[Round]:
    file = place / f"{what.replace(' ', '-')}.nft"
    file.write_text(ruleset(RULESETS[what]))
    return [lambda who=who: {who: _load(who, file)} for who in LOADERS]  # type: ignore[misc]


def _load(who: str, file: Path) -> Cost:
    told = run([sys.executable, "-m", "benchmarks.rules", who, str(file)], cwd=ROOT)
    wall, cpu = map(float, told.said.split())
    return Cost(wall, cpu, told.memory)


def _by_netlab() -> Callable[[str], None]:
    from netlab.firewall.compile import compile_script
    from netlab.firewall.parse import parse
    from netlab.firewall.transaction import commit
    from netlab.kernel.rules import NETLINK_NETFILTER

    def load(text: str) -> None:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as sock:
            commit(sock, compile_script(parse(text)))

    return load


def _by_libnftables() -> Callable[[str], None]:
    import ctypes

    from netlab.kernel import libnftables

    ctypes.CDLL(libnftables.LIBRARY)

    def load(text: str) -> None:
        if said := libnftables.run(text):
            raise SystemExit(said)

    return load


LOADERS = {"netlab": _by_netlab, "libnftables": _by_libnftables}


def timed(who: str, file: Path) -> str:
    """Seconds of wall and of CPU that one load takes in a fresh namespace."""
    from netlab.kernel.libc import CLONE_NEWNET, unshare

    load, text = LOADERS[who](), file.read_text()
    unshare(CLONE_NEWNET)
    start, busy = time.perf_counter(), time.process_time()
    load(text)
    return f"{time.perf_counter() - start} {time.process_time() - busy}"


# ---- nine rules in each of many nodes


_LABS = {
    "no rules": None, "nine rules, the same in all": "192.0.2.1", "nine rules, each its own": "",
}  # fmt: skip


def topology(name: str, address: str | None) -> str:
    """``address`` "": each node's rules have another one; None: no rules."""
    lines = [f"name: {name}", "nodes:"]
    for n in range(MANY):
        lines += [f"  r{n}:", "    kind: router"]
        if address is not None:
            rules = NINE.replace("ADDRESS", address or f"10.{n >> 8}.{n & 255}.9")
            lines += ["    nftables: |", *(f"      {line}" for line in rules.splitlines())]
    links = [f"  - [r{n}, r{(n + 1) % MANY}]" for n in range(MANY)]
    return "\n".join([*lines, "links:", *links, ""])


def _lab(place: Path, what: str) -> Round:
    name = f"rules{os.getpid()}"
    file = place / f"{len(what)}.yaml"
    file.write_text(topology(name, _LABS[what]))

    def turn() -> Mapping[str, Cost]:
        try:
            return {what: run([*NETLAB, "up", str(file)], cwd=ROOT)}
        finally:
            run([*NETLAB, "down", name, "--wait"], cwd=ROOT)

    return turn


def main() -> None:
    if sys.argv[1:]:
        print(timed(sys.argv[1], Path(sys.argv[2])))
        return
    with tempfile.TemporaryDirectory(prefix="netlab-bench-") as place:
        print("\n".join(section(*compare(Path(place)))))


if __name__ == "__main__":
    main()
