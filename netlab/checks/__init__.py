"""Tests of a lab that is up, one file a sort. A new sort is one new file here, and its model.

A file ``ping.py`` that ends with ``sort = Sort(...)`` tries the tests that say ``ping:``.
"""

from netlab.checks.base import Sort
from netlab.registry import discover

__all__ = ["Sort", "catalog"]


def catalog() -> dict[str, Sort]:
    return discover(__name__, __path__, "sort", Sort)
