"""Tests of a lab: what is tried, from where, and what must come of it.

A test has one word for its sort (``ping``, ``tcp`` …); what stands under it is what is tried.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal, TypeAlias

from pydantic import Field, field_validator, model_validator

from netlab.model.checks_base import (
    NodePort,
    Part,
    Pattern,
    Percents,
    Sent,
    Target,
    Times,
    Tried,
    Url,
    Within,
    parts_of,
)
from netlab.model.checks_measures import DnsTest, MtuTest, ThroughputTest
from netlab.model.processes import Command
from netlab.model.words import NodeName


class PingTest(Sent):
    """An echo request (ICMP or ICMPv6), and whether it is answered."""

    word: ClassVar[str] = "ping"

    ping: Target = Field(description="The node or the address that is asked.")
    size: int = Field(56, ge=56, le=65535, description="Bytes of the IP packet, its headers included.")
    df: bool = Field(False, description="Forbid fragments: what is too large for a link on the way is not answered.")
    count: int = Field(1, ge=1, le=1000, description="How many are sent; more than one are all sent before it is judged.")
    loss: Percents | None = Field(None, description="How many of a hundred are lost, from and to: [0, 5]; by default none of several.")
    rtt: Times | None = Field(None, description="The round trip time, from and to, on an average of all that were answered: [18ms, 30ms].")
    expect: Literal["answered", "denied", "lost"] = Field("answered", description="`denied` is silence, or an error; `lost` too, where a trace sees how it ends.")

    @model_validator(mode="after")
    def _of_answers(self) -> PingTest:
        if self.expect != "answered" and (self.loss or self.rtt):
            raise ValueError("`loss` and `rtt` are of what is answered")
        return self

    @property
    def target(self) -> str:
        return self.ping

    @property
    def does(self) -> str:
        several = f" {self.count} times" if self.count > 1 else ""
        large = f" of {self.size} bytes" if self.size > 56 else ""
        large += " in one piece" if self.df else ""
        return f"{self.way} ping{several}{large} {self.expect}{self._bounds}"

    @property
    def _bounds(self) -> str:
        loss = f", {self.loss[0]:g} to {self.loss[1]:g} % lost" if self.loss else ""
        times = [f"{time * 1000:g}" for time in self.rtt or ()]
        return loss + (f", in {' to '.join(times)} ms" if times else "")


class TcpTest(Sent):
    """A TCP connection."""

    word: ClassVar[str] = "tcp"

    tcp: NodePort = Field(description="Where to: `node:port`, or an address and a port.")
    expect: Literal["connected", "refused", "denied", "unreachable", "lost"] = Field(
        "connected", description="`refused` is a reset, `denied` silence, `unreachable` an ICMP error or no route; `lost` one of these two, where a trace sees how it ends.")

    @property
    def target(self) -> str:
        return self.tcp.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.tcp.rpartition(":")[2])

    @property
    def does(self) -> str:
        return f"{self.way} tcp {self.expect}"


class UdpTest(Sent):
    """A UDP datagram, and what comes back."""

    word: ClassVar[str] = "udp"

    udp: NodePort = Field(description="Where to: `node:port`, or an address and a port.")
    send: str = Field("netlab", description="What the datagram holds.")
    expect: Literal["answered", "refused", "denied", "unreachable", "lost"] = Field(
        "answered", description="`refused`: nobody is bound to the port; `denied`: silence, and no program that has read it; `lost`: as of TCP.")

    @property
    def target(self) -> str:
        return self.udp.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.udp.rpartition(":")[2])

    @property
    def does(self) -> str:
        return f"{self.way} udp {self.expect}"


class Page(Part):
    """What a page must be."""

    status: int = Field(200, ge=100, le=599, description="The answer's status code.")
    body: str = Field("", description="Text that the page contains.")


class HttpTest(Sent):
    """A page, fetched with GET; redirections are not followed."""

    word: ClassVar[str] = "http"

    http: Url = Field(description="The page: `http://web/`; a node's name stands for its address.")
    expect: Page = Field(Page(), description="Its status, and text that it contains.")

    @property
    def target(self) -> str:
        return parts_of(self.http)[0]

    @property
    def port(self) -> int:
        return parts_of(self.http)[1]

    @property
    def path(self) -> str:
        return parts_of(self.http)[2]

    @property
    def does(self) -> str:
        return f"{self.way} http {self.expect.status}"


class RouteTest(Sent):
    """The way that an echo request would take, foretold from what the kernel holds; none is sent."""

    word: ClassVar[str] = "route"

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


class Ended(Part):
    """How a command must end."""

    exit: int = Field(0, ge=0, le=255, description="Its exit code.")
    output: str = Field("", description="Text that its standard output contains.")
    matches: Pattern = Field("", description="A regular expression that is found in its standard output.")
    json_: Any = Field(None, alias="json", description="What its standard output, read as JSON, contains: the keys of a mapping, each item of a list among those that there are, anything else exactly.")


class RunTest(Within):
    """A command in a node."""

    word: ClassVar[str] = "run"

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


class ProcessTest(Within):
    """A process of the topology."""

    word: ClassVar[str] = "process"

    process: str = Field(description="Its name, as under `processes` of the node.")
    expect: Literal["running", "exited"] = Field("running", description="`exited` is with any code.")

    @property
    def does(self) -> str:
        return f"{self.on}/{self.process} process {self.expect}"


class CounterTest(Within):
    """Rules of nftables that have a counter, by their comment."""

    word: ClassVar[str] = "counter"

    counter: str = Field(min_length=1, description="The rule's comment.")
    expect: int = Field(1, ge=0, description="Packets that it has counted at least; 0: none at all.")

    @property
    def does(self) -> str:
        return f'{self.on}: counter "{self.counter}" {"at least " if self.expect else ""}{self.expect}'


SORTS: dict[str, type[Tried]] = {
    "ping": PingTest,
    "tcp": TcpTest,
    "udp": UdpTest,
    "http": HttpTest,
    "route": RouteTest,
    "run": RunTest,
    "process": ProcessTest,
    "counter": CounterTest,
    "dns": DnsTest,
    "mtu": MtuTest,
    "throughput": ThroughputTest,
}
"""By the word that tells them apart."""
Test: TypeAlias = (
    PingTest | TcpTest | UdpTest | HttpTest | RouteTest | RunTest | ProcessTest | CounterTest
    | DnsTest | MtuTest | ThroughputTest
)  # fmt: skip
