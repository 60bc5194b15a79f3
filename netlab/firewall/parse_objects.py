"""Named counters, quotas, limits, ct helpers, timeouts and expectations, synproxies, flowtables."""

from __future__ import annotations

from . import syntax as s
from .cursor import Cursor
from .lexer import END
from .parse_statements import limit_body, quota_body, synproxy_body
from .problems import Wrong

OBJECTS = ("counter", "quota", "limit", "ct", "synproxy", "secmark")


def object_of(c: Cursor, kind: str = "") -> s.Object:
    """``counter name { … }``; the cursor stands on the word, or (``kind`` is given) on the name."""
    at = c.at
    if not kind:
        kind = c.take()
        if kind == "ct":
            kind = f"ct {c.one_of(('helper', 'timeout', 'expectation'), 'object of ct')}"
    name = c.word(f"the name of a {kind}")
    said: dict[str, object] = {}
    if c.text == "{":
        opened = c.at
        c.take()
        _inside(c, kind, said, opened)
    elif not c.ended:
        said["body"] = _statement(c, kind)
    return s.Object(kind, name, at=at, **said)  # type: ignore[arg-type]


def _inside(c: Cursor, kind: str, said: dict[str, object], opened: int) -> None:
    options: list[tuple[str, str]] = []
    while True:
        c.lines()
        if c.accept("}"):
            break
        if c.over:
            raise Wrong(opened, "the brace is never closed", "add a '}'")
        if c.accept("comment"):
            said["comment"] = c.comment()
        elif kind in _WORDS:
            at = c.at
            options += _options(c, kind)
            if len(dict(options)) < len(options):
                raise Wrong(at, f"{options[-1][0]} is said twice")
        else:
            said["body"] = _statement(c, kind)
        c.end()
    said["options"] = tuple(options)


def _statement(c: Cursor, kind: str) -> s.Statement:
    at = c.at
    if kind == "counter":
        c.expect("packets")
        packets = c.number("packets")
        c.expect("bytes")
        return s.Counter(packets, c.number("bytes"), at)
    if kind == "quota":
        return quota_body(c, at)
    if kind == "limit":
        return limit_body(c, at)
    if kind == "synproxy":
        body = synproxy_body(c, at, several=True)
        return body
    c.refuse(f"unexpected {c.said} in a {kind}")


_WORDS = {
    "ct helper": ("type", "protocol", "l3proto"),
    "ct timeout": ("protocol", "l3proto", "policy"),
    "ct expectation": ("protocol", "dport", "timeout", "size", "l3proto"),
    "secmark": ("context",),
}


def _options(c: Cursor, kind: str) -> list[tuple[str, str]]:
    found = []
    if kind == "secmark":
        return [("context", c.string("a context"))]
    while c.kind != END and c.text != "}":
        word = c.one_of(_WORDS[kind], f"part of a {kind}")
        if word == "policy":
            found.append((word, _policy(c)))
        elif word == "type":
            found.append((word, c.string("a helper's name")))
        elif c.kind == END:
            c.refuse(f"{word} says nothing")
        else:
            found.append((word, c.take()))
    return found


def _policy(c: Cursor) -> str:
    """``established 120 close 20``: states and seconds."""
    c.expect("=")
    c.expect("{")
    words: list[str] = []
    while True:
        c.lines()
        if c.accept("}"):
            return " ".join(words)
        words.append(c.word("a state"))
        c.expect(":")
        words.append(c.time("a time"))
        c.accept(",")


def flowtable(c: Cursor, named: bool = False) -> s.Flowtable:
    from .parse import devices_of, priority_of

    at = c.at
    if not named:
        c.take()
    name = c.word("the name of a flowtable")
    c.expect("{")
    said: dict[str, object] = {}
    flags: list[str] = []
    while True:
        c.lines()
        if c.accept("}"):
            return s.Flowtable(name, flags=tuple(flags), at=at, **said)  # type: ignore[arg-type]
        if c.accept("hook"):
            c.expect("ingress")
            c.expect("priority")
            said["priority"], said["offset"] = priority_of(c)
        elif c.accept("devices"):
            c.expect("=")
            said["devices"] = devices_of(c)
        elif c.accept("flags"):
            flags.append(c.one_of(("offload",), "flag of a flowtable"))
        elif c.accept("counter"):
            flags.append("counter")
        else:
            c.refuse(f"unexpected {c.said} in a flowtable")
        c.end()
