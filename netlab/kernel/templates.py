"""Shapes of netlink messages: encoded once by pyroute2, their varying bytes filled in by struct.

pyroute2's encoding of one message takes 40 to 200 µs, filling in its bytes takes one. A shape is
written as pyroute2 takes it, with a ``Hole`` wherever a value varies.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import struct
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Any, NamedTuple


class Sort(NamedTuple):
    """What fits into a hole: how wide it is, how a value gets there, and two values to try."""

    format: str
    wire: Callable[[Any], Any]
    sample: Callable[[int], Any]
    """A value, for each number another one, whose bytes stand nowhere else."""


@dataclass(frozen=True)
class Hole:
    name: str
    sort: Sort


def _mac_bytes(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def _sample_bytes(number: int, width: int) -> bytes:
    return pow(3, 97 + 7 * number + width, 1 << 8 * width).to_bytes(width, "big")


def _sample_int(width: int) -> Callable[[int], int]:
    return lambda number: int.from_bytes(_sample_bytes(number, width), sys.byteorder)


U32 = Sort("I", lambda value: value, lambda n: _sample_int(4)(n) & 0x7FFFFFFF)
U16 = Sort("H", lambda value: value, _sample_int(2))
BE16 = Sort("2s", lambda value: value.to_bytes(2, "big"), _sample_int(2))
IP4 = Sort(
    "4s",
    lambda text: inet_pton(AF_INET, text),
    lambda n: inet_ntop(AF_INET, _sample_bytes(n, 4)),
)
IP6 = Sort(
    "16s",
    lambda text: inet_pton(AF_INET6, text),
    lambda n: inet_ntop(AF_INET6, _sample_bytes(n, 16)),
)
MAC = Sort("6s", _mac_bytes, lambda n: ":".join(f"{b:02x}" for b in _sample_bytes(n, 6)))


def text(length: int) -> Sort:
    """A name of so many bytes; names of another length are another shape."""
    return Sort(f"{length}s", str.encode, lambda n: (f"{n:x}" + "zyxwvutsrqponmlkj")[:length])


def ip(family: int) -> Sort:
    return {4: IP4, 6: IP6}[family]


class Template:
    """A message of one shape. Call it with a value for each hole; the answer is its bytes."""

    def __init__(self, message: str, content: Mapping[str, Any]) -> None:
        """``message`` names pyroute2's class, as in ``ifaddrmsg.ifaddrmsg``."""
        self._message = message
        self._content = content
        self._holes = list(_holes(content))
        body = self.encoded(**{h.name: h.sort.sample(n) for n, h in enumerate(self._holes)})
        self._cut(body)
        other = {h.name: h.sort.sample(n + 101) for n, h in enumerate(self._holes)}
        assert self(**other) == self.encoded(**other), f"{message}: holes do not hold their values"

    def __call__(self, **values: Any) -> bytes:
        parts = self._parts[:]
        parts[1::2] = [wire(values[name]) for name, wire in self._order]
        return self._pack(*parts)

    def encoded(self, **values: Any) -> bytes:
        """The same by pyroute2 alone, netlink header left out."""
        message = message_class(self._message)()
        for key, value in _filled(self._content, values).items():
            message[key] = value
        message.encode()
        return bytes(message.data[16:])

    def _cut(self, body: bytes) -> None:
        """Fixed bytes and holes, by turns."""
        found = [self._place(body, n, hole) for n, hole in enumerate(self._holes)]
        places = sorted(found, key=lambda place: place.start)
        self._parts: list[Any] = []
        self._order = [(hole.name, hole.sort.wire) for _, _, hole in places]
        format, at = "=", 0
        for start, end, hole in places:
            self._parts += [body[at:start], None]
            format += f"{start - at}s{hole.sort.format}"
            at = end
        self._parts.append(body[at:])
        self._pack = struct.Struct(f"{format}{len(body) - at}s").pack

    def _place(self, body: bytes, number: int, hole: Hole) -> _Place:
        """Where the hole's sample stands; a short one stands elsewhere too, and is changed once."""
        wanted = _bytes(hole, number)
        if body.count(wanted) == 1:
            start = body.index(wanted)
        else:
            start = self._first_difference(body, number, hole)
        assert body[start : start + len(wanted)] == wanted, f"{hole.name} is not to be found"
        return _Place(start, start + len(wanted), hole)

    def _first_difference(self, body: bytes, number: int, hole: Hole) -> int:
        mine = _bytes(hole, number)
        other = next(n for n in range(101, 999) if _bytes(hole, n)[:1] != mine[:1])
        values = {h.name: h.sort.sample(n) for n, h in enumerate(self._holes)}
        changed = self.encoded(**values | {hole.name: hole.sort.sample(other)})
        return next(n for n, (a, b) in enumerate(zip(body, changed, strict=True)) if a != b)


class _Place(NamedTuple):
    start: int
    end: int
    hole: Hole


def _bytes(hole: Hole, number: int) -> bytes:
    return struct.pack("=" + hole.sort.format, hole.sort.wire(hole.sort.sample(number)))


def _holes(content: Any) -> Iterator[Hole]:
    if isinstance(content, Hole):
        yield content
    elif isinstance(content, Mapping):
        for value in content.values():
            yield from _holes(value)
    elif isinstance(content, list | tuple):
        for value in content:
            yield from _holes(value)


def _filled(content: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(content, Hole):
        return values[content.name]
    if isinstance(content, Mapping):
        return {key: _filled(value, values) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return type(content)(_filled(value, values) for value in content)
    return content


def message_class(name: str) -> Any:
    """A message class of pyroute2's rtnl, without pyroute2's asyncio machinery around it.

    ``import pyroute2`` takes 150 ms and loads 370 modules; the messages alone take 35 ms.
    """
    module, _, message = name.partition(".")
    _without_machinery()
    found = importlib.import_module(f"pyroute2.netlink.rtnl.{module}")
    return getattr(found, message)


def _without_machinery() -> None:
    """A package that has pyroute2's modules, but has not run its ``__init__``."""
    if "pyroute2" in sys.modules:
        return
    spec = importlib.machinery.PathFinder.find_spec("pyroute2")
    assert spec is not None and spec.submodule_search_locations is not None
    package = types.ModuleType("pyroute2")
    package.__path__ = list(spec.submodule_search_locations)
    package.__spec__ = spec
    sys.modules["pyroute2"] = package
