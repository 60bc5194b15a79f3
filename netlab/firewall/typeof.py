"""nft's notes on sets declared with ``typeof``: the expression, so that a listing can show it.

A note is ``{0: kind of expression, 1: its data}``; the numbers are those that nft 1.0.6 writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from . import syntax as s
from .datatypes import Type
from .fields import BASES, FIB_FLAGS, FIB_RESULTS, FIELDS, Field
from .loads import EXTENSIONS, field_of, type_of
from .places import exact
from .problems import Wrong
from .wire import notes, userdata

_CONCAT, _PAYLOAD, _EXTHDR, _NUMGEN, _HASH = 13, 7, 8, 23, 24
_KINDS = {"payload": _PAYLOAD, "meta": 9, "socket": 10, "osf": 11, "ct": 12, "rt": 25, "fib": 26,
          "xfrm": 27, **dict.fromkeys(EXTENSIONS, _EXTHDR)}  # fmt: skip
_HEADERS = {"ah": 1, "esp": 2, "comp": 3, "icmp": 4, "igmp": 5, "udp": 6, "udplite": 7, "tcp": 8,
            "dccp": 9, "sctp": 10, "th": 11, "ip": 12, "ip6": 13, "icmpv6": 14, "arp": 15,
            "vlan": 16, "ether": 17}  # fmt: skip
_EXTENSIONS = {"hbh": 1, "rt": 2, "rt0": 3, "srh": 5, "frag": 6, "dst": 7, "mh": 8}
_OPTION_FIELDS = {
    "tcpopt": {"length": 1, "size": 2, "count": 2, "left": 2, "right": 3, "tsval": 2, "tsecr": 3,
               "subtype": 2},
    "ipopt": {"type": 1, "length": 2, "value": 3, "ptr": 4, "addr": 5},
}  # fmt: skip
"""nft's numbers for the fields of TCP and IP options; SCTP chunks count theirs one by one."""
_ARP = ("htype", "ptype", "hlen", "plen", "operation", "saddr ether", "saddr ip", "daddr ether",
        "daddr ip")  # fmt: skip
_HASHES = {"jhash": 0, "symhash": 1}
_NO_DIRECTION = 0xFFFFFFFF
VERDICTS = userdata((0, b"\1\0\0\0"), (1, b""))
"""The note on a map to verdicts."""
Data = list[tuple[int, bytes]]


def _u32(value: int) -> bytes:
    return value.to_bytes(4, "little")


def _read(data: bytes) -> int:
    return int.from_bytes(data, "little")


def described(tree: s.Expression) -> bytes:
    """The bytes of NFTNL_UDATA_SET_KEY_TYPEOF."""
    if isinstance(tree, s.Concat):
        parts = userdata(*((at, _one(part)) for at, part in enumerate(tree.parts)))
        return userdata((0, _u32(_CONCAT)), (1, parts))
    return _one(tree)


def _one(tree: s.Expression) -> bytes:
    if isinstance(tree, s.Hash):
        kind, data = _hash(tree)
    elif isinstance(tree, s.Raw):
        kind, data = _PAYLOAD, _raw(tree)
    else:
        field = field_of(tree)
        if field is None:
            raise Wrong(tree.at, "typeof takes what is read from the packet, and no computation")
        kind, data = _KINDS[field.source], _data(field)
    return userdata((0, _u32(kind)), (1, userdata(*data)))


def _hash(tree: s.Hash) -> tuple[int, Data]:
    if tree.kind.startswith("numgen"):
        numbers = [int(tree.kind == "numgen random"), tree.modulus, tree.offset]
        return _NUMGEN, [(at, _u32(each)) for at, each in enumerate(numbers)]
    seeded = tree.seed is not None
    numbers = [_HASHES[tree.kind], tree.offset, tree.modulus, tree.seed or 0, int(seeded)]
    return _HASH, [(at, _u32(each)) for at, each in enumerate(numbers)]


def _raw(tree: s.Raw) -> Data:
    known = exact({}, BASES[tree.base], tree.offset, tree.length, ())
    if known is not None:
        return _data(known)
    numbers = [0, 0, BASES[tree.base] + 1, tree.offset, tree.length]
    return [(at, _u32(each)) for at, each in enumerate(numbers)]


def _data(field: Field) -> Data:
    return _DESCRIBE[field.source](field)


def _payload(field: Field) -> Data:
    numbers = [(0, _u32(_HEADERS[field.words[0]])), (1, _u32(_index(field)))]
    return [*numbers, (4, _u32(field.type.bits))] if field.type.name == "integer" else numbers


def _exthdr(field: Field) -> Data:
    if field.words[0] == "exthdr":
        return [(1, _u32(1)), (0, _u32(_EXTENSIONS[field.words[1]]))]
    return [(1, _u32(_index(field))), (0, _u32(_EXTENSIONS[field.words[0]]))]


def _option(field: Field) -> Data:
    number, first = field.where[:2]
    if len(field.words) < 3:
        which = 0
    elif field.source == "chunk":
        which = [words for words in FIELDS if words[:2] == field.words[:2]].index(field.words) - 1
    else:
        which = _OPTION_FIELDS[field.source][field.words[2]]
        which += 2 * (first // 64) if field.words[1].startswith("sack") else 0
    return [(1, _u32(which)), (2, _u32(EXTENSIONS[field.source])), (0, _u32(number))]


def _index(field: Field) -> int:
    """The place of a field among those of its header, from 1."""
    if field.words[0] == "arp":
        return _ARP.index(" ".join(field.words[1:])) + 1
    same = [words for words in FIELDS if words[0] == field.words[0] and len(words) > 1]
    return same.index(field.words) + 1


def _ct(field: Field) -> Data:
    key, direction = field.where
    return [(0, _u32(key)), (1, _u32(_NO_DIRECTION if direction < 0 else direction))]


def _key(field: Field) -> Data:
    return [(0, _u32(field.where[0]))]


def _fib(field: Field) -> Data:
    return [(0, _u32(field.where[0])), (1, _u32(field.where[1]))]


def _xfrm(field: Field) -> Data:
    key, direction, *number = field.where
    return [(0, _u32(key)), (1, _u32(number[0] if number else 0)), (2, _u32(direction))]


_DESCRIBE: dict[str, Callable[[Field], Data]] = {
    "payload": _payload, "exthdr": _exthdr, "tcpopt": _option, "ipopt": _option, "chunk": _option,
    "meta": _key, "socket": _key, "rt": _key, "ct": _ct, "fib": _fib, "xfrm": _xfrm,
    "osf": lambda field: [],
}  # fmt: skip


# ---- reading


def typed(data: bytes) -> list[tuple[s.Expression, Type]] | None:
    """The expressions of such a note, with their types; None where they are not understood."""
    found = [_told(part) for part in _parts(data)]
    known = [each for each in found if each is not None]
    return known if known and len(known) == len(found) else None


def _parts(data: bytes) -> Iterator[bytes]:
    note = notes(data)
    if _read(note.get(0, b"")) == _CONCAT:
        yield from (part for _, part in sorted(notes(note.get(1, b"")).items()))
    else:
        yield data


def _told(data: bytes) -> tuple[s.Expression, Type] | None:
    note = notes(data)
    kind = _read(note.get(0, b""))
    said = {key: _read(value) for key, value in notes(note.get(1, b"")).items()}
    read = _TREES.get(kind)
    tree = read(said) if read else _selector(kind, said)
    return None if tree is None else (tree, type_of(tree))


def _read_payload(said: dict[int, int]) -> s.Expression | None:
    if said.get(0) == 0 and 2 in said:
        base = next(name for name, number in BASES.items() if number == said[2] - 1)
        return s.Raw(base, said[3], said[4])
    return _selector(_PAYLOAD, said)


def _read_numgen(said: dict[int, int]) -> s.Expression:
    kind = "numgen random" if said[0] else "numgen inc"
    return s.Hash(kind, None, said[1], None, said.get(2, 0))


def _read_hash(said: dict[int, int]) -> s.Expression | None:
    """What ``jhash`` was of is not said."""
    if said[0] == _HASHES["jhash"]:
        return None
    return s.Hash("symhash", None, said[2], said[3] if said.get(4) else None, said[1])


def _read_fib(said: dict[int, int]) -> s.Expression:
    result = next((name for name, (code, _) in FIB_RESULTS.items() if code == said[0]), "oif")
    flags = " . ".join(name for name, bit in FIB_FLAGS.items() if said.get(1, 0) & bit)
    return s.Selector(("fib", flags, result))


def _read_socket(said: dict[int, int]) -> s.Expression | None:
    """Of a cgroup, the level is not said."""
    if said.get(0) == 3:
        return s.Selector(("socket", "cgroupv2 level 0"))
    return _selector(_KINDS["socket"], said)


def _selector(kind: int, said: dict[int, int]) -> s.Expression | None:
    for field in FIELDS.values():
        if _KINDS[field.source] == kind and field.words[0] != "exthdr" and (
            {key: _read(value) for key, value in _data(field)} == said
        ):  # fmt: skip
            return s.Selector(field.words)
    return None


_TREES: dict[int, Callable[[dict[int, int]], s.Expression | None]] = {
    _PAYLOAD: _read_payload, _NUMGEN: _read_numgen, _HASH: _read_hash, _KINDS["fib"]: _read_fib,
    _KINDS["socket"]: _read_socket,
}  # fmt: skip
