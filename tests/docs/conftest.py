"""What the documents say is tried on labs like those of the live tests."""

from tests.live.conftest import _root, host_unchanged, lab, prefix, write

__all__ = ["_root", "host_unchanged", "lab", "prefix", "write"]
