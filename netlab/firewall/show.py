"""Syntax tree → nft text, in the form in which ``nft list ruleset`` writes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from . import syntax as s
from .show_rules import (
    expression,
    limit_words,
    literal,
    quota_words,
    rule,
    statement,
    synproxy_words,
)


def show(script: s.Script) -> str:
    """The text of a whole script; parsed again it gives an equal tree."""
    return "".join(f"{line}\n" for each in script.lines for line in _line(each))


def _line(tree: s.Line) -> Iterator[str]:
    if isinstance(tree, s.Define):
        yield _define(tree)
    elif isinstance(tree, s.Include):
        yield f'include "{tree.path}"'
    else:
        yield from _command(tree)


def _define(tree: s.Define) -> str:
    value = f" = {expression(tree.value)}" if tree.value is not None else ""
    return f"{tree.verb} {tree.name}{value}"


def _command(tree: s.Command) -> Iterator[str]:
    if tree.verb == "" and isinstance(tree.body, s.Table):
        yield from table(tree.body)
        return
    words = [tree.verb, tree.kind, tree.family, tree.table, tree.name]
    words += [f"handle {tree.handle}"] if tree.handle is not None else []
    words += [f"{tree.position[0]} {tree.position[1]}"] if tree.position else []
    head = " ".join(filter(None, words))
    body = list(_body(tree))
    if body:
        yield f"{head} {body[0]}"
        yield from body[1:]
    else:
        yield head


def _body(tree: s.Command) -> Iterator[str]:
    body = tree.body
    if isinstance(body, s.Table):
        inside = list(_table_inside(body))
        yield from _braced("", inside) if inside else ()
    elif isinstance(body, s.Rule):
        yield rule(body)
    elif isinstance(body, s.SetLiteral):
        one = body.elements[0] if len(body.elements) == 1 else None
        yield expression(one) if isinstance(one, s.Variable) else literal(body)
    elif isinstance(body, s.Chain):
        inside = list(_chain_inside(body))
        yield from _braced("", inside) if inside else ()
    elif isinstance(body, s.Set):
        yield from _braced("", _set_inside(body))
    elif isinstance(body, s.Object):
        inside = list(_object_inside(body))
        yield from _braced("", inside) if inside else ()
    elif isinstance(body, s.Flowtable):
        yield from _braced("", _flowtable_inside(body))


def _braced(head: str, inside: Iterable[str]) -> Iterator[str]:
    yield f"{head} {{".lstrip()
    yield from (f"\t{line}" if line else "" for line in inside)
    yield "}"


def table(tree: s.Table) -> Iterator[str]:
    """The lines of a table."""
    return _braced(f"table {tree.family} {tree.name}", _table_inside(tree))


def _table_inside(tree: s.Table) -> Iterator[str]:
    if tree.flags:
        yield f"flags {','.join(tree.flags)}"
    if tree.comment:
        yield f'comment "{tree.comment}"'
    first = not tree.flags
    for each in tree.parts:
        if isinstance(each, s.Define):
            yield _define(each)
            continue
        if not first:
            yield ""
        first = False
        yield from part(each)


def part(tree: s.Part) -> Iterator[str]:
    """The lines of a chain, a set, a map, a named object or a flowtable."""
    if isinstance(tree, s.Chain):
        yield from _braced(f"chain {tree.name}", _chain_inside(tree))
    elif isinstance(tree, s.Set):
        kind = "map" if tree.data is not None else "set"
        yield from _braced(f"{kind} {tree.name}", _set_inside(tree))
    elif isinstance(tree, s.Object):
        yield from _braced(f"{tree.kind} {tree.name}", _object_inside(tree))
    else:
        yield from _braced(f"flowtable {tree.name}", _flowtable_inside(tree))


def _chain_inside(tree: s.Chain) -> Iterator[str]:
    if tree.comment:
        yield f'comment "{tree.comment}"'
    if tree.hook:
        policy = f" policy {tree.policy};" if tree.policy else ""
        yield f"{hook_words(tree.hook)};{policy}"
    elif tree.policy:
        yield f"policy {tree.policy}"
    if tree.offload:
        yield "flags offload"
    yield from map(rule, tree.rules)


def hook_words(hook: s.Hook) -> str:
    words = [f"type {hook.type} hook {hook.hook}", *_device_words(hook.devices)]
    if hook.priority is not None:
        words.append(f"priority {_priority(hook.priority, hook.offset)}")
    return " ".join(words)


def _device_words(devices: tuple[s.Expression, ...]) -> list[str]:
    if len(devices) == 1 and not isinstance(devices[0], s.Variable):
        return [f"device {expression(devices[0])}"]
    return [f"devices = {{ {', '.join(map(expression, devices))} }}"] if devices else []


def _priority(priority: s.Expression, offset: int) -> str:
    sign = f" {'-' if offset < 0 else '+'} {abs(offset)}" if offset else ""
    return f"{expression(priority)}{sign}"


def _types(tree: tuple[str, ...] | s.Expression) -> str:
    return " . ".join(tree) if isinstance(tree, tuple) else expression(tree)


def _set_inside(tree: s.Set) -> Iterator[str]:
    word = "type" if isinstance(tree.key, tuple) else "typeof"
    interval = "interval " if tree.data_interval else ""
    data = f" : {interval}{_types(tree.data)}" if tree.data is not None else ""
    yield f"{word} {_types(tree.key)}{data}"
    if tree.policy:
        yield f"policy {tree.policy}"
    if tree.size is not None:
        yield f"size {tree.size}"
    if tree.flags:
        yield f"flags {','.join(tree.flags)}"
    if tree.timeout:
        yield f"timeout {tree.timeout}"
    if tree.gc_interval:
        yield f"gc-interval {tree.gc_interval}"
    if tree.auto_merge:
        yield "auto-merge"
    if tree.statements:
        yield " ".join(map(statement, tree.statements))
    if tree.comment:
        yield f'comment "{tree.comment}"'
    yield from _elements(tree)


_FIVE = frozenset((
    "nf_proto", "integer", "arp_op", "inet_proto", "inet_service", "tcp_flag", "dccp_pkttype",
    "mark", "iface_index", "classid", "uid", "gid", "ct_dir", "pkt_type",
))  # fmt: skip
_TWO = frozenset(("ipv4_addr", "ct_state", "ct_status"))


def _elements(tree: s.Set) -> Iterator[str]:
    if not tree.elements:
        return
    texts = [text for each in tree.elements for text in _texts(each)]
    step = _step(tree)
    rows = [", ".join(texts[at : at + step]) for at in range(0, len(texts), step)]
    lines = ",\n".join(rows).split("\n")
    yield f"elements = {{ {lines[0]}" + (" }" if len(lines) == 1 else "")
    for number, line in enumerate(lines[1:], 2):
        yield f"\t     {line}" + (" }" if number == len(lines) else "")


def _texts(member: s.Member) -> Sequence[str]:
    return member.texts if isinstance(member, s.Bulk) else (expression(member),)


def _step(tree: s.Set) -> int:
    """Elements a line, by the type of the key."""
    name = tree.key[0] if isinstance(tree.key, tuple) and len(tree.key) == 1 else ""
    if not isinstance(tree.key, tuple | s.Concat):
        from .loads import type_of

        name = type_of(tree.key).name
    return 5 if name in _FIVE else 2 if name in _TWO else 1


def _object_inside(tree: s.Object) -> Iterator[str]:
    if tree.comment:
        yield f'comment "{tree.comment}"'
    if isinstance(tree.body, s.Counter):
        yield statement(tree.body).removeprefix("counter ")
    elif isinstance(tree.body, s.Quota):
        yield quota_words(tree.body)
    elif isinstance(tree.body, s.Limit):
        yield limit_words(tree.body)
    elif isinstance(tree.body, s.Synproxy):
        yield from _synproxy_lines(tree.body)
    yield from _option_lines(tree)


def _synproxy_lines(tree: s.Synproxy) -> Iterator[str]:
    words = synproxy_words(tree)
    numbers = [word for word in words if " " in word]
    flags = [word for word in words if " " not in word]
    yield from numbers
    if flags:
        yield " ".join(flags)


def _option_lines(tree: s.Object) -> Iterator[str]:
    options = dict(tree.options)
    if tree.kind == "ct helper" and "type" in options:
        words = [f'type "{options.pop("type")}"']
        words += [f"protocol {options.pop('protocol')}"] if "protocol" in options else []
        yield " ".join(words)
    for word, text in options.items():
        if word == "policy":
            states = text.split()
            pairs = zip(states[::2], states[1::2], strict=True)
            yield f"policy = {{ {', '.join(f'{state} : {time}' for state, time in pairs)} }}"
        elif word == "context":
            yield f'"{text}"'
        else:
            yield f"{word} {text}"


def _flowtable_inside(tree: s.Flowtable) -> Iterator[str]:
    if tree.priority is not None:
        yield f"hook ingress priority {_priority(tree.priority, tree.offset)}"
    if tree.devices:
        yield f"devices = {{ {', '.join(map(expression, tree.devices))} }}"
    flags = [flag for flag in tree.flags if flag != "counter"]
    if flags:
        yield f"flags {','.join(flags)}"
    if "counter" in tree.flags:
        yield "counter"
