"""The labs that are shown to users go through the same hands as those of the live tests."""

from tests.live.conftest import _root, host_unchanged, lab, prefix, write

__all__ = ["_root", "host_unchanged", "lab", "prefix", "write"]
