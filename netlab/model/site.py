"""A topology with its blanks filled in: every interface has its name, its MAC, its addresses."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from netlab.model.topology import Interface
from netlab.model.words import Cidr

Path: TypeAlias = tuple[str | int, ...]
"""A place in the file: ``("nodes", "gw", "routes", 1)``."""


class Nic(NamedTuple):
    """One interface of one node, as it will be."""

    node: str
    ns: str
    name: str
    settings: Interface
    origin: Path
    mac: str
    mtu: int
    """In bytes; 0 leaves it to the kernel."""
    addresses: tuple[Cidr, ...] = ()
    master: str = ""
    """The bridge it is a port of."""
    peer: tuple[str, str] = ("", "")
    """Node and interface at the other end of its link."""
    addresses_at: Path = ()
    """The place of its addresses, or of what they were found for."""

    @property
    def settings_at(self) -> Path:
        """The place of what is said beside the link."""
        return ("nodes", self.node, "interfaces", self.name)

    def address_at(self, address: Cidr) -> Path:
        written = self.settings.addresses or ()
        place = (written.index(address),) if address in written else ()
        return (*self.addresses_at, *place)


class Site(NamedTuple):
    """Where a node stands."""

    lab: str
    name: str
    ns: str
    nics: tuple[Nic, ...]

    @property
    def path(self) -> Path:
        return ("nodes", self.name)
