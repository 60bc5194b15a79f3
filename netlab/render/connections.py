"""A connection in words: who talks to whom, as whom, and how it stands."""

from __future__ import annotations

from collections.abc import Mapping

from netlab.kernel.connection import Connection, End

HEAD = (
    "connection", "protocol", "state", "timeout", "mark", "zone", "helper", "labels",
    "packets →/←", "bytes →/←",
)  # fmt: skip

QUESTIONS = {
    8: "echo-request", 13: "timestamp-request", 15: "info-request", 17: "address-mask-request",
    128: "echo-request", 139: "node-query",
}  # fmt: skip
"""What ICMP is tracked of: that which is answered (RFC 792, RFC 4443)."""

Owners = Mapping[str, str]
"""Address → node."""


def row(connection: Connection, owners: Owners) -> tuple[str, ...]:
    """One cell for each word of ``HEAD``; what is counted is told for both directions."""
    there, back = connection.original, connection.reply
    return (
        ends(connection, owners),
        protocol(connection),
        state(connection),
        "" if connection.timeout is None else f"{connection.timeout} s",
        f"{connection.mark:#x}" if connection.mark else "",
        _both(there.zone, back.zone) if there.zone or back.zone else "",
        connection.helper,
        ",".join(map(str, connection.labels)),
        "" if there.packets is None else f"{there.packets}/{back.packets}",
        "" if there.bytes is None else f"{there.bytes}/{back.bytes}",
    )


def ends(connection: Connection, owners: Owners) -> str:
    """``web:40312 → gw:8080  to alice:80  as 192.168.1.1:40312``.

    ``to`` is where its packets really go, ``as`` the source that is seen there.
    """
    there, back = connection.original, connection.reply
    text = f"{end(there.source, owners)} → {end(there.destination, owners)}"
    if connection.destination_nat:
        text += f"  to {end(connection.destination_nat, owners)}"
    if connection.source_nat:
        text += f"  as {end(connection.source_nat, {})}"
        if there.icmp and back.icmp and back.icmp.id != there.icmp.id:
            text += f" id {back.icmp.id}"
    return text


def end(end: End, owners: Owners) -> str:
    """``alice:80``; an address that is no node's stands for itself."""
    name = owners.get(end.address, end.address)
    if end.port is None:
        return name
    return f"[{name}]:{end.port}" if ":" in name else f"{name}:{end.port}"


def protocol(connection: Connection) -> str:
    """``icmp echo-request id 7``."""
    icmp = connection.original.icmp
    if icmp is None:
        return connection.protocol
    what = QUESTIONS.get(icmp.type, f"type {icmp.type}")
    return f"{connection.protocol} {what} id {icmp.id}"


def state(connection: Connection) -> str:
    """``ESTABLISHED assured``."""
    status = connection.status
    if "seen-reply" not in status:
        seen = "unreplied"
    elif "assured" in status:
        seen = "assured"
    else:
        seen = "" if connection.state else "replied"
    others = [word for word in ("expected", "offload", "dying") if word in status]
    return " ".join(word for word in (connection.state, seen, *others) if word)


def _both(there: int, back: int) -> str:
    return str(there) if there == back else f"{there}/{back}"
