"""What a user asks for, checked against the lab: who sends what to whom."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from ipaddress import ip_address
from typing import Literal

from netlab.errors import LabNotFound, UsageError
from netlab.trace import cookie
from netlab.trace.model import Disposition, Probe
from netlab.trace.probe import smallest
from netlab.trace.terrain import Spot, Terrain, plain
from netlab.trace.why import names

LARGEST = 65535


@dataclass(frozen=True)
class Words:
    """The words of a command line."""

    sender: str
    target: str
    """A node, or an address."""
    tcp: int | None = None
    udp: int | None = None
    icmp: bool = False
    to: str = ""
    """An address instead of the target's own."""
    version: int = 0
    """0 leaves it open."""
    from_port: int = 0
    size: int = 0
    ttl: int = 0
    tos: int = 0
    dont_fragment: bool | None = None


def probe_of(words: Words, terrain: Terrain) -> Probe:
    """Raises UsageError, LabNotFound with what would be right."""
    protocol, port = _protocol(words)
    sender = spot_of(words.sender, terrain)
    target = "" if _is_address(words.target) else spot_of(words.target, terrain).name
    address = _destination(words, sender, target, terrain)
    version = 6 if ":" in address else 4
    _check_sender(sender, version, terrain)
    probe = Probe(
        sender.name,
        target or terrain.holder(address),
        protocol,
        "",
        address,
        port,
        words.from_port,
        words.size,
        words.ttl,
        words.tos,
        words.dont_fragment,
        cookie.fresh(),
    )
    _check_size(probe)
    return probe


def _protocol(words: Words) -> tuple[Literal["tcp", "udp", "icmp"], int]:
    asked = [words.tcp is not None, words.udp is not None, words.icmp]
    if sum(asked) > 1:
        raise UsageError("one of --tcp, --udp and --icmp, not several")
    if words.tcp is not None:
        return "tcp", words.tcp
    if words.udp is not None:
        return "udp", words.udp
    return "icmp", 0


def spot_of(name: str, terrain: Terrain) -> Spot:
    """Raises LabNotFound with what would be right."""
    if name in terrain.spots:
        return terrain.spots[name]
    close = get_close_matches(name, terrain.spots, 1)
    meant = f"; did you mean {close[0]}?" if close else ""
    raise LabNotFound(
        f"lab {terrain.lab} has no node {name}{meant}",
        hint=f"`netlab show {terrain.lab}` tells which it has",
    )


def _is_address(text: str) -> bool:
    try:
        ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True


def _destination(words: Words, sender: Spot, target: str, terrain: Terrain) -> str:
    address = words.to or (words.target if _is_address(words.target) else "")
    if address:
        return _given(address, words, sender)
    own = [a for a in map(plain, terrain.spots[target].addresses) if _is_usual(a)]
    if not own:
        raise UsageError(
            f"{target} has no address to send to",
            hint="give it one, or write the address that is meant instead of its name",
        )
    wanted = [words.version] if words.version else [4, 6]
    speaks = {_version(a) for a in sender.addresses if _is_usual(plain(a))}
    both = [a for v in wanted for a in own if _version(a) == v and v in speaks]
    either = [a for v in wanted for a in own if _version(a) == v]
    if not either:
        raise UsageError(f"{target} has no IPv{words.version} address")
    return (both or either)[0]


def _given(address: str, words: Words, sender: Spot) -> str:
    if not _is_address(address):
        raise UsageError(
            f"{address} is no address", hint="an IPv4 or IPv6 address, as 203.0.113.1 or fd00::1"
        )
    bare, _, device = address.partition("%")
    parsed = ip_address(bare)
    if words.version and parsed.version != words.version:
        raise UsageError(f"{address} is no IPv{words.version} address")
    if parsed.is_multicast:
        raise UsageError(
            f"{address} is a multicast address: many may answer, and a trace follows one",
        )
    if parsed.version == 6 and parsed.is_link_local and not device:
        raise UsageError(
            f"{address} is on every link alike", hint=f"say by which device: {address}%eth0"
        )
    known = [d.name for d in sender.devices]
    if device and device not in known:
        raise UsageError(
            f"{sender.name} has no device {device}", hint=f"it has: {', '.join(known)}"
        )
    return address if device else str(parsed)


def _is_usual(address: str) -> bool:
    """Not one that means something else in every node."""
    parsed = ip_address(address)
    return not (parsed.is_loopback or (parsed.version == 6 and parsed.is_link_local))


def _version(address: str) -> int:
    return 6 if ":" in address else 4


def _check_sender(sender: Spot, version: int, terrain: Terrain) -> None:
    if any(_version(a) == version for a in sender.addresses):
        return
    if sender.role == "switch" and not sender.addresses:
        near = [node for device in sender.devices if (node := device.peer[0])]
        raise UsageError(
            f"{sender.name} is a switch: it has no address to send from",
            hint=f"trace from one of its neighbours: {', '.join(dict.fromkeys(near))}"
            if near else "",
        )  # fmt: skip
    if sender.addresses and version == 6:
        return  # a link-local address, or one that a router told it of
    raise UsageError(f"{sender.name} has no IPv{version} address to send from")


def _check_size(probe: Probe) -> None:
    if not probe.size:
        return
    if probe.protocol == "tcp":
        raise UsageError(
            "--size goes with --udp and --icmp: the first packet of TCP carries nothing"
        )
    least = smallest(probe)
    if not least <= probe.size <= LARGEST:
        raise UsageError(
            f"--size {probe.size}: an IPv{probe.version} packet of {probe.protocol} that can be "
            f"followed has {least} to {LARGEST} bytes",
        )


def check_expected(expected: str) -> None:
    known = [*map(str, Disposition), *names()]
    if expected not in known:
        close = get_close_matches(expected, known, 1)
        meant = f"; did you mean {close[0]}?" if close else ""
        ends = ", ".join(Disposition)
        raise UsageError(
            f"--expect {expected}: a trace never ends so{meant}",
            hint=f"it ends as: {ends}; or name a cause: {', '.join(names())}",
        )
