"""Who sees a probe go by. A new one is one new file here"""

from __future__ import annotations

from netlab.registry import discover
from netlab.trace.backends.base import Backend


def catalog() -> dict[str, Backend]:
    """By name, as ``--backends`` knows them: the file's name with ``-`` for ``_``."""
    found = discover(__name__, __path__, "backend", Backend)
    return {name.replace("_", "-"): backend for name, backend in found.items()}
