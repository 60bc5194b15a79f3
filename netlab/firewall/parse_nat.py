"""snat, dnat, masquerade, redirect, tproxy, dup and fwd."""

from __future__ import annotations

from . import syntax as s
from .cursor import Cursor
from .lexer import ADDRESS, PAIR, WORD
from .parse_expressions import assigned, constant
from .parse_selectors import is_selector
from .problems import Wrong

_FLAGS = ("random", "fully-random", "persistent")


def nat(c: Cursor) -> s.Statement:
    at = c.at
    kind = c.take()
    family = ""
    if kind in ("snat", "dnat") and c.text in ("ip", "ip6") and not is_selector(c):
        family = c.take()
    words = []
    while kind in ("snat", "dnat") and c.text in ("addr", "prefix", "interval", "port", "."):
        words.append(c.take())
    address: s.Expression | None = None
    port: s.Expression | None = None
    local = kind in ("masquerade", "redirect")
    if c.accept("to") or not (local or c.ended):
        if c.text != ":" and not local:
            address = _nat_address(c)
        if c.accept(":") or local:
            if c.kind in (ADDRESS, PAIR):
                c.refuse(f"{kind} takes a port here, found {c.said}", f"as in {kind} to :8080")
            port = assigned(c)
    elif kind in ("snat", "dnat"):
        c.refuse(f"{kind} needs 'to' and an address", f"as in {kind} to 192.0.2.1")
    flags = []
    while c.text in _FLAGS and c.kind == WORD:
        flags.append(c.take())
        c.accept(",")
    return s.Nat(kind, family, " ".join(words), address, port, tuple(flags), at)


def _nat_address(c: Cursor) -> s.Expression:
    at = c.at
    low = _bare_address(c)
    if c.text == "-" and isinstance(low, s.Value | s.Variable):
        c.take()
        return s.Range(low, _bare_address(c), at)
    return low


def _bare_address(c: Cursor) -> s.Expression:
    if c.accept("["):
        inner = constant(c)
        c.expect("]")
        return inner
    at, said, is_pair = c.at, c.said, c.kind == PAIR
    found = assigned(c)
    if is_pair or isinstance(found, s.SetLiteral | s.SetName | s.Values | s.Wildcard):
        raise Wrong(at, f"expected an address, found {said}")
    return found


def tproxy(c: Cursor) -> s.Statement:
    at = c.at
    c.take()
    family = c.take() if c.text in ("ip", "ip6") else ""
    c.expect("to")
    address = None if c.text == ":" else _bare_address(c)
    port = assigned(c) if c.accept(":") else None
    return s.Tproxy(family, address, port, at)


def send(c: Cursor) -> s.Statement:
    at = c.at
    kind = c.take()
    family = c.take() if c.text in ("ip", "ip6") and c.after() == "to" else ""
    c.expect("to")
    first = assigned(c)
    if c.accept("device"):
        return s.Send(kind, family, first, assigned(c), at)
    if kind == "fwd" and family:
        c.refuse("fwd to an address needs a device", f"as in fwd {family} to … device eth0")
    if kind == "fwd" and not family:
        return s.Send(kind, "", None, first, at)
    return s.Send(kind, family, first, None, at)
