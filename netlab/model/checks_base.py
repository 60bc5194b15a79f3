"""What all tests of a lab understand, and the words that they are written in."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)

from netlab.model.processes import Seconds, seconds
from netlab.model.words import NODE_NAME, NodeName


def _target(raw: Any) -> str:
    text = str(raw)
    if not re.fullmatch(NODE_NAME, text) and not is_address(text):
        raise ValueError(f"{text!r} is no node and no address")
    return text


def _port(raw: Any) -> str:
    text = str(raw)
    place, _, port = text.rpartition(":")
    place = place[1:-1] if place.startswith("[") and place.endswith("]") else place
    if not re.fullmatch("[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        raise ValueError(f"{text!r} names no port: write web:80, or [fd00::1]:80")
    _target(place)
    return text


def _url(raw: Any) -> str:
    text = str(raw)
    if not re.fullmatch(r"http://(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?(/[!-~]*)?", text):
        raise ValueError(f"{text!r} is no address of a page: write http://web/ or http://web:8080/x")
    _target(parts_of(text)[0])
    return text


def parts_of(url: str) -> tuple[str, int, str]:
    """Host, port and path."""
    place, slash, path = url.removeprefix("http://").partition("/")
    host, port = re.fullmatch(r"(\[.*\]|[^:]*)(?::(\d+))?", place).groups()  # type: ignore[union-attr]
    return host.strip("[]"), int(port or 80), slash + path or "/"


def is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _pattern(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as problem:
        raise ValueError(f"{pattern!r} is no regular expression: {problem}") from None
    return pattern


def _word(what: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "description": what})


def _span(of: Callable[[Any], float], most: float) -> Callable[[Any], tuple[float, float]]:
    def read(raw: Any) -> tuple[float, float]:
        if not isinstance(raw, list | tuple) or len(raw) != 2:
            raise ValueError(f"{raw!r} is no range: write [from, to]")
        least, greatest = (of(value) for value in raw)
        if not 0 <= least <= greatest <= most:
            raise ValueError(f"{raw!r} is no range: from the less to the more, within 0 and {most:g}")
        return least, greatest

    return read


def _percent(raw: Any) -> float:
    text = str(raw).removesuffix("%")
    if isinstance(raw, bool) or not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,9})?", text):
        raise ValueError(f"{raw!r} is no percentage: write [0, 5]")
    return float(text)


def _range(what: str) -> WithJsonSchema:
    item = {"type": ["string", "number"]}
    shape = {"type": "array", "items": item, "minItems": 2, "maxItems": 2}
    return WithJsonSchema({**shape, "description": what})


Target: TypeAlias = Annotated[str, BeforeValidator(_target), _word("A node, or an address.")]
NodePort: TypeAlias = Annotated[
    str, BeforeValidator(_port), _word("A node or an address, and a port: web:80, [fd00::1]:80.")
]
Url: TypeAlias = Annotated[str, BeforeValidator(_url), _word("As http://web/ or http://web:8080/x.")]
Pattern: TypeAlias = Annotated[str, AfterValidator(_pattern)]
Percents: TypeAlias = Annotated[
    tuple[float, float], BeforeValidator(_span(_percent, 100)), _range("From and to: [0, 5].")
]
Times: TypeAlias = Annotated[
    tuple[float, float], BeforeValidator(_span(seconds, 86400)), _range("From and to: [18ms, 30ms].")
]
Version = Literal[4, 6]


class Part(BaseModel):
    """What stands under a key of a test."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Tried(Part):
    """What every test understands."""

    word: ClassVar[str]
    """The key that tells its sort."""

    name: str = Field("", description="A name for people, and for `--only`; by default what it does.")
    within: Seconds = Field(2.0, description="How long it may take to come true; it is tried again until then.")

    @property
    def title(self) -> str:
        return self.name or self.does

    @property
    @abstractmethod
    def does(self) -> str:
        """What is tried and expected, in a line."""

    @abstractmethod
    def nodes(self) -> Iterator[tuple[str, str]]:
        """The nodes that it speaks of, each with the key it stands under."""


class Sent(Tried):
    """What every test understands that sends packets."""

    from_: NodeName = Field(alias="from", description="The node that tries.")
    version: Version | None = Field(None, description="4 or 6; needed only where the target has addresses of both.")

    @property
    @abstractmethod
    def target(self) -> str:
        """A node or an address."""

    @property
    def way(self) -> str:
        """``alice → web``"""
        family = f" over IPv{self.version}" if self.version else ""
        return f"{self.from_} → {getattr(self, self.word)}{family}"

    def nodes(self) -> Iterator[tuple[str, str]]:
        yield "from", self.from_
        if not is_address(self.target):
            yield self.word, self.target


class Within(Tried):
    """What every test understands that looks into a node."""

    on: NodeName = Field(description="The node.")

    def nodes(self) -> Iterator[tuple[str, str]]:
        yield "on", self.on
