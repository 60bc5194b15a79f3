"""An ICMP error that is expected and does not come: the kernel sends only some of them.

To one destination it is one a second after a burst of six (``net.ipv4.icmp_ratelimit``), so that a
test that is tried often, or beside others, meets silence. A trace tells what would have been said.
"""

from __future__ import annotations

from netlab.trace.model import REACHED, Disposition, Trace

LIMITED = "the kernel says so only now and then (net.ipv4.icmp_ratelimit), so that most is silence"
REJECTED = frozenset({"nft-reject", "icmp-rate-limited"})
ROUTES = frozenset({"unreachable", "prohibit"})


def unsaid(found: Trace) -> str:
    """``refused`` or ``unreachable``, as who ends such a packet says; "" where that is no error,
    or where it is lost on its way back."""
    error = found.leg("error")
    if found.cause is None or (error and error.disposition not in REACHED):
        return ""
    if found.disposition is Disposition.REFUSED:
        return "refused" if found.probe.protocol == "udp" else ""
    if found.disposition is Disposition.DENIED and found.cause.name in REJECTED:
        return _rejection(found.cause.rule.text) if found.cause.rule else ""
    return "unreachable" if found.cause.name in ROUTES else ""


def _rejection(rule: str) -> str:
    """Without a word of its own a rule says that the port is not there."""
    _, _, how = rule.partition("reject with ")
    return "unreachable" if how.startswith("icmp") and "port-unreachable" not in how else "refused"
