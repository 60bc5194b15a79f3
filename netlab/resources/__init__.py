"""The things a kernel can hold for a lab."""

from netlab.resources.base import Key, Resource, Stage
from netlab.resources.inventory import Inventory

__all__ = ["Inventory", "Key", "Resource", "Stage"]
