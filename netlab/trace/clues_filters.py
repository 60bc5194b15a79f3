"""Clues about what firewalls remember: connections, translations, sets, and IPsec's policies."""

from __future__ import annotations

import re

from netlab.trace.clues import Clue
from netlab.trace.clues_sockets import kernel_says
from netlab.trace.evidence import Evidence
from netlab.trace.model import Nat

XFRM = ("Xfrm.InPolBlock", "Xfrm.OutPolBlock", "Xfrm.InNoPols", "Xfrm.InTmplMismatch")


def verdict_drop(e: Evidence) -> str:
    """And not one that took it to answer itself."""
    return "its verdict is drop" if e.chain and e.chain.verdict == "drop" else ""


PROTOCOL = re.compile(
    r"\b(?:ip protocol|ip6 nexthdr|meta l4proto) (\w+)"
    r"|\b(tcp|udp|icmp|icmpv6) (?:[sd]port|type)\b"
)
PORT = re.compile(r"\b([sd])port (\d+)\b(?!-)")


def limited_before(e: Evidence) -> str:
    """Some rule that did not match counts how many may pass, and asks for nothing else."""
    rules = e.chain.rules if e.chain else ()
    texts = [r.text for r in rules if r.matched is False and r.verdict == ""]
    some = (t for t in texts if "limit rate " in t and "limit rate over" not in t)
    found = next((text for text in some if not _is_about_others(text, e)), "")
    return f"a rule with a rate did not match: {found}" if found else ""


def _is_about_others(text: str, e: Evidence) -> bool:
    """As far as the protocol and the ports in its words tell."""
    if e.packet is None:
        return False
    named = {a or b for a, b in PROTOCOL.findall(text)}
    ports = {"s": e.packet.source_port, "d": e.packet.destination_port}
    others = any(ports[side] != int(number) for side, number in PORT.findall(text))
    return others or bool(named - {e.packet.protocol, "ipv6-icmp"})


def rule_begins(*words: str) -> Clue:
    """With the statement itself, so that nothing else can have been against it."""

    def clue(e: Evidence) -> str:
        rules = e.chain.rules if e.chain else ()
        texts = [r.text for r in rules if r.matched is False and r.verdict == ""]
        found = next((text for text in texts if text.startswith(words)), "")
        return f"a rule that takes everything did not match: {found}" if found else ""

    return clue


def not_confirmed(e: Evidence) -> str:
    """Connection tracking drops a new connection whose entry it may not make."""
    dropped = kernel_says("NETFILTER_DROP")(e)
    failed = e.grew("Conntrack.insert_failed")
    if not failed or e.chain is not None:
        return ""
    return f"{failed}; {dropped}" if dropped else ("" if e.freed else failed)


def translated(e: Evidence) -> str:
    found = next((step for step in reversed(e.steps) if isinstance(step, Nat)), None)
    if found is None:
        return ""
    changes = (f"{c.field.replace('_', ' ')} {c.before} → {c.after}" for c in found.changes)
    return f"{e.node} translated it: {', '.join(changes)}"


def not_tracked(e: Evidence) -> str:
    """It may not even be looked up: there is no room for another connection."""
    held = e.chain is None and e.inside in ("prerouting", "output")
    said = e.freed is None or e.freed.reason == "NETFILTER_DROP"
    return e.grew("Conntrack.drop") if held and said and not not_confirmed(e) else ""


def policy_blocks(e: Evidence) -> str:
    return kernel_says("XFRM_POLICY")(e) or ("" if e.freed else e.grew(*XFRM))
