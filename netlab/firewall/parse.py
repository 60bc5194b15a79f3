"""nft text → syntax tree: commands, tables, and what tables hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import count

from . import syntax as s
from .cursor import Cursor
from .lexer import NUMBER, STRING, WORD, offset, tokens
from .pace import without_collector
from .parse_expressions import assigned, constant, set_literal, verdict
from .parse_objects import OBJECTS, flowtable, object_of
from .parse_sets import named_set
from .parse_statements import STATEMENTS, rule
from .problems import RuleProblem, RulesetError, Wrong, did_you_mean
from .sources import Place, Source, Sources

FAMILIES = ("ip", "ip6", "inet", "arp", "bridge", "netdev")
_VERBS = ("add", "create", "delete", "destroy", "flush", "insert", "replace", "reset", "list",
          "rename")  # fmt: skip
_KINDS = ("table", "chain", "rule", "set", "map", "element", "flowtable", "counter", "quota",
          "limit", "ct", "synproxy", "secmark", "ruleset")  # fmt: skip
_LARGEST = 16 << 20
_FILES = 64

Read = Callable[[str], Source]
"""The text that an ``include`` names; raises ``OSError`` or ``ValueError`` with the reason."""


def no_includes(path: str) -> Source:
    raise ValueError("there is no folder to include from")


def parse(text: str, file: str = "<text>", *, line: int = 1, indent: int = 0,
          read: Read = no_includes) -> s.Script:  # fmt: skip
    """The tree of a text; all mistakes at once, as ``RulesetError``.

    ``line`` and ``indent`` say where the text starts within its file.
    """
    return parse_all([Source(file, text, line, indent)], read)


def parse_all(texts: Iterable[Source], read: Read = no_includes) -> s.Script:
    """The tree of several texts, one behind the other."""
    reader = _Reader(read)
    lines: list[s.Line] = []
    with without_collector():
        for text in texts:
            reader.text(text, lambda c: lines.extend(_line(c, reader)))
    if reader.problems:
        raise RulesetError(tuple(sorted(set(reader.problems))))
    return s.Script(tuple(lines), reader.sources)


class _Reader:
    """The texts of one script, those included too, and what is wrong in them."""

    def __init__(self, read: Read) -> None:
        self.read = read
        self.sources = Sources(offset=offset)
        self.problems: list[RuleProblem] = []
        self.open: list[str] = []

    def text(self, source: Source, line: Callable[[Cursor], None]) -> None:
        """All lines of a text, each read by ``line``."""
        start = self.sources.add(source)
        if odd := _unreadable(source.text):
            place = Place(source.file, source.line, 1)
            self.problems.append(RuleProblem(place, f"{source.file} {odd}"))
            return
        self.open.append(source.file)
        try:
            self.lines(Cursor(tokens(source.text, start), self.include), line)
        except Wrong as wrong:
            self.wrong(wrong)
        self.open.pop()

    def lines(self, c: Cursor, line: Callable[[Cursor], None]) -> None:
        while True:
            c.lines()
            if c.over:
                return
            self.attempt(c, line)

    def attempt(self, c: Cursor, line: Callable[[Cursor], None]) -> None:
        """Read a line; after a mistake go on behind it."""
        before = c.i
        try:
            line(c)
        except Wrong as wrong:
            self.wrong(wrong)
            c.recover(before)
        if c.i == before:
            c.take()

    def wrong(self, wrong: Wrong) -> None:
        place = self.sources.place(wrong.at)
        self.problems.append(RuleProblem(place, wrong.message, wrong.hint))

    def include(self, path: str, at: int, line: Callable[[Cursor], None]) -> None:
        try:
            source = self.read(path)
        except (OSError, ValueError) as no:
            raise Wrong(at, f"cannot include {path!r}: {_why(no)}") from None
        if source.file in self.open:
            raise Wrong(at, f"{path!r} includes itself: {' → '.join([*self.open, source.file])}")
        if len(self.sources.texts) >= _FILES:
            raise Wrong(at, f"more than {_FILES} files are included")
        self.text(source, line)


def _unreadable(text: str) -> str:
    """What is wrong with a text as a whole."""
    if len(text) > _LARGEST:
        return f"has more than {_LARGEST >> 20} MiB"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "is no text in UTF-8"
    return ""


def _why(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)


def _line(c: Cursor, reader: _Reader) -> list[s.Line]:
    found: list[s.Line]
    if c.text in ("define", "redefine", "undefine"):
        found = [define(c)]
    elif c.text == "include":
        found = [_include(c, reader)]
    elif c.text == "table":
        found = [_table_block(c, "", reader, c.at)]
    elif c.text in _VERBS:
        found = [_command(c, reader)]
    elif c.text in _KINDS and c.text != "ruleset":
        found = [_command(c, reader, "add")]
    else:
        known = ("table", "define", "include", *_VERBS)
        c.refuse(f"unexpected {c.said}", did_you_mean(c.text, known))
    c.end()
    return found


def define(c: Cursor) -> s.Define:
    at = c.at
    verb = c.take()
    name = c.word("a variable's name")
    if verb == "undefine":
        return s.Define(name, None, verb, at)
    c.expect("=")
    if c.kind == WORD and c.text in ("accept", "drop", "jump", "goto", "continue", "return"):
        return s.Define(name, verdict(c), verb, at)
    if c.text == "-" and c.after() and c.kinds[c.i + 1] == NUMBER:
        c.take()
        return s.Define(name, s.Value("-" + c.take(), False, at), verb, at)
    return s.Define(name, assigned(c), verb, at)


def _include(c: Cursor, reader: _Reader) -> s.Include:
    at, lines = c.at, list[s.Line]()
    path = include(c, lambda inner: lines.extend(_line(inner, reader)))
    return s.Include(path, tuple(lines), at)


def include(c: Cursor, line: Callable[[Cursor], None]) -> str:
    """Read the file that is named, as if its lines stood here; its path."""
    c.take()
    at = c.at
    path = c.string("a path")
    c.reach(path, at, line)
    return path


def _family(c: Cursor, names: int = 1) -> str:
    """Left out, it is ip; ``names`` follow it."""
    words = next(n for n in count() if c.kinds[c.i + n] not in (WORD, STRING))
    if c.text in FAMILIES and c.kind == WORD and words > 1:
        return c.take()
    if words > names:
        c.refuse(f"unknown family {c.said}", did_you_mean(c.text, FAMILIES))
    return "ip"


def _handle(c: Cursor) -> int | None:
    return c.number("a handle") if c.accept("handle") else None


def _table_block(c: Cursor, verb: str, reader: _Reader, at: int) -> s.Command:
    c.expect("table")
    family = _family(c)
    name = c.word("the name of a table")
    body = s.Table(family, name, at=at)
    if c.text == "{":
        body = _table_body(c, family, name, reader, at)
    return s.Command(verb, "table", family, name, body=body, at=at)


def _table_body(c: Cursor, family: str, name: str, reader: _Reader, at: int) -> s.Table:
    opened = c.at
    c.take()
    parts: list[s.Part | s.Define] = []
    flags: list[str] = []
    said = {"comment": ""}

    def line(c: Cursor) -> None:
        _table_line(c, parts, flags, said, reader, line)

    while True:
        c.lines()
        if c.accept("}"):
            return s.Table(family, name, tuple(parts), tuple(flags), said["comment"], at)
        if c.over:
            raise Wrong(opened, f"the brace of table {name} is never closed", "add a '}'")
        reader.attempt(c, line)


def _table_line(c: Cursor, parts: list[s.Part | s.Define], flags: list[str],
                said: dict[str, str], reader: _Reader,
                line: Callable[[Cursor], None]) -> None:  # fmt: skip
    word = c.text
    if word == "chain":
        parts.append(_chain(c, reader))
    elif word in ("set", "map"):
        parts.append(named_set(c))
    elif word in OBJECTS:
        parts.append(object_of(c))
    elif word == "flowtable":
        parts.append(flowtable(c))
    elif word in ("define", "redefine", "undefine"):
        parts.append(define(c))
    elif word == "include":
        include(c, line)
    elif word == "flags":
        c.take()
        flags.append(c.one_of(("dormant", "owner", "persist"), "flag of a table"))
        while c.accept(","):
            flags.append(c.one_of(("dormant", "owner", "persist"), "flag of a table"))
    elif word == "comment":
        c.take()
        said["comment"] = c.comment()
    else:
        known = ("chain", "set", "map", "flowtable", "flags", "comment", "define", *OBJECTS)
        hint = did_you_mean(word, known)
        if word in STATEMENTS or (c.kind == WORD and not hint.startswith("did")):
            hint = "a rule stands in a chain"
        c.refuse(f"unexpected {c.said} in a table", hint)
    c.end()


def _chain(c: Cursor, reader: _Reader) -> s.Chain:
    at = c.at
    c.take()
    name = c.word("the name of a chain")
    if c.text != "{":
        return s.Chain(name, at=at)
    return chain_body(c, name, at, reader)


def chain_body(c: Cursor, name: str, at: int, reader: _Reader) -> s.Chain:
    opened = c.at
    c.expect("{")
    rules: list[s.Rule] = []
    head: dict[str, object] = {}

    def line(c: Cursor) -> None:
        word = c.texts[c.i]
        read = _HEAD.get(word)
        if read and (word != "type" or c.kinds[c.i + 1] == WORD):
            head.update(read(c))
        elif word == "include":
            include(c, line)
        else:
            rules.append(rule(c))
        c.end()

    while True:
        c.lines()
        word = c.texts[c.i]
        if word == "}":
            c.i += 1
            return s.Chain(name, rules=tuple(rules), at=at, **head)  # type: ignore[arg-type]
        if not word:
            raise Wrong(opened, f"the brace of chain {name} is never closed", "add a '}'")
        reader.attempt(c, line)


def _hook(c: Cursor) -> dict[str, object]:
    at = c.at
    c.take()
    kind = c.one_of(("filter", "nat", "route"), "type of chain")
    c.expect("hook")
    hook = c.one_of(
        ("ingress", "egress", "prerouting", "input", "forward", "output", "postrouting"), "hook"
    )
    devices: tuple[s.Expression, ...] = ()
    if c.accept("device"):
        devices = (_device(constant(c)),)
    elif c.accept("devices"):
        c.expect("=")
        devices = devices_of(c)
    c.expect("priority")
    priority, offset = priority_of(c)
    c.accept(";")
    return {"hook": s.Hook(kind, hook, priority, offset, devices, at)}


def devices_of(c: Cursor) -> tuple[s.Expression, ...]:
    if c.text != "{":
        return (_device(constant(c)),)
    found: list[s.Expression] = []
    for each in set_literal(c).elements:
        if isinstance(each, s.Bulk):
            raise Wrong(each.at, "numbers are no names of devices")
        found.append(_device(each if isinstance(each, s.Variable) else each.key))
    return tuple(found)


def _device(tree: s.Expression) -> s.Expression:
    is_name = isinstance(tree, s.Value) and not set(tree.text) & set("/: \t")
    if not is_name and not isinstance(tree, s.Variable):
        raise Wrong(tree.at, "expected the name of a device")
    return tree


def priority_of(c: Cursor) -> tuple[s.Expression, int]:
    """A number, a name, or a name and a distance."""
    at = c.at
    if c.text in ("-", "+") and c.kinds[c.i + 1] == NUMBER:
        sign = c.take()
        return s.Value(("-" if sign == "-" else "") + c.take(), False, at), 0
    name = constant(c)
    if c.text in ("-", "+") and c.kinds[c.i + 1] == NUMBER:
        sign = c.take()
        return name, (-1 if sign == "-" else 1) * c.number("a distance", 0x7FFFFFFF)
    return name, 0


def _policy(c: Cursor) -> dict[str, object]:
    c.take()
    if c.text == "$":
        value = constant(c)
        assert isinstance(value, s.Variable)
        return {"policy": f"${value.name}"}
    return {"policy": c.one_of(("accept", "drop"), "policy")}


def _flags(c: Cursor) -> dict[str, object]:
    c.take()
    c.one_of(("offload",), "flag of a chain")
    return {"offload": True}


def _comment(c: Cursor) -> dict[str, object]:
    c.take()
    return {"comment": c.comment()}


_HEAD = {"type": _hook, "policy": _policy, "flags": _flags, "comment": _comment}


# ---- commands at the top level


def _command(c: Cursor, reader: _Reader, verb: str = "") -> s.Command:
    at = c.at
    verb = verb or c.take()
    if c.text not in _KINDS:
        if verb in ("add", "insert", "create") and c.kind == WORD:
            return _rule_command(c, verb, at)
        c.refuse(f"{verb} knows no {c.said}", did_you_mean(c.text, _KINDS))
    kind = c.text
    if verb in ("list", "reset", "rename"):
        raise Wrong(at, f"{verb} is no part of a ruleset", "it is for the command line")
    if kind == "table" and verb in ("add", "create"):
        return _table_block(c, verb, reader, at)
    c.take()
    if kind == "ruleset":
        family = c.take() if c.text in FAMILIES else ""
        return s.Command(verb, kind, family, at=at)
    if kind == "rule":
        return _rule_command(c, verb, at)
    if kind == "ct":
        kind = f"ct {c.one_of(('helper', 'timeout', 'expectation'), 'object of ct')}"
    family = _family(c, 1 if kind == "table" else 2)
    if c.text == "handle":
        return s.Command(verb, kind, family, handle=_handle(c), at=at)
    table = c.word("the name of a table")
    if kind == "table":
        return s.Command(verb, kind, family, table, at=at)
    handle = _handle(c)
    if handle is not None:
        return s.Command(verb, kind, family, table, handle=handle, at=at)
    name = c.word(f"the name of a {kind}")
    body = _body(c, verb, kind, name, at, reader)
    return s.Command(verb, kind, family, table, name, body=body, at=at)


def _body(c: Cursor, verb: str, kind: str, name: str, at: int,
          reader: _Reader) -> s.Part | s.SetLiteral | None:  # fmt: skip
    if kind == "element":
        if c.text == "$":
            variable = constant(c)
            assert isinstance(variable, s.Variable)
            return s.SetLiteral((variable,), at)
        return set_literal(c)
    if verb not in ("add", "create"):
        return None
    c.i -= 1
    if kind == "chain":
        c.take()
        return chain_body(c, name, at, reader) if c.text == "{" else s.Chain(name, at=at)
    if kind in ("set", "map"):
        return named_set(c, kind)
    if kind == "flowtable":
        return flowtable(c, named=True)
    return object_of(c, kind)


def _rule_command(c: Cursor, verb: str, at: int) -> s.Command:
    family = _family_of_rule(c)
    table = c.word("the name of a table")
    chain = c.word("the name of a chain")
    position = None
    if c.text in ("position", "handle", "index") and c.kinds[c.i + 1] == NUMBER:
        position = (c.take(), c.number("a position"))
    body = None if verb in ("delete", "destroy", "reset") else rule(c)
    return s.Command(verb, "rule", family, table, chain, position=position, body=body, at=at)


def _family_of_rule(c: Cursor) -> str:
    names = c.kinds[c.i + 1] in (WORD, STRING) and c.kinds[c.i + 2] in (WORD, STRING)
    return c.take() if c.text in FAMILIES and names else "ip"


