"""The table every node kind fills in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from netlab.model.site import Site
from netlab.model.topology import Node
from netlab.resources.base import Placed


@dataclass(frozen=True)
class NodeKind:
    settings: type[Node]
    resources: Callable[[Any, Site], Iterator[Placed]]
    """What the node needs beside its links and devices; the first argument is its settings."""
    forwards: bool = False
    """Whether packets may pass through it: static routing leads only over such nodes."""
    bridge: str = ""
    """The bridge that every interface of the node is a port of."""
