"""A socket in words: who listens, who talks to whom, and how that goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from netlab.kernel.opened import Socket, Tcp

HEAD = (
    "socket", "state", "local", "peer", "program", "queue in/out", "accept queue", "SYN queue",
    "cwnd", "rtt", "mss", "on the way", "resent", "out of order", "dropped", "congestion",
)  # fmt: skip


def row(one: Socket, owners: Mapping[str, str]) -> tuple[str, ...]:
    """One cell for each word of ``HEAD``. ``owners``: nodes by address."""
    listens = one.state == "LISTEN"
    program = f"{one.program}/{one.pid}" if one.pid else ""
    queues = f"{one.receive_queue}/{one.send_queue}"
    return (
        one.protocol,
        one.state,
        end(one.address, one.port, {}),
        end(one.peer, one.peer_port, owners) if one.peer else "",
        program,
        "" if listens or queues == "0/0" else queues,
        f"{one.receive_queue} of {one.send_queue}" if listens else "",
        str(one.half_open) if listens else "",
        *_of_tcp(one.tcp, one.waits_out_of_order),
        str(one.memory.drops or "") if one.memory else "",
        one.tcp.congestion if one.tcp else "",
    )


def _of_tcp(tcp: Tcp | None, waits: int | None) -> tuple[str, ...]:
    """Window, round-trip time, segment, on the way, resent, out of order: so far, and now."""
    if tcp is None:
        return ("",) * 6
    window = "" if tcp.window is None else str(tcp.window)
    if tcp.threshold is not None:
        window += f"/{tcp.threshold}"
    return (
        window,
        f"{tcp.rtt:g} ms" if tcp.rtt else "",
        str(tcp.segment or ""),
        str(tcp.unacknowledged or ""),
        str(tcp.retransmitted or ""),
        str(tcp.out_of_order or "") + (f", {waits} bytes wait" if waits else ""),
    )


def document(one: Socket, owners: Mapping[str, str]) -> dict[str, Any]:
    """For programs."""
    return {
        **one._asdict(),
        "waits_out_of_order": one.waits_out_of_order,
        "node": owners.get(one.address, ""),
        "peer_node": owners.get(one.peer, ""),
        "memory": one.memory._asdict() if one.memory else None,
        "tcp": one.tcp._asdict() if one.tcp else None,
    }


def end(address: str, port: int, owners: Mapping[str, str]) -> str:
    """``web:80``; ``*:80`` for any address; an address that is no node's stands for itself."""
    name = "*" if address in ("0.0.0.0", "::") else owners.get(address, address)
    shown = f"[{name}]" if ":" in name else name
    return f"{shown}:{port or '*'}"
