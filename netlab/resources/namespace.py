"""Namespaces: what all else of a node is in, and goes with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from netlab.resources.base import Key, Resource, Stage, device_key, namespace_key

if TYPE_CHECKING:
    from netlab.kernel.port import Kernel


@dataclass(frozen=True)
class Namespace(Resource):
    """A node's own network; ``defaults`` are the switches that devices made in it start from.

    They do not reach devices that are there, so with other defaults it is another namespace.
    """

    stage: ClassVar[Stage] = Stage.NAMESPACE
    outlives: ClassVar[bool] = True

    name: str
    defaults: tuple[tuple[str, str], ...] = ()

    @property
    def ns(self) -> str:
        return self.name

    @property
    def key(self) -> Key:
        return namespace_key(self.name)

    @property
    def provides(self) -> tuple[Key, ...]:
        return (self.key, device_key(self.name, "lo"))

    @property
    def words(self) -> str:
        return f"namespace {self.name}"

    def create(self, kernel: Kernel) -> None:
        kernel.add_namespace(self.name)
        for name, value in self.defaults:
            kernel.set_sysctl(self.name, name, value)

    def delete(self, kernel: Kernel) -> None:
        kernel.del_namespace(self.name)
