"""The node kinds. A new kind is one new file here.

A file ``firewall.py`` that ends with ``kind = NodeKind(...)`` is the kind ``firewall``.
"""

from netlab.nodes.base import NodeKind
from netlab.registry import discover

__all__ = ["NodeKind", "catalog"]


def catalog() -> dict[str, NodeKind]:
    return discover(__name__, __path__, "kind", NodeKind)
