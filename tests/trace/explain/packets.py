"""Packets, rules and scenes for the tests of what is foretold."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

from netlab.firewall.parse import parse
from netlab.trace.explain.choices import Choices, each
from netlab.trace.explain.evaluate import Outcome, go_through
from netlab.trace.explain.packet import ACK, SYN, Packet, Span, exactly
from netlab.trace.explain.ruleset import Ruleset, of_script
from netlab.trace.explain.scene import Nic, Scene
from netlab.trace.explain.tracking import Connection, Seen, tuple_of

NICS = {
    "lo": Nic("lo", 1, "", 772),
    "lan": Nic("lan", 2, "veth"),
    "wan": Nic("wan", 3, "veth"),
}
EPHEMERAL = Span(32768, 60999, "the source port is chosen when it is sent")


def tcp(source: str = "10.0.0.2", to: str = "10.1.0.2", port: int = 80, **more: Any) -> Packet:
    version = ip_address(source).version
    plain = Packet(
        ip_address(source), ip_address(to), "tcp", exactly(50000), exactly(port), SYN,
        length=60 if version == 4 else 80, dont_fragment=True,
        source_mac="02:00:00:00:00:02", destination_mac="02:00:00:00:00:01",
    )  # fmt: skip
    return replace(plain, **more)


def udp(source: str = "10.0.0.2", to: str = "10.1.0.2", port: int = 53, **more: Any) -> Packet:
    return tcp(source, to, port, **{"protocol": "udp", "flags": 0, "length": 45} | more)


def ping(source: str = "10.0.0.2", to: str = "10.1.0.2", **more: Any) -> Packet:
    version = ip_address(source).version
    name, kind = ("icmp", 8) if version == 4 else ("icmpv6", 128)
    said = {"protocol": name, "icmp": (kind, 0), "icmp_id": exactly(7), "flags": 0, "length": 84}
    return tcp(source, to, 0, **said | {"source_port": exactly(0)} | more)


def seen(packet: Packet, state: str = "new", *, answered: bool = False) -> Seen:
    way = tuple_of(packet)
    return Seen(state, "original", Connection(way, way.turned, answered=answered))


def scene(packet: Packet, hook: str = "forward", **more: Any) -> Scene:
    said = {"incoming": "lan", "outgoing": "wan", "nics": NICS, "node": "gw", "seen": seen(packet)}
    return Scene(packet, hook, **said | more)


def ruleset(text: str) -> Ruleset:
    return of_script(parse(text, "rules.nft"), {nic.name: nic.index for nic in NICS.values()})


def in_chain(rules: str, where: Scene, *, table: str = "", policy: str = "accept") -> Outcome:
    """A packet through one chain of those rules."""
    family = {"ip": "inet"}.get(where.layer, where.layer)
    device = "device lan" if where.layer == "netdev" else ""
    text = f"""
        table {family} t {{
            {table}
            chain c {{
                type filter hook {where.hook} {device} priority 0; policy {policy}
                {rules}
            }}
        }}
    """
    held = ruleset(text)
    return go_through(held.tables[0].chains["c"], held, replace(where, puts={}))


def all_ways(rules: str, where: Scene, **more: Any) -> list[tuple[str, list[str]]]:
    """Every verdict that there may be, and what it hangs on."""

    def run(choices: Choices) -> str:
        return in_chain(rules, replace(where, choices=choices), **more).verdict

    told, _ = each(run)
    return [(one.story, [choice.way for choice in one.choices]) for one in told]


def matched(outcome: Outcome) -> list[bool | None]:
    return [rule.matched for rule in outcome.chain.rules]


__all__ = ["ACK", "EPHEMERAL", "all_ways", "in_chain", "matched", "ping", "ruleset", "scene",
           "seen", "tcp", "udp"]  # fmt: skip
