"""Statements → kernel expressions: a table of functions, one a kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import datatypes as t
from . import ops, values
from . import syntax as s
from .assign import assign
from .datatypes import sized
from .fields import NETWORK, TCP_OPTIONS, TRANSPORT
from .loads import Loaded, load_all
from .matches import decide, match
from .nat import nat, send, tproxy
from .needs import merged
from .parse_statements import BYTES, LEVELS
from .problems import Wrong, did_you_mean
from .scope import EVAL, INTERVAL, TIMEOUT, SetKind
from .sets import OBJECT_KINDS, meter
from .writer import Writer

PER = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
LOG_FLAGS = {"tcp sequence": 1, "tcp options": 2, "ip options": 4, "skuid": 8, "ether": 32,
             "all": 47}  # fmt: skip
_OVER = 1
_MOST = 128
"""Expressions of a rule (NFT_RULE_MAXEXPRS)."""
_REJECTS = {
    "icmp": (0, t.ICMP_CODE, "ip"),
    "icmpv6": (0, t.ICMPV6_CODE, "ip6"),
    "icmpx": (2, t.ICMPX_CODE, ""),
}


def statement(w: Writer, tree: s.Statement) -> None:
    _STATEMENTS[type(tree)](w, tree)


def rule_expressions(w: Writer, tree: s.Rule) -> list[bytes]:
    """All expressions of a rule, in order."""
    known = w.family in ("ip", "ip6")
    for each in tree.statements:
        if known and each is not tree.statements[-1] and _said_by_table(w.family, each):
            continue
        _STATEMENTS[type(each)](w, each)
    found = merged(w.items)
    if len(found) > _MOST:
        raise Wrong(tree.at, f"the rule comes to {len(found)} expressions",
                    f"the kernel takes {_MOST}: part it, or look it up in a set")  # fmt: skip
    return found


def _said_by_table(family: str, tree: s.Statement) -> bool:
    """``meta protocol ip`` in a table of family ip, before anything else."""
    return (
        isinstance(tree, s.Match)
        and tree.left == s.Selector(("meta", "protocol"))
        and tree.operator in ("", "==")
        and tree.right == s.Value(family)
    )


def _counter(w: Writer, tree: s.Counter) -> None:
    w.emit(ops.counter(tree.packets or 0, tree.bytes or 0))


def limit_of(tree: s.Limit) -> tuple[int, int, int, int, int]:
    """Rate, seconds, burst, kind and flags, as the kernel counts them."""
    over = _OVER if tree.over else 0
    if tree.unit == "packets":
        burst = 5 if tree.burst is None else tree.burst
        return tree.rate, PER[tree.per], burst, 0, over
    burst = (tree.burst or 0) * BYTES.get(tree.burst_unit, 1)
    if burst > 0xFFFFFFFF:
        raise Wrong(tree.at, "the burst is more than 4 GiB")
    return _bytes(tree.rate, tree.unit, tree.at), PER[tree.per], burst, 1, over


def _limit(w: Writer, tree: s.Limit) -> None:
    w.emit(ops.limit(*limit_of(tree)))


def quota_of(tree: s.Quota) -> tuple[int, int, int]:
    used = _bytes(tree.used or 0, tree.used_unit, tree.at)
    return _bytes(tree.amount, tree.unit, tree.at), _OVER if tree.over else 0, used


def _bytes(amount: int, unit: str, at: int) -> int:
    total = amount * BYTES.get(unit, 1)
    if total >= 1 << 64:
        raise Wrong(at, f"{amount} {unit} are more than the kernel can count")
    return total


def _log(w: Writer, tree: s.Log) -> None:
    flags = 0
    for flag in tree.flags:
        flags |= LOG_FLAGS[flag]
    level = LEVELS.index(tree.level) if tree.level else None
    grouped = tree.group is not None or tree.snaplen is not None or tree.threshold is not None
    if grouped and (tree.level or tree.flags):
        raise Wrong(tree.at, "a log to a group has no level and no flags")
    if not grouped and level is None:
        level = 4
    w.emit(ops.log(_prefix(w, tree), *_group(tree, grouped), level, flags))


def _prefix(w: Writer, tree: s.Log) -> str:
    if tree.prefix is None:
        return ""
    prefix = w.scope.replaced(tree.prefix)
    if not isinstance(prefix, s.Value):
        raise Wrong(tree.at, "expected a prefix in quotes")
    if len(prefix.text.encode()) > 127:
        raise Wrong(prefix.at, "a log prefix has at most 127 bytes")
    return prefix.text


def _group(tree: s.Log, grouped: bool) -> tuple[int | None, int | None, int | None]:
    if not grouped:
        return None, None, None
    return tree.group or 0, tree.snaplen, tree.threshold


def _reject(w: Writer, tree: s.Reject) -> None:
    if w.family == "arp":
        raise Wrong(tree.at, "reject does not go with arp", "write drop")
    if tree.kind == "tcp reset":
        w.items[:0] = w.packet.need("tcp", tree.at)
        w.emit(ops.reject(1, 0))
        return
    if not tree.kind:
        w.emit(ops.reject(*_default_reject(w)))
        return
    kind, codes, carrier = _REJECTS[tree.kind]
    if not carrier and w.family in ("ip", "ip6"):
        raise Wrong(tree.at, "icmpx is for tables of both IPv4 and IPv6",
                    f"write {'icmp' if w.family == 'ip' else 'icmpv6'}")  # fmt: skip
    assert tree.code is not None
    code = w.scope.number(codes, tree.code)
    if carrier:
        w.items[:0] = w.packet.need(carrier, tree.at)
    w.emit(ops.reject(kind, code))


def _default_reject(w: Writer) -> tuple[int, int]:
    """Port unreachable, in the words of the protocol that is known."""
    if w.packet.known.get(TRANSPORT) == "tcp" and w.family == "":
        return 1, 0
    network = w.packet.known.get(NETWORK)
    return {"ip": (0, 3), "ip6": (0, 4)}.get(network or "", (2, 1))


def _synproxy(w: Writer, tree: s.Synproxy) -> None:
    w.emit(ops.synproxy(*synproxy_of(tree)))


def synproxy_of(tree: s.Synproxy) -> tuple[int, int, int]:
    flags = (1 if tree.mss is not None else 0) | (2 if tree.wscale is not None else 0)
    flags |= 4 if "sack-perm" in tree.flags else 0
    flags |= 8 if "timestamp" in tree.flags else 0
    return tree.mss or 0, tree.wscale or 0, flags


def _queue(w: Writer, tree: s.Queue) -> None:
    flags = (1 if "bypass" in tree.flags else 0) | (2 if "fanout" in tree.flags else 0)
    to = tree.to and w.scope.replaced(tree.to)
    number = sized(t.INTEGER, 16)
    if to is None:
        low, high = 0, 0
    elif isinstance(to, s.Value | s.Range):
        low, high = w.scope.span(number, to)
    elif isinstance(to, s.Map):
        w.look_up(to.key, to.table, to=0, data=(number,))
        w.emit(ops.queue_to(0, flags))
        return
    else:
        if isinstance(to, s.Hash) and to.offset + to.modulus - 1 > 0xFFFF:
            raise Wrong(to.at, f"this comes to queue {to.offset + to.modulus - 1}",
                        "the last queue is 65535")  # fmt: skip
        w.need(to)
        w.emit(*load_all(to, 0, w.scope)[1], ops.queue_to(0, flags))
        return
    if flags & 2 and low == high:
        raise Wrong(tree.at, "fanout needs a range of queues")
    w.emit(ops.queue(low, high - low + 1, flags))


def _plain(w: Writer, tree: s.Plain) -> None:
    w.emit(ops.plain(tree.word))


_VERBS = {"add": 0, "update": 1, "delete": 2}


def _remember(w: Writer, tree: s.Remember) -> None:
    kind = w.set_named(s.SetName(tree.name, tree.at))
    each = tree.element
    w.need(each.key)
    loaded, found = load_all(w.told(each.key), 0, w.scope, bool(kind.flags & INTERVAL))
    if [one.width for one in loaded] != [one.bytes for one in kind.key]:
        raise Wrong(each.at, f"{tree.name} holds {' . '.join(one.name for one in kind.key)}")
    w.emit(*found)
    data = _remembered(w, tree, kind.data) if each.data is not None else None
    timeout = values.milliseconds(each.timeout, each.at) if each.timeout else 0
    if timeout and not kind.flags & TIMEOUT:
        raise Wrong(each.at, f"{tree.name} has no timeouts", "add 'flags timeout' to it")
    if not kind.flags & (EVAL | TIMEOUT):
        raise Wrong(tree.at, f"{tree.name} is not dynamic", "add 'flags dynamic' to it")
    statements = tuple(w.stateful(each.statements))
    w.emit(ops.dynset(_VERBS[tree.verb], tree.name, kind.number, 0, data, timeout, statements))


def _meter(w: Writer, tree: s.Meter) -> None:
    each = tree.element
    w.need(each.key)
    loaded, found = load_all(w.told(each.key), 0, w.scope)
    w.emit(*found)
    timeout = values.milliseconds(each.timeout, each.at) if each.timeout else 0
    kind = SetKind(tree.name, tuple(one.type for one in loaded), None,
                   1 | EVAL | (TIMEOUT if timeout else 0), number=w.scope.next())  # fmt: skip
    w.sets.append(meter(w.table, kind, tree.size, tree.at))
    verb = _VERBS["update" if timeout else "add"]
    statements = tuple(w.stateful(each.statements))
    w.emit(ops.dynset(verb, tree.name, kind.number, 0, None, timeout, statements))


def _remembered(w: Writer, tree: s.Remember, types: tuple[t.Type, ...] | None) -> int:
    if types is None:
        raise Wrong(tree.at, f"{tree.name} is a set, and maps to nothing")
    from .assign import put

    slot = 4
    assert tree.element.data is not None
    put(w, [Loaded(each) for each in types], tree.element.data, slot)
    return slot


def _refer(w: Writer, tree: s.Refer) -> None:
    kind = OBJECT_KINDS[tree.kind]
    name = w.scope.replaced(tree.name)
    if isinstance(name, s.Map):
        w.look_up(name.key, name.table, objects=kind)
        return
    if not isinstance(name, s.Value):
        raise Wrong(tree.at, f"expected the name of a {tree.kind}")
    known = [each for each, of in w.known.objects if of == tree.kind]
    if name.text not in known and not w.known.open:
        raise Wrong(name.at or tree.at, f"table {w.table} has no {tree.kind} {name.text!r}",
                    did_you_mean(name.text, known))  # fmt: skip
    w.emit(ops.reference(kind, name.text))


def _reset(w: Writer, tree: s.Reset) -> None:
    known = TCP_OPTIONS.get(tree.option)
    w.emit(ops.exthdr_reset(int(tree.option) if known is None else known))


def _foreign(w: Writer, tree: s.Foreign) -> None:
    raise Wrong(tree.at, f"{tree.what} is not translated by netlab", uncovered=True)


def _offload(w: Writer, tree: s.Offload) -> None:
    if tree.name not in w.known.flowtables and not w.known.open:
        raise Wrong(tree.at, f"table {w.table} has no flowtable {tree.name!r}",
                    did_you_mean(tree.name, w.known.flowtables))  # fmt: skip
    w.emit(ops.offload(tree.name))


_STATEMENTS: dict[type, Callable[[Writer, Any], None]] = {
    s.Match: match,
    s.Decide: decide,
    s.Assign: assign,
    s.Counter: _counter,
    s.Limit: _limit,
    s.Quota: lambda w, tree: w.emit(ops.quota(*quota_of(tree))),
    s.Connections: lambda w, tree: w.emit(ops.connections(tree.count, int(tree.over))),
    s.Log: _log,
    s.Reject: _reject,
    s.Nat: nat,
    s.Tproxy: tproxy,
    s.Synproxy: _synproxy,
    s.Queue: _queue,
    s.Send: send,
    s.Plain: _plain,
    s.Remember: _remember,
    s.Meter: _meter,
    s.Refer: _refer,
    s.Reset: _reset,
    s.Offload: _offload,
    s.Foreign: _foreign,
}
