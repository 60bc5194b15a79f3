"""The table every link kind fills in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from netlab.model.site import Nic
from netlab.model.topology import Link
from netlab.resources.base import Resource


@dataclass(frozen=True)
class LinkKind:
    settings: type[Link]
    resources: Callable[[Any, Nic, Nic], Iterator[Resource]]
    """What joins the two interfaces; the first argument is the link's settings."""
