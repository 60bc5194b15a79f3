"""snat, dnat, masquerade, redirect, tproxy, dup and fwd."""

from __future__ import annotations

from . import datatypes as t
from . import ops
from . import syntax as s
from .assign import put
from .datatypes import Type
from .fields import NETWORK, TRANSPORT
from .loads import Loaded
from .problems import Wrong
from .scope import Scope
from .writer import Writer

_MAP_IPS, _PORTS, _RANDOM, _PERSISTENT, _FULLY, _NETMAP = 1, 2, 4, 8, 16, 64
_FLAGS = {"random": _RANDOM, "persistent": _PERSISTENT, "fully-random": _FULLY}
_FAMILIES = {"ip": 2, "ip6": 10, "inet": 1}
_ADDRESS = {"ip": t.IPV4, "ip6": t.IPV6}


def nat(w: Writer, tree: s.Nat) -> None:
    if w.family not in _FAMILIES:
        raise Wrong(tree.at, f"{tree.kind} is not for tables of family {w.family}",
                    f"tables of {', '.join(_FAMILIES)} translate addresses")  # fmt: skip
    _need_first(w, tree.address, tree.port)
    flags = sum(_FLAGS[flag] for flag in set(tree.flags))
    if tree.kind in ("masquerade", "redirect"):
        _local(w, tree, flags)
        return
    family = _family(w, tree.family, tree.address is not None, tree.at)
    address = port = None
    if tree.address is not None:
        address, port, more = _address(w, tree, family)
        flags |= more
    if tree.port is not None:
        _check_transport(w, tree)
        port = _port(w, tree.port, 4 if address and address[0] == address[1] else
                     8 if address else 0)  # fmt: skip
    flags |= (_MAP_IPS if address else 0) | (_PORTS if port else 0)
    kind = 0 if tree.kind == "snat" else 1
    w.emit(ops.nat(kind, _FAMILIES[family], address, port, flags))


def _need_first(w: Writer, *operands: s.Expression | None) -> None:
    """What must be matched before an operand is read would else overwrite the one before it."""
    for each in operands:
        if each is not None:
            w.need(each)


def _local(w: Writer, tree: s.Nat, flags: int) -> None:
    port = None
    if tree.port is not None:
        _check_transport(w, tree)
        port = _port(w, tree.port, 0)
        flags |= _PORTS
    encode = ops.masquerade if tree.kind == "masquerade" else ops.redirect
    w.emit(encode(port, flags))


def _family(w: Writer, said: str, addressed: bool, at: int) -> str:
    known = w.packet.known.get(NETWORK)
    if said and known and said != known:
        raise Wrong(at, f"conflicting protocols: {known} and {said}")
    family = said or known or w.family
    if addressed and family not in _ADDRESS:
        raise Wrong(at, f"a table of family {w.family} needs to know which addresses",
                    "write ip or ip6 before 'to'")  # fmt: skip
    return family


def _check_transport(w: Writer, tree: s.Nat) -> None:
    if TRANSPORT in w.packet.known or _names_protocol(w):
        return
    raise Wrong(tree.port.at if tree.port is not None else tree.at,
                "a port needs a match of its protocol before it",
                "as in tcp dport 80 … or meta l4proto tcp …")  # fmt: skip


def _names_protocol(w: Writer) -> bool:
    """A set of protocols was matched: ``meta l4proto { tcp, udp }``."""
    return any(isinstance(item, bytes) and item in _L4 for item in w.items)


_L4 = {ops.meta(0, 16), ops.payload(0, 1, 9, 1), ops.payload(0, 1, 6, 1)}


def _address(w: Writer, tree: s.Nat, family: str
             ) -> tuple[tuple[int, int], tuple[int, int] | None, int]:  # fmt: skip
    assert tree.address is not None
    kind = _ADDRESS[family]
    address = w.scope.replaced(tree.address)
    if isinstance(address, s.Map):
        return _mapped(w, tree, address, kind)
    if isinstance(address, s.Range | s.Prefix):
        low, high = w.scope.span(kind, address)
        w.emit(ops.immediate(0, values_of(kind, low)), ops.immediate(4, values_of(kind, high)))
        netmap = _NETMAP if isinstance(address, s.Prefix) and "prefix" in tree.concat else 0
        return (0, 4), None, netmap
    put(w, [Loaded(kind)], address, 0)
    return (0, 0), None, 0


def values_of(kind: Type, number: int) -> bytes:
    return number.to_bytes(kind.bytes, "big")


def _mapped(w: Writer, tree: s.Nat, address: s.Map, kind: Type
            ) -> tuple[tuple[int, int], tuple[int, int] | None, int]:  # fmt: skip
    words = kind.bytes // 4
    types, ranges, prefix = _map_types(w.scope, w, address, kind)
    with_port = len(types) > 1
    found = w.look_up(address.key, address.table, to=0, data=types, ranges=ranges)
    if found.data is not None:
        with_port, ranges = len(found.data) > 1, found.data_interval
    netmap = _NETMAP if prefix or tree.concat == "prefix" else 0
    if ranges:
        step = words + (1 if with_port else 0)
        return (0, step), (words, step + words) if with_port else None, netmap
    return (0, 0), (words, words) if with_port else None, netmap


def _map_types(scope: Scope, w: Writer, address: s.Map, kind: Type
               ) -> tuple[tuple[Type, ...], bool, bool]:  # fmt: skip
    """What a map written out maps to: addresses, ranges of them, with ports or without."""
    table = scope.replaced(address.table)
    types: tuple[Type, ...] = (kind,)
    ranges = prefix = False
    if isinstance(table, s.SetLiteral):
        for each in scope.elements(table.elements):
            data = scope.replaced(each.data) if each.data is not None else None
            parts = data.parts if isinstance(data, s.Concat) else (data,)
            if len(parts) == 2:
                types = (kind, t.SERVICE)
            ranges |= any(isinstance(part, s.Range | s.Prefix) for part in parts)
            prefix |= any(isinstance(part, s.Prefix) for part in parts)
    return types, ranges, prefix


def _port(w: Writer, tree: s.Expression, slot: int) -> tuple[int, int]:
    tree = w.scope.replaced(tree)
    if isinstance(tree, s.Range):
        low, high = w.scope.span(t.SERVICE, tree)
        w.emit(ops.immediate(slot, low.to_bytes(2, "big")))
        w.emit(ops.immediate(slot + 4, high.to_bytes(2, "big")))
        return slot, slot + 4
    put(w, [Loaded(t.SERVICE)], tree, slot)
    return slot, slot


def tproxy(w: Writer, tree: s.Tproxy) -> None:
    if w.family not in _FAMILIES:
        raise Wrong(tree.at, f"tproxy is not for tables of family {w.family}")
    if TRANSPORT not in w.packet.known and not _names_protocol(w):
        raise Wrong(tree.at, "tproxy needs a match of the protocol before it",
                    "as in tcp dport 80 … or meta l4proto tcp …")  # fmt: skip
    _need_first(w, tree.address, tree.port)
    family = _family(w, tree.family, tree.address is not None, tree.at)
    address = port = None
    if tree.address is not None:
        put(w, [Loaded(_ADDRESS[family])], tree.address, 0)
        address = 0
    if tree.port is not None:
        port = 4 if address is not None else 0
        put(w, [Loaded(t.SERVICE)], tree.port, port)
    number = 0 if family == "inet" else _FAMILIES[family]
    w.emit(ops.tproxy(number, address, port))


def send(w: Writer, tree: s.Send) -> None:
    if w.family not in (("netdev",) if tree.kind == "fwd" else ("netdev", "ip", "ip6")):
        raise Wrong(tree.at, f"{tree.kind} is not for tables of family {w.family}")
    _need_first(w, tree.address, tree.device)
    if tree.kind == "fwd":
        _forward(w, tree)
        return
    if w.family == "netdev":
        assert tree.address is not None
        put(w, [Loaded(t.IFINDEX)], tree.address, 0)
        w.emit(ops.duplicate(None, 0))
        return
    assert tree.address is not None
    put(w, [Loaded(_ADDRESS[w.family])], tree.address, 0)
    if tree.device is not None:
        put(w, [Loaded(t.IFINDEX)], tree.device, 4)
    w.emit(ops.duplicate(0, 4 if tree.device is not None else None))


def _forward(w: Writer, tree: s.Send) -> None:
    assert tree.device is not None
    put(w, [Loaded(t.IFINDEX)], tree.device, 0)
    if tree.address is None:
        w.emit(ops.forward(0, None, 0))
        return
    family = _family(w, tree.family, True, tree.at)
    put(w, [Loaded(_ADDRESS[family])], tree.address, 4)
    w.emit(ops.forward(0, 4, _FAMILIES[family]))
