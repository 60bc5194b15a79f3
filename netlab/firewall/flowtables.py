"""Flowtables as netlink attributes."""

from __future__ import annotations

from . import syntax as s
from .hooks import device_names, priority
from .scope import Scope
from .wire import nest, text, u32


def flowtable_body(tree: s.Flowtable, scope: Scope) -> bytes:
    names = device_names(tree.devices, scope)
    listed = [nest(3, *(text(1, name) for name in names))] if names else []
    flags = (1 if "offload" in tree.flags else 0) | (2 if "counter" in tree.flags else 0)
    hook = nest(3, u32(1, 0), u32(2, priority(tree, "netdev", scope)), *listed)
    return text(2, tree.name) + hook + (u32(7, flags) if flags else b"")
