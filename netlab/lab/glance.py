"""A journal at a glance: whose it is, and what its last line says. `netlab ls` loads no more."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, NamedTuple

from netlab.errors import StateRefused

FORMAT = 2

UP = b'\n{"up":'
"""How a line begins that ends a finished change; within a line there is no such."""


class Header(NamedTuple):
    lab: str
    boot: str
    file: str
    digest: str


class Summary(NamedTuple):
    """What ``ls`` tells of a lab."""

    since: float = 0.0
    """Seconds since the epoch."""
    nodes: Mapping[str, str] = MappingProxyType({})
    """Node → kind."""
    links: int = 0
    description: str = ""


def summary_of(raw: bytes) -> tuple[Header, Summary | None] | None:
    """By the first line and the last ``up`` only. None, and raises: see ``read``."""
    end = raw.rfind(b"\n")
    if end < 0:
        return None
    with understanding():
        at = raw.rfind(UP, 0, end) + 1
        up_end = raw.index(b"\n", at)
        header, summary = _ends(raw[: raw.index(b"\n")], raw[at:up_end] if at else b"{}")
        return header, summary if up_end == end else None


def _ends(first_line: bytes, up_line: bytes) -> tuple[Header, Summary | None]:
    first, up = json.loads(first_line), json.loads(up_line)
    check_format(first)
    file, digest = up.get("file", first["file"]), up.get("digest", first["digest"])
    header = Header(first["lab"], first["boot"], file, digest)
    return header, Summary(**up["up"]) if up else None


def check_format(first: Mapping[str, Any]) -> None:
    if first["format"] != FORMAT:
        raise ValueError(f"format {first['format']}, known is {FORMAT}")


@contextmanager
def understanding() -> Iterator[None]:
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as problem:
        raise StateRefused(
            f"the journal cannot be understood ({type(problem).__name__}: {problem})",
            hint="it was not written by this version of netlab",
        ) from problem
