"""Named objects as netlink attributes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from . import syntax as s
from .datatypes import PROTOCOLS
from .problems import Wrong, did_you_mean
from .sets import OBJECT_KINDS
from .statements import limit_of, quota_of, synproxy_of
from .values import milliseconds
from .wire import attribute, nest, text, u8, u16, u32, u64, userdata

_OF_A_FAMILY = ("ct helper", "ct timeout", "ct expectation")
_L3 = {"ip": 2, "ip6": 10, "inet": 1}
TIMEOUTS: dict[str, tuple[str, ...]] = {
    "tcp": ("", "syn_sent", "syn_recv", "established", "fin_wait", "close_wait", "last_ack",
            "time_wait", "close", "syn_sent2", "retrans", "unack"),
    "udp": ("unreplied", "replied"),
}  # fmt: skip


def object_body(tree: s.Object, family: str) -> bytes:
    """NFTA_OBJ_NAME, TYPE, DATA, USERDATA; ``family`` is the table's."""
    if tree.kind in _OF_A_FAMILY and family in _L3 and "l3proto" not in dict(tree.options):
        options = (*tree.options, ("l3proto", family))
        tree = replace(tree, options=options)
    body = text(2, tree.name) + u32(3, OBJECT_KINDS[tree.kind]) + nest(4, *_BODIES[tree.kind](tree))
    if tree.comment:
        body += attribute(8, userdata((0, tree.comment.encode() + b"\0")))
    return body


def _counter(tree: s.Object) -> list[bytes]:
    body = tree.body
    if not isinstance(body, s.Counter):
        return [u64(1, 0), u64(2, 0)]
    return [u64(1, body.bytes or 0), u64(2, body.packets or 0)]


def _quota(tree: s.Object) -> list[bytes]:
    if not isinstance(tree.body, s.Quota):
        raise Wrong(tree.at, f"quota {tree.name} says no amount", "as in over 100 mbytes")
    amount, flags, used = quota_of(tree.body)
    return [u64(1, amount), u32(2, flags), u64(4, used)]


def _limit(tree: s.Object) -> list[bytes]:
    if not isinstance(tree.body, s.Limit):
        raise Wrong(tree.at, f"limit {tree.name} says no rate", "as in rate 10/second")
    rate, unit, burst, kind, flags = limit_of(tree.body)
    return [u64(1, rate), u64(2, unit), u32(3, burst), u32(4, kind), u32(5, flags)]


def _synproxy(tree: s.Object) -> list[bytes]:
    if not isinstance(tree.body, s.Synproxy):
        raise Wrong(tree.at, f"synproxy {tree.name} is empty")
    mss, wscale, flags = synproxy_of(tree.body)
    return [u16(1, mss), u8(2, wscale), u32(3, flags)]


def _options(tree: s.Object, *needed: str) -> dict[str, str]:
    options = dict(tree.options)
    for word in needed:
        if word not in options:
            raise Wrong(tree.at, f"{tree.kind} {tree.name} says no {word}")
    return options


def _protocol(tree: s.Object, options: dict[str, str]) -> int:
    word = options["protocol"]
    if word not in PROTOCOLS:
        raise Wrong(tree.at, f"unknown protocol {word!r}", did_you_mean(word, PROTOCOLS))
    return PROTOCOLS[word]


def _l3(tree: s.Object, options: dict[str, str]) -> int:
    word = options.get("l3proto", "")
    if word and word not in _L3:
        raise Wrong(tree.at, f"unknown l3proto {word!r}", did_you_mean(word, _L3))
    return _L3.get(word, 0)


def _helper(tree: s.Object) -> list[bytes]:
    options = _options(tree, "type", "protocol")
    if len(options["type"].encode()) > 15:
        raise Wrong(tree.at, "the name of a helper has at most 15 bytes")
    body = [text(1, options["type"]), u8(3, _protocol(tree, options))]
    family = _l3(tree, options)
    return [*body, u16(2, family)] if family else body


def _timeout(tree: s.Object) -> list[bytes]:
    options = _options(tree, "protocol")
    states = TIMEOUTS.get(options["protocol"], ())
    body = [u16(1, _l3(tree, options)), u8(2, _protocol(tree, options))]
    words = options.get("policy", "").split()
    pairs = []
    for state, time in zip(words[::2], words[1::2], strict=True):
        if state not in states:
            raise Wrong(tree.at, f"{options['protocol']} has no state {state!r}",
                        did_you_mean(state, filter(None, states)))  # fmt: skip
        pairs.append(u32(states.index(state) + (1 if states[0] else 0),
                         milliseconds(time, tree.at, 0xFFFFFFFF * 1000) // 1000))  # fmt: skip
    return [*body, nest(3, *pairs)]


def _number(tree: s.Object, options: dict[str, str], word: str, top: int) -> int:
    value = options[word]
    if not value.isdecimal() or int(value) > top:
        raise Wrong(tree.at, f"{word} of {tree.kind} {tree.name} is no number up to {top}")
    return int(value)


def _expectation(tree: s.Object) -> list[bytes]:
    options = _options(tree, "protocol", "dport", "timeout", "size")
    return [
        u16(1, _l3(tree, options)), u8(2, _protocol(tree, options)),
        u16(3, _number(tree, options, "dport", 0xFFFF)),
        attribute(4, milliseconds(options["timeout"], tree.at, 0xFFFFFFFF).to_bytes(4, "little")),
        u8(5, _number(tree, options, "size", 255)),
    ]  # fmt: skip


def _secmark(tree: s.Object) -> list[bytes]:
    return [text(1, _options(tree, "context")["context"])]


_BODIES: dict[str, Callable[[s.Object], list[bytes]]] = {
    "counter": _counter, "quota": _quota, "limit": _limit, "synproxy": _synproxy,
    "ct helper": _helper, "ct timeout": _timeout, "ct expectation": _expectation,
    "secmark": _secmark,
}  # fmt: skip
