"""The link kinds. A new kind is one new file here.

A file ``veth.py`` that ends with ``kind = LinkKind(...)`` is the kind ``veth``.
"""

from netlab.links.base import LinkKind
from netlab.registry import discover

__all__ = ["LinkKind", "catalog"]


def catalog() -> dict[str, LinkKind]:
    return discover(__name__, __path__, "kind", LinkKind)
