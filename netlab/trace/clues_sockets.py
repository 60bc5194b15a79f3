"""Clues about what the kernel did with a packet that had come as far as a node's own IP.

What it says itself (a drop reason) is believed before its counters, which count all packets.
"""

from __future__ import annotations

from ipaddress import ip_address

from netlab.kernel.listeners import Listener
from netlab.trace import reasons
from netlab.trace.clues import Clue
from netlab.trace.evidence import Evidence
from netlab.trace.probe import NO_ANSWER

EVERYBODY = ("0.0.0.0", "::")
ROOM = 4 << 20
"""Bytes that a namespace has for fragments if nobody says otherwise."""
AGAIN = frozenset({"NO_SOCKET", "NOT_SPECIFIED"}) | reasons.USUAL
"""What is said otherwise, by an answer, or says nothing."""


def kernel_says(*names: str) -> Clue:
    def clue(e: Evidence) -> str:
        said = e.freed is not None and e.freed.reason in names
        return _words(e) if said else ""

    return clue


def freed_in(*functions: str) -> Clue:
    """Where the kernel gives no reason, the function tells it."""

    def clue(e: Evidence) -> str:
        where = e.freed.function.partition("+")[0].partition(".")[0] if e.freed else ""
        return f"the kernel let it fall in {where}" if where in functions else ""

    return clue


def only_counted(*counters: str) -> Clue:
    """Where nobody watched who is told the kernel's reasons."""
    return lambda e: "" if e.freed else e.grew(*counters)


def in_vain(e: Evidence) -> str:
    """Nothing came of it, neither there nor for the sender."""
    if e.leg == "reply":
        return "the program got no answer" if e.probe.result == NO_ANSWER else ""
    return "" if e.answered or e.error else "no answer was sent"


def let_fall_within(e: Evidence) -> str:
    """By the node that it was sent to, after its IP had taken it in."""
    silent = e.freed is None or e.freed.reason in AGAIN or not e.arrived
    return "" if silent or not in_vain(e) else _words(e)


def _words(e: Evidence) -> str:
    if e.freed is None:
        return ""
    return f"the kernel says {e.freed.reason} in {e.freed.function.partition('+')[0]}"


# TCP


def within_connection(e: Evidence) -> str:
    """It acknowledges, and so cannot be the first packet of a connection."""
    flags = e.packet.flags if e.packet else ""
    middle = "." in flags and not set("SR") & set(flags)
    return f"its flags are [{flags}]" if middle else ""


def overflowed(e: Evidence) -> str:
    return e.grew("TcpExt.ListenOverflows")


def queue_of_requests(e: Evidence) -> str:
    """Dropped at a listening socket whose accept queue has room (tcp_conn_request)."""
    return "" if overflowed(e) else e.grew("TcpExt.TCPReqQFullDrop", "TcpExt.ListenDrops")


# who waits


def ignores_echoes(e: Evidence) -> str:
    name = {"ipv4": "net.ipv4.icmp_echo_ignore_all", "ipv6": "net.ipv6.icmp.echo_ignore_all"}[e.ip]
    return f"{name} of {e.node} is 1" if e.facts.sysctls.get(name) == "1" else ""


def waits_elsewhere(e: Evidence) -> str:
    """Programs wait on the port, and none of them for what is sent to this address."""
    found = _on_port(e)
    if not found or any(_takes(one, e) for one in found):
        return ""
    return f"a program of {e.node} waits at {places_of(e)}"


def places_of(e: Evidence) -> str:
    return ", ".join(dict.fromkeys(_place(one) for one in _on_port(e)))


def _on_port(e: Evidence) -> list[Listener]:
    port = e.packet.destination_port if e.packet else e.probe.port
    return [one for one in e.facts.waiting if one.port == port]


def _takes(one: Listener, e: Evidence) -> bool:
    if one.device and one.device != e.came_by:
        return False
    if one.address in EVERYBODY:
        is_sixth = ":" in one.address
        return is_sixth if ":" in e.destination else one.both or not is_sixth
    return ip_address(one.address) == ip_address(e.destination)


def _place(one: Listener) -> str:
    address = f"[{one.address}]" if ":" in one.address else one.address
    alone = " (IPv6 alone)" if one.address == "::" and not one.both else ""
    return f"{address}:{one.port}{alone}" + (f" on {one.device}" if one.device else "")


# fragments


def timed_out(e: Evidence) -> str:
    said = kernel_says("FRAG_REASM_TIMEOUT")(e)
    return said or e.grew("Ip.ReasmTimeout", "Ip6.ReasmTimeout")


def no_room_for_fragments(e: Evidence) -> str:
    """Its memory for packets that are not whole yet is used up, or was never much."""
    name = {"ipv4": "net.ipv4.ipfrag_high_thresh", "ipv6": "net.ipv6.ip6frag_high_thresh"}[e.ip]
    room = e.facts.sysctls.get(name, "")
    little = room.isdigit() and int(room) < ROOM
    failed = freed_in("ip_defrag", "ipv6_frag_rcv")(e) or (little and _not_whole(e))
    return f"{failed}; {name} is {room}" if failed and not timed_out(e) else ""


def do_not_fit(e: Evidence) -> str:
    return "" if timed_out(e) else e.grew("IpExt.ReasmOverlaps") or _not_whole(e)


def _not_whole(e: Evidence) -> str:
    return e.grew("Ip.ReasmFails", "Ip6.ReasmFails")
