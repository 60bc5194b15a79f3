"""Tests of a lab: what is tried, from where, and what must come of it.

A test has one word for its sort (``ping``, ``tcp`` …); what stands under it is what is tried.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from netlab.model.processes import Command, Seconds
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
    _target(_parts_of(text)[0])
    return text


def _parts_of(url: str) -> tuple[str, int, str]:
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


Target: TypeAlias = Annotated[str, BeforeValidator(_target), _word("A node, or an address.")]
NodePort: TypeAlias = Annotated[
    str, BeforeValidator(_port), _word("A node or an address, and a port: web:80, [fd00::1]:80.")
]
Url: TypeAlias = Annotated[str, BeforeValidator(_url), _word("As http://web/ or http://web:8080/x.")]
Pattern: TypeAlias = Annotated[str, AfterValidator(_pattern)]
Version = Literal[4, 6]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class _Test(_Frozen):
    """What every test understands."""

    name: str = Field("", description="A name for people, and for `--only`; by default what it does.")
    within: Seconds = Field(2.0, description="How long it may take to come true; it is tried again until then.")

    @property
    def title(self) -> str:
        return self.name or self.does

    @property
    def does(self) -> str:
        """What is tried and expected, in a line."""
        raise NotImplementedError

    def nodes(self) -> Iterator[tuple[str, str]]:
        """The nodes that it speaks of, each with the key it stands under."""
        raise NotImplementedError


class _Sent(_Test):
    from_: NodeName = Field(alias="from", description="The node that tries.")
    version: Version | None = Field(None, description="4 or 6; needed only where the target has addresses of both.")

    @property
    def target(self) -> str:
        """A node or an address."""
        raise NotImplementedError

    @property
    def way(self) -> str:
        """``alice → web``"""
        family = f" over IPv{self.version}" if self.version else ""
        return f"{self.from_} → {getattr(self, self.key)}{family}"

    @property
    def key(self) -> str:
        return next(key for key in SORTS if key in type(self).model_fields)

    def nodes(self) -> Iterator[tuple[str, str]]:
        yield "from", self.from_
        if not is_address(self.target):
            yield self.key, self.target


class PingTest(_Sent):
    """An echo request (ICMP or ICMPv6), and whether it is answered."""

    ping: Target = Field(description="The node or the address that is asked.")
    size: int = Field(56, ge=56, le=65535, description="Bytes of the IP packet, its headers included.")
    df: bool = Field(False, description="Forbid fragments: what is too large for a link on the way is not answered.")
    expect: Literal["answered", "denied"] = Field("answered", description="`denied` is silence, or an error.")

    @property
    def target(self) -> str:
        return self.ping

    @property
    def does(self) -> str:
        large = f" of {self.size} bytes" if self.size > 56 else ""
        large += " in one piece" if self.df else ""
        return f"{self.way} ping{large} {self.expect}"


class TcpTest(_Sent):
    """A TCP connection."""

    tcp: NodePort = Field(description="Where to: `node:port`, or an address and a port.")
    expect: Literal["connected", "refused", "denied", "unreachable"] = Field(
        "connected", description="`refused` is a reset, `denied` silence, `unreachable` an ICMP error or no route.")

    @property
    def target(self) -> str:
        return self.tcp.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.tcp.rpartition(":")[2])

    @property
    def does(self) -> str:
        return f"{self.way} tcp {self.expect}"


class UdpTest(_Sent):
    """A UDP datagram, and what comes back."""

    udp: NodePort = Field(description="Where to: `node:port`, or an address and a port.")
    send: str = Field("netlab", description="What the datagram holds.")
    expect: Literal["answered", "refused", "denied", "unreachable"] = Field(
        "answered", description="`refused`: nobody is bound to the port; `denied`: silence, which is also that of a program that has read it.")

    @property
    def target(self) -> str:
        return self.udp.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.udp.rpartition(":")[2])

    @property
    def does(self) -> str:
        return f"{self.way} udp {self.expect}"


class Page(_Frozen):
    """What a page must be."""

    status: int = Field(200, ge=100, le=599, description="The answer's status code.")
    body: str = Field("", description="Text that the page contains.")


class HttpTest(_Sent):
    """A page, fetched with GET; redirections are not followed."""

    http: Url = Field(description="The page: `http://web/`; a node's name stands for its address.")
    expect: Page = Field(Page(), description="Its status, and text that it contains.")

    @property
    def target(self) -> str:
        return _parts_of(self.http)[0]

    @property
    def port(self) -> int:
        return _parts_of(self.http)[1]

    @property
    def path(self) -> str:
        return _parts_of(self.http)[2]

    @property
    def does(self) -> str:
        return f"{self.way} http {self.expect.status}"


class RouteTest(_Sent):
    """The way that an echo request would take, foretold from what the kernel holds; none is sent."""

    route: Target = Field(description="Where to: a node, or an address.")
    expect: tuple[NodeName, ...] = Field(description="The nodes on the way, the first and the last one included; switches count.")

    @property
    def target(self) -> str:
        return self.route

    def nodes(self) -> Iterator[tuple[str, str]]:
        yield from super().nodes()
        yield from (("expect", node) for node in self.expect)

    @property
    def does(self) -> str:
        return f"{self.way} route {' '.join(self.expect)}"


class _Within(_Test):
    on: NodeName = Field(description="The node.")

    def nodes(self) -> Iterator[tuple[str, str]]:
        yield "on", self.on


class Ended(_Frozen):
    """How a command must end."""

    exit: int = Field(0, ge=0, le=255, description="Its exit code.")
    output: str = Field("", description="Text that its standard output contains.")
    matches: Pattern = Field("", description="A regular expression that is found in its standard output.")


class RunTest(_Within):
    """A command in a node."""

    run: Command = Field(description="The command: a list of words, or a line for /bin/sh.")
    expect: Ended = Field(Ended(), description="How it ends, and what it says.")

    @field_validator("run", mode="before")
    @classmethod
    def _words(cls, run: Any) -> Any:
        is_number = (int, float)
        return [str(w) if isinstance(w, is_number) and not isinstance(w, bool) else w for w in run] \
            if isinstance(run, list) else run

    @model_validator(mode="after")
    def _something(self) -> RunTest:
        if not self.run:
            raise ValueError("there is no command to run")
        return self

    @property
    def argv(self) -> tuple[str, ...]:
        return ("/bin/sh", "-c", self.run) if isinstance(self.run, str) else self.run

    @property
    def does(self) -> str:
        line = self.run if isinstance(self.run, str) else " ".join(self.run)
        return f"{self.on}: {line}"


class ProcessTest(_Within):
    """A process of the topology."""

    process: str = Field(description="Its name, as under `processes` of the node.")
    expect: Literal["running", "exited"] = Field("running", description="`exited` is with any code.")

    @property
    def does(self) -> str:
        return f"{self.on}/{self.process} process {self.expect}"


class CounterTest(_Within):
    """Rules of nftables that have a counter, by their comment."""

    counter: str = Field(min_length=1, description="The rule's comment.")
    expect: int = Field(1, ge=0, description="Packets that it has counted at least; 0: none at all.")

    @property
    def does(self) -> str:
        return f'{self.on}: counter "{self.counter}" {"at least " if self.expect else ""}{self.expect}'


SORTS: dict[str, type[_Test]] = {
    "ping": PingTest,
    "tcp": TcpTest,
    "udp": UdpTest,
    "http": HttpTest,
    "route": RouteTest,
    "run": RunTest,
    "process": ProcessTest,
    "counter": CounterTest,
}
"""By the word that tells them apart."""
Test: TypeAlias = (
    PingTest | TcpTest | UdpTest | HttpTest | RouteTest | RunTest | ProcessTest | CounterTest
)
Sent: TypeAlias = PingTest | TcpTest | UdpTest | HttpTest | RouteTest
