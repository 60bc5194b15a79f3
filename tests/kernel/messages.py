"""Requests read back by pyroute2's own classes, and random values to put into them."""

from __future__ import annotations

import struct
from socket import AF_INET, AF_INET6, inet_ntop
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from netlab.kernel.templates import message_class
from netlab.kernel.wire import Request

several = settings(max_examples=60, deadline=None, print_blob=True)

names = st.text("abcXYZ019_.-", min_size=1, max_size=15)
macs = st.binary(min_size=6, max_size=6).map(lambda raw: raw.hex(":"))
indexes = st.integers(1, 2**31 - 1)
u32 = st.integers(1, 2**32 - 1)
mtus = st.integers(68, 65535)
families = st.sampled_from([4, 6])
weights = st.integers(1, 256)


def ips(family: int) -> st.SearchStrategy[str]:
    """As inet_ntop(3) writes them, and so pyroute2."""
    width, number = {4: (4, AF_INET), 6: (16, AF_INET6)}[family]
    return st.binary(min_size=width, max_size=width).map(lambda raw: inet_ntop(number, raw))


def lengths(family: int) -> st.SearchStrategy[int]:
    return st.integers(0, 32 if family == 4 else 128)


def decoded(message: str, body: bytes) -> dict[str, Any]:
    """Fields that are not 0 and attributes, nested ones too, each under its name."""
    parsed = message_class(message)(struct.pack("=IHHII", 16 + len(body), 16, 0, 1, 0) + body)
    parsed.decode()
    invented = {"header"} | ({"state"} if message.startswith("ifinfmsg") else set())
    plain: dict[str, Any] = _plain({k: v for k, v in dict(parsed).items() if k not in invented})
    return plain


def link(request: Request) -> dict[str, Any]:
    return decoded("ifinfmsg.ifinfmsg", request[2])


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        attrs = [(name, _plain(inner)) for name, inner in value.get("attrs", ())]
        said = [name for name, _ in attrs]
        assert len(said) == len(set(said)), f"an attribute stands twice: {said}"
        rest = {k: _plain(v) for k, v in value.items() if k not in ("attrs", "__align") and v}
        return rest | dict(attrs)
    return [_plain(v) for v in value] if isinstance(value, list) else value
