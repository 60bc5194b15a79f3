"""Where a value lies in a packet → the field that nft has a name for."""

from __future__ import annotations

from collections.abc import Sequence

from .fields import FIELDS, ICMP_NEEDS, LINK, NETWORK, TRANSPORT, Field
from .needs import behind

_PREFERRED_LAST = ("cfi",)


def _by_place() -> dict[tuple[str, int, int], list[Field]]:
    found: dict[tuple[str, int, int], list[Field]] = {}
    for each in FIELDS.values():
        if each.source == "payload" and each.words[-1] not in _PREFERRED_LAST:
            _, first, bits = each.where
            found.setdefault((each.words[0], first, bits), []).append(each)
    return found


_PLACES = _by_place()
_ORDERED: dict[str, list[Field]] = {}
for _field in FIELDS.values():
    if _field.source == "payload":
        _ORDERED.setdefault(_field.words[0], []).append(_field)


def protocols(known: dict[int, str], base: int) -> Sequence[str]:
    """The headers that may lie at a base, given what is known of the packet."""
    name = known.get(base)
    if base == LINK and name:
        return ("vlan", "ether") if name.startswith("vlan") else ("ether",)
    if base == NETWORK:
        return (name,) if name else ()
    if base == TRANSPORT and (name is None or name not in _ORDERED):
        return ("th",)
    return (name,) if name else ()


def exact(known: dict[int, str], base: int, first: int, bits: int,
          icmp: tuple[int, ...]) -> Field | None:  # fmt: skip
    """The field that lies exactly there."""
    link = known.get(LINK, "") if base == LINK else ""
    for name in protocols(known, base):
        deeper = 32 * behind(link) if name == "vlan" else 0
        found = _PLACES.get((name, first - deeper, bits), [])
        if len(found) > 1:
            fitting = [each for each in found if icmp and _exists(each, icmp)]
            return (fitting or found)[0]
        if found:
            return found[0]
    return None


def _exists(field: Field, icmp: tuple[int, ...]) -> bool:
    types = ICMP_NEEDS.get((field.words[0], field.words[-1]), ())
    return set(icmp) <= set(types)


def beginning(known: dict[int, str], base: int, first: int, bits: int) -> Field | None:
    """The field of which these are the first bits."""
    for name in protocols(known, base):
        for each in _ORDERED.get(name, []):
            if each.where[1] == first and each.where[2] > bits:
                return each
    return None


def split(known: dict[int, str], base: int, first: int, bits: int) -> list[Field]:
    """The fields that fill a place one after the other; [] where they do not."""
    found: list[Field] = []
    end = first + bits
    while first < end:
        each = _next(known, base, first, end)
        if each is None:
            return []
        found.append(each)
        first += each.where[2]
    return found


def _next(known: dict[int, str], base: int, first: int, end: int) -> Field | None:
    for name in protocols(known, base):
        if name == "th":
            continue
        for each in _ORDERED.get(name, []):
            if each.where[1] == first and first + each.where[2] <= end and not each.where[2] % 8:
                return each
    return None
