"""Expressions, statements and rules → nft text, in the form in which nft lists them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from . import syntax as s
from .fields import SHOWN_BARE

_BINDING = {"|": 1, "^": 2, "&": 3, "<<": 4, ">>": 4}


def expression(tree: s.Expression | s.Member) -> str:
    return _EXPRESSIONS[type(tree)](tree)


def statement(tree: s.Statement) -> str:
    return _STATEMENTS[type(tree)](tree)


def rule(tree: s.Rule) -> str:
    text = " ".join(map(statement, tree.statements))
    return f'{text} comment "{tree.comment}"' if tree.comment else text


# ---- expressions


def _value(v: s.Value) -> str:
    return f'"{v.text}"' if v.quoted else v.text


def _selector(v: s.Selector) -> str:
    if v.words[0] == "meta" and v.words[1] in SHOWN_BARE:
        return v.words[1]
    return " ".join(v.words)


def _hash(v: s.Hash) -> str:
    of = f" {expression(v.of)}" if v.of is not None else ""
    seed = f" seed 0x{v.seed:x}" if v.seed is not None else ""
    offset = f" offset {v.offset}" if v.offset else ""
    return f"{v.kind}{of} mod {v.modulus}{seed}{offset}"


def _binary(v: s.Binary) -> str:
    return f"{_operand(v.left, v, 0)} {v.operator} {_operand(v.right, v, 1)}"


def _operand(part: s.Expression, whole: s.Binary, right: int) -> str:
    text = expression(part)
    if isinstance(part, s.Binary) and _BINDING[part.operator] < _BINDING[whole.operator] + right:
        return f"({text})"
    return text


def _tight(v: s.Expression) -> str:
    text = expression(v)
    return f"({text})" if isinstance(v, s.Binary) else text


def _prefix(v: s.Prefix) -> str:
    base = _tight(v.base)
    return f"{base}{_apart('/', base)}{v.length}"


def _range(v: s.Range) -> str:
    low = _tight(v.low)
    return f"{low}{_apart('-', low)}{_tight(v.high)}"


def _apart(sign: str, before: str) -> str:
    """Words may have the sign in them: behind one it needs space around it."""
    is_word = before[:1] in "$_" or (before[:1].isalpha() and ":" not in before)
    return f" {sign} " if is_word else sign


def _element(v: s.Element) -> str:
    words = [expression(v.key)]
    words += [statement(each) for each in v.statements]
    words += [f"timeout {v.timeout}"] if v.timeout else []
    words += [f"expires {v.expires}"] if v.expires else []
    words += [f'comment "{v.comment}"'] if v.comment else []
    words += [f": {expression(v.data)}"] if v.data is not None else []
    return " ".join(words)


def _map(v: s.Map) -> str:
    return f"{expression(v.key)} {'vmap' if v.verdicts else 'map'} {expression(v.table)}"


def literal(v: s.SetLiteral) -> str:
    return f"{{ {', '.join(map(expression, v.elements))} }}" if v.elements else "{ }"


_EXPRESSIONS: dict[type, Callable[[Any], str]] = {
    s.Value: _value,
    s.Variable: lambda v: f"${v.name}",
    s.Wildcard: lambda v: "*",
    s.Prefix: _prefix,
    s.Range: _range,
    s.Selector: _selector,
    s.Raw: lambda v: f"@{v.base},{v.offset},{v.length}",
    s.Hash: _hash,
    s.Concat: lambda v: " . ".join(map(expression, v.parts)),
    s.Binary: _binary,
    s.Values: lambda v: ",".join(map(_tight, v.items)),
    s.SetName: lambda v: f"@{v.name}",
    s.Verdict: lambda v: v.kind if v.chain is None else f"{v.kind} {expression(v.chain)}",
    s.SetLiteral: literal,
    s.Element: _element,
    s.Bulk: lambda v: ", ".join(v.texts),
    s.Map: _map,
}

# ---- statements


def _remember(v: s.Remember) -> str:
    return f"{v.verb} @{v.name} {_remembered(v.element)}"


def _remembered(each: s.Element) -> str:
    words = [expression(each.key)]
    words += [f"timeout {each.timeout}"] if each.timeout else []
    words += [f'comment "{each.comment}"'] if each.comment else []
    words += [statement(one) for one in each.statements]
    words += [f": {expression(each.data)}"] if each.data is not None else []
    return f"{{ {' '.join(words)} }}"


def _meter(v: s.Meter) -> str:
    size = f" size {v.size}" if v.size is not None else ""
    return f"meter {v.name}{size} {_remembered(v.element)}"


def _match(v: s.Match) -> str:
    mask = f" / {expression(v.mask)}" if v.mask is not None else ""
    operator = f" {v.operator}" if v.operator else ""
    return f"{expression(v.left)}{operator} {expression(v.right)}{mask}"


def _counter(v: s.Counter) -> str:
    return "counter" if v.packets is None else f"counter packets {v.packets} bytes {v.bytes}"


def _refer(v: s.Refer) -> str:
    name = expression(v.name)
    if v.kind == "secmark":
        return f"meta secmark set {name}"
    if v.kind.startswith("ct "):
        return f"{v.kind} set {name}"
    return f"{v.kind} name {name}"


def limit_words(v: s.Limit) -> str:
    unit = "/" if v.unit == "packets" else f" {v.unit}/"
    burst = f" burst {v.burst} {v.burst_unit}" if v.burst is not None else ""
    return f"rate {'over ' if v.over else ''}{v.rate}{unit}{v.per}{burst}"


def quota_words(v: s.Quota) -> str:
    used = f" used {v.used} {v.used_unit}" if v.used is not None else ""
    return f"{'over ' if v.over else ''}{v.amount} {v.unit}{used}"


def _log(v: s.Log) -> str:
    words = ["log"]
    words += [f"prefix {expression(v.prefix)}"] if v.prefix is not None else []
    words += [f"level {v.level}"] if v.level else []
    words += [f"group {v.group}"] if v.group is not None else []
    words += [f"snaplen {v.snaplen}"] if v.snaplen is not None else []
    words += [f"queue-threshold {v.threshold}"] if v.threshold is not None else []
    return " ".join([*words, *_log_flags(v.flags)])


def _log_flags(flags: tuple[str, ...]) -> Iterator[str]:
    tcp = [flag.removeprefix("tcp ") for flag in flags if flag.startswith("tcp ")]
    if tcp:
        yield f"flags tcp {','.join(tcp)}"
    yield from (f"flags {flag}" for flag in flags if not flag.startswith("tcp "))


def _reject(v: s.Reject) -> str:
    if not v.kind:
        return "reject"
    code = f" {expression(v.code)}" if v.code is not None else ""
    return f"reject with {v.kind}{code}"


def _target(address: s.Expression | None, port: s.Expression | None) -> str:
    text = "" if address is None else _bracketed(address, port is not None)
    if port is None:
        return text
    return f"{text}{' ' if text.isalnum() else ''}:{expression(port)}"


def _bracketed(address: s.Expression, port: bool) -> str:
    if isinstance(address, s.Range) and port:
        return f"{_bracketed(address.low, port)}-{_bracketed(address.high, port)}"
    text = expression(address)
    return f"[{text}]" if port and isinstance(address, s.Value) and ":" in text else text


def _nat(v: s.Nat) -> str:
    words = [v.kind]
    words += [v.family] if v.family else []
    words += [v.concat] if v.concat else []
    if v.address is not None or v.port is not None:
        words += ["to", _target(v.address, v.port)]
    words += [",".join(v.flags)] if v.flags else []
    return " ".join(words)


def _tproxy(v: s.Tproxy) -> str:
    family = f" {v.family}" if v.family else ""
    return f"tproxy{family} to {_target(v.address, v.port)}"


def _synproxy(v: s.Synproxy) -> str:
    return " ".join(["synproxy", *synproxy_words(v)])


def synproxy_words(v: s.Synproxy) -> list[str]:
    words = [f"mss {v.mss}"] if v.mss is not None else []
    words += [f"wscale {v.wscale}"] if v.wscale is not None else []
    return [*words, *v.flags]


def _queue(v: s.Queue) -> str:
    words = ["queue"]
    words += [f"flags {','.join(v.flags)}"] if v.flags else []
    words += [f"to {expression(v.to)}"] if v.to is not None else []
    return " ".join(words)


def _send(v: s.Send) -> str:
    words = [v.kind]
    words += [v.family] if v.family else []
    words += ["to"]
    words += [expression(v.address)] if v.address is not None else []
    if v.device is not None:
        words += [f"device {expression(v.device)}" if v.address is not None else
                  expression(v.device)]  # fmt: skip
    return " ".join(words)


_STATEMENTS: dict[type, Callable[[Any], str]] = {
    s.Match: _match,
    s.Decide: lambda v: expression(v.verdict),
    s.Assign: lambda v: f"{expression(v.target)} set {expression(v.value)}",
    s.Counter: _counter,
    s.Refer: _refer,
    s.Limit: lambda v: f"limit {limit_words(v)}",
    s.Quota: lambda v: f"quota {quota_words(v)}",
    s.Connections: lambda v: f"ct count {'over ' if v.over else ''}{v.count}",
    s.Log: _log,
    s.Reject: _reject,
    s.Nat: _nat,
    s.Tproxy: _tproxy,
    s.Synproxy: _synproxy,
    s.Queue: _queue,
    s.Send: _send,
    s.Plain: lambda v: v.word,
    s.Remember: _remember,
    s.Meter: _meter,
    s.Reset: lambda v: f"reset tcp option {v.option}",
    s.Offload: lambda v: f"flow add @{v.name}",
    s.Foreign: lambda v: v.text,
}
