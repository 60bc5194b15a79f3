"""What every resource answers: who am I, what do I stand on, how am I made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

if TYPE_CHECKING:
    from netlab.kernel.port import Kernel
    from netlab.kernel.values import Held

Key: TypeAlias = tuple[str, ...]


class Stage(IntEnum):
    """When a resource is made; needs always lie in an earlier stage, or earlier in the same.

    Up to ``LINK`` stages are barriers for the whole lab; later ones only order one namespace.
    """

    NAMESPACE = 0
    LAB = 1
    DEVICE = 3
    LINK = 4
    PORT = 5
    SETTING = 6
    ADDRESS = 7
    ROUTE = 8
    RULE = 9
    FIREWALL = 10
    """After the links that its rules name, before anything that could be let through."""
    ENTRY = 11
    PROCESS = 12
    """After everything before it is up, across the whole lab, by their turns."""
    COMMAND = 13
    """After everything else is up, across the whole lab."""


@dataclass(frozen=True)
class Resource(ABC):
    """One thing in the kernel, as a value: fields are str, int, bool, or tuples of these.

    Two resources with one key are the same thing in two topologies.
    """

    stage: ClassVar[Stage]
    outlives: ClassVar[bool] = False
    """Whether it has to be taken down by itself when all namespaces of the lab go."""

    @property
    @abstractmethod
    def key(self) -> Key: ...

    @property
    @abstractmethod
    def ns(self) -> str:
        """The namespace it is made in; "" for what belongs to the lab as a whole."""

    @property
    def provides(self) -> tuple[Key, ...]:
        """Keys under which others may need this."""
        return (self.key,)

    @property
    def needs(self) -> tuple[Key, ...]:
        """Keys that must be there first; when one goes, this has to go before it."""
        return ()

    @property
    def falls_with(self) -> tuple[Key, ...]:
        """When all of these go, the kernel takes this away by itself."""
        return self.needs

    @property
    def row(self) -> Key:
        """Resources of one row are in the kernel in the order they were made; () for no matter."""
        return ()

    @property
    def turn(self) -> int:
        """Order within the stage, across the whole lab: the lower is made first, and goes last."""
        return 0

    @property
    @abstractmethod
    def words(self) -> str:
        """What it is, for people, in ip(8)'s terms and without the node's name."""

    @property
    def title(self) -> str:
        """The same in fewer words, where ``words`` tell all of a long text."""
        return self.words

    @abstractmethod
    def create(self, kernel: Kernel) -> None: ...

    @abstractmethod
    def delete(self, kernel: Kernel) -> None: ...

    def follows(self, before: Any) -> bool:
        """Whether ``update`` can make this out of ``before`` (same key), nothing else disturbed."""
        return False

    def update(self, kernel: Kernel, before: Any) -> None:
        """Make this out of ``before``; by default creating again sets the new value."""
        self.create(kernel)

    def lost(self, there: Mapping[str, Held | None]) -> str:
        """What somebody took away of it, in words; ``there`` is what each namespace holds."""
        for sort, ns, *name in self.provides:
            held = there.get(ns) if sort == "device" else None
            if held is not None and name[0] not in held.devices:
                return f"{name[0]} was deleted or renamed by hand"
        return ""

    def reason(self, before: Any) -> str:
        """Why it is made anew in place of ``before``, where ``words`` do not show that."""
        return ""

    def changes(self, before: Resource) -> str:
        """``mtu 1500 → 1400``: the fields that differ from ``before``."""
        return "  ".join(
            f"{f.name} {_show(old)} → {_show(new)}"
            for f in fields(self)
            if f.compare
            if (old := getattr(before, f.name)) != (new := getattr(self, f.name))
        )


def _show(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(_show(v) for v in value) or "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value) if value != "" else "none"


def namespace_key(ns: str) -> Key:
    return ("namespace", ns)


def device_key(ns: str, name: str) -> Key:
    return ("device", ns, name)


@dataclass(frozen=True)
class InNode(Resource):
    """Made in a node, whose namespace it needs."""

    home: str

    @property
    def ns(self) -> str:
        return self.home

    @property
    def needs(self) -> tuple[Key, ...]:
        return (namespace_key(self.home),)


@dataclass(frozen=True)
class OnDevice(InNode):
    """Written on a device of a node, which it needs."""

    device: str

    @property
    def needs(self) -> tuple[Key, ...]:
        return (device_key(self.home, self.device),)


Placed: TypeAlias = tuple[tuple[str | int, ...], Resource]
"""A resource and the place in the file that asks for it."""
