"""Who sees a probe go by. A new one is one new file here"""

from __future__ import annotations

import threading
from collections.abc import Mapping

from netlab.kernel import libc
from netlab.registry import discover
from netlab.trace.backends.base import Backend


def catalog() -> dict[str, Backend]:
    """By name, as ``--backends`` knows them: the file's name with ``-`` for ``_``."""
    found = discover(__name__, __path__, "backend", Backend)
    return {name.replace("_", "-"): backend for name, backend in found.items()}


def obstacles() -> tuple[dict[str, str], dict[str, Mapping[str, str]]]:
    """Why each cannot run here, "" for those that can; and what these cannot see, and why.

    Asked in a namespace that ends with it.
    """
    found: dict[str, str] = {}
    lacks: dict[str, Mapping[str, str]] = {}

    def ask() -> None:
        try:
            libc.unshare(libc.CLONE_NEWNET)
        except OSError as problem:
            said = f"no network namespaces: {problem.strerror}"
            found.update(dict.fromkeys(catalog(), said))
            return
        for name, backend in catalog().items():
            found[name] = backend.obstacle()
            lacks[name] = {} if found[name] else backend.lacks()

    thread = threading.Thread(target=ask, name="obstacles")
    thread.start()
    thread.join()
    return found, lacks


TIERS: tuple[tuple[str, frozenset[str], str], ...] = (
    ("A", frozenset({"bpf", "nft-trace"}), "the kernel's own reasons, rules, frames"),
    ("A", frozenset({"bpf"}), "the kernel's own reasons and frames, without rules"),
    ("B", frozenset({"nft-trace", "taps", "tracefs"}), "rules, frames, and reasons for drops"),
    ("C", frozenset({"nft-trace", "taps"}), "rules and frames; reasons are concluded"),
    ("C", frozenset({"nft-trace"}), "rules, without times and frames"),
    ("C", frozenset({"taps"}), "frames, without rules"),
    ("D", frozenset(), "nobody can watch: `netlab explain` foretells, and sends nothing"),
)
"""By who can watch: how much a trace sees; the first that holds."""


def tier(able: set[str]) -> tuple[str, str]:
    """Its letter, and what it means."""
    return next((letter, words) for letter, needs, words in TIERS if needs <= able)
