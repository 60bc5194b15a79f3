"""The device kinds. A new kind is one new file here.

A file ``dummy.py`` that ends with ``kind = DeviceKind(...)`` is the kind ``dummy``.
"""

from netlab.devices.base import DeviceKind
from netlab.registry import discover

__all__ = ["DeviceKind", "catalog"]


def catalog() -> dict[str, DeviceKind]:
    return discover(__name__, __path__, "kind", DeviceKind)
