"""Translation of addresses in a node: the everyday cases, each in a line.

Numbers are taken as they are written; whether there is such a port, and whether a range runs the
right way, is told with all else that only shows when every address is known (``plan.nat``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated, Any, ClassVar, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from netlab.model.words import IP, NODE_NAME, AnIP, APrefix, InterfaceName

PORTS = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?")
TARGET = re.compile(
    r"\[(?P<address>[^]]+)\](:(?P<their>[^:]*))?|(?P<name>[^:\[]+)(:(?P<its>[^:]*))?"
)
"""What does not match may be an IPv6 address as a whole."""

JsonSchema: TypeAlias = dict[str, Any]


class _Word:
    """A value that is written as one word."""

    schema: ClassVar[JsonSchema]

    @classmethod
    def read(cls, raw: Any) -> Any:
        """Raises ValueError with what would be right."""
        raise NotImplementedError

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(cls.read)

    @classmethod
    def __get_pydantic_json_schema__(cls, core: Any, handler: Any) -> JsonSchema:
        return cls.schema


@dataclass(frozen=True)
class Ports(_Word):
    """All from ``low`` to ``high``."""

    low: int
    high: int
    schema: ClassVar[JsonSchema] = {
        "anyOf": [
            {"type": "integer", "minimum": 1, "maximum": 65535},
            {
                "type": "string",
                "pattern": "^[0-9]+(-[0-9]+)?$",
                "description": "A range: 8000-8010.",
            },
        ]
    }

    @classmethod
    def read(cls, raw: Any) -> Ports:
        match = PORTS.fullmatch(str(raw))
        if match is None or isinstance(raw, bool):
            said = str(raw).lower() if isinstance(raw, bool) else repr(raw)
            raise ValueError(f"{said} is no port: a port is a number, a range as 8000-8010")
        return cls(int(match[1]), int(match[2] or match[1]))

    def __str__(self) -> str:
        return str(self.low) if self.low == self.high else f"{self.low}-{self.high}"

    @property
    def count(self) -> int:
        return self.high - self.low + 1

    @property
    def all(self) -> range:
        return range(self.low, self.high + 1)


@dataclass(frozen=True)
class Target(_Word):
    """A node or an address, and ports where they are others than those that were asked for."""

    to: str | IP
    ports: Ports | None = None
    schema: ClassVar[JsonSchema] = {
        "type": "string",
        "description": "A node or an address, with ports where they are others: alice:80, "
        "192.168.1.2:80, [fd00::2]:80-90.",
    }

    @classmethod
    def read(cls, raw: Any) -> Target:
        text = str(raw)
        match = TARGET.fullmatch(text)
        if match is None:
            return cls(_node_or_address(text, text))
        place = _node_or_address(match["address"] or match["name"], text)
        if match["address"] and isinstance(place, str):
            raise ValueError(f"{text!r}: an IPv6 address stands in brackets, {place!r} is none")
        ports = match["their"] or match["its"]
        return cls(place, None if ports is None else Ports.read(ports))

    def __str__(self) -> str:
        if self.ports is None:
            return str(self.to)
        return f"[{self.to}]:{self.ports}" if ":" in str(self.to) else f"{self.to}:{self.ports}"


@dataclass(frozen=True)
class AddressRange(_Word):
    """All addresses from ``low`` to ``high``."""

    low: IP
    high: IP
    schema: ClassVar[JsonSchema] = {
        "type": "string",
        "description": "An address or a range: 203.0.113.5-203.0.113.9.",
    }

    @classmethod
    def read(cls, raw: Any) -> AddressRange:
        low, _, high = str(raw).partition("-")
        try:
            return cls(ip_address(low.strip()), ip_address((high or low).strip()))
        except ValueError:
            form = "203.0.113.5 or 203.0.113.5-203.0.113.9"
            message = f"{raw!r} is no address and no range of addresses: {form}"
            raise ValueError(message) from None

    def __str__(self) -> str:
        return str(self.low) if self.low == self.high else f"{self.low}-{self.high}"


def _node_or_address(word: str, text: str) -> str | IP:
    try:
        return ip_address(word)
    except ValueError:
        if re.fullmatch(NODE_NAME, word) and not re.fullmatch(r"[0-9.]*", word):
            return word
        form = "as alice:80, 192.168.1.2:80 or [fd00::2]:80"
        raise ValueError(f"{text!r} is no node and no address: {form}") from None


def _portless(target: Target) -> Target:
    if target.ports is not None:
        raise ValueError(f"'{target}': one to one means all ports; `publish` is for some")
    return target


def _several(raw: Any) -> Any:
    return raw if isinstance(raw, list | tuple) else [raw]


def _some(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise ValueError("an interface is meant here, or a list of them")
    return names


@dataclass(frozen=True)
class _Schema:
    """How a JSON Schema is changed to show a short form."""

    change: Callable[[JsonSchema], JsonSchema]

    def __get_pydantic_json_schema__(self, core: Any, handler: GetJsonSchemaHandler) -> JsonSchema:
        return self.change(handler(core))


OR_ONE = _Schema(lambda many: {"anyOf": [many["items"], many]})
OR_TEXT = _Schema(lambda whole: {"anyOf": [{"type": "string"}, whole]})

APlace: TypeAlias = Annotated[
    Target,
    AfterValidator(_portless),
    WithJsonSchema({"type": "string", "description": "A node or an address."}),
]
InterfaceNames: TypeAlias = Annotated[
    tuple[InterfaceName, ...], BeforeValidator(_several), AfterValidator(_some), OR_ONE
]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Masquerade(_Frozen):
    """What leaves takes the address of the interface that it leaves by; the name alone is enough."""

    out: InterfaceNames = Field(description="The interface it leaves by, or several.")
    from_: APrefix | None = Field(None, alias="from", description="Only what comes from this prefix, and only its family; else all.")

    @model_validator(mode="before")
    @classmethod
    def _short(cls, raw: Any) -> Any:
        return {"out": raw} if isinstance(raw, str) else raw

    @property
    def words(self) -> str:
        return f"masquerade {', '.join(self.out)}" + (f" from {self.from_}" if self.from_ else "")


class Publish(_Frozen):
    """Ports of an interface's addresses that lead to a node behind; from inside and from the node itself, too."""

    on: InterfaceNames = Field(description="The interface whose addresses it is published on, or several. One that no address is written for gets them later: then all addresses of the node that are written nowhere are meant.")
    tcp: Ports | None = Field(None, description="The TCP port, or a range.")
    udp: Ports | None = Field(None, description="The UDP port, or a range.")
    to: Target = Field(description="Where it leads; a node in each family that both have.")

    @model_validator(mode="after")
    def _some_port(self) -> Publish:
        if not self.protocols:
            raise ValueError("a port is missing: `tcp`, `udp` or both")
        return self

    @property
    def protocols(self) -> list[tuple[str, Ports]]:
        return [(word, p) for word, p in (("tcp", self.tcp), ("udp", self.udp)) if p is not None]

    @property
    def words(self) -> str:
        ports = " ".join(f"{word}/{ports}" for word, ports in self.protocols)
        return f"publish {ports} on {', '.join(self.on)} → {self.to}"


class SourceNat(_Frozen):
    """What leaves takes another source address."""

    from_: APrefix | None = Field(None, alias="from", description="Only what comes from this prefix; else all.")
    out: InterfaceNames = Field(description="The interface it leaves by, or several.")
    to: AddressRange = Field(description="The new source: an address, or a range to take one of.")

    @property
    def words(self) -> str:
        who = f"{self.from_} " if self.from_ else ""
        return f"snat {who}out {', '.join(self.out)} → {self.to}"


class OneToOne(_Frozen):
    """An outer address that stands for an inner one, both ways and on all ports."""

    outside: AnIP = Field(description="The outer address: one of the node's own, or one that is routed to it.")
    inside: APlace = Field(description="The inner node or address.")
    on: InterfaceName | None = Field(None, description="The outer interface; by default the one in whose subnet the outer address is.")

    @property
    def words(self) -> str:
        return f"one to one {self.outside} ⇄ {self.inside}"


class Nat(_Frozen):
    """Translation of addresses; the rules are in the table `inet netlab_nat`, behind those of `nftables`."""

    masquerade: Annotated[
        tuple[Annotated[Masquerade, OR_TEXT], ...], BeforeValidator(_several), OR_ONE
    ] = Field((), description="Interfaces where what leaves takes their address: `wan`, a list, or with a prefix.")
    publish: tuple[Publish, ...] = Field((), description="Ports that lead to a node behind.")
    snat: tuple[SourceNat, ...] = Field((), description="Other source addresses for what leaves.")
    one_to_one: tuple[OneToOne, ...] = Field((), description="Outer addresses that stand for inner ones.")

    @property
    def words(self) -> tuple[str, ...]:
        """Each entry, for people."""
        whole = (self.masquerade, self.publish, self.snat, self.one_to_one)
        return tuple(entry.words for entries in whole for entry in entries)
