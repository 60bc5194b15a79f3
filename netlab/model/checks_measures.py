"""Tests that ask for more than a yes: names, the largest packet of a way, how much goes through it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from netlab.model.checks_base import Percents, Sent, Target, is_address
from netlab.model.processes import Seconds, Size
from netlab.model.words import NodeName

RATES = {"bit": 1, "kbit": 10**3, "mbit": 10**6, "gbit": 10**9}
DNS_TYPES = {
    "A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33,
}  # fmt: skip
"""RFC 1035, 3596, 2782."""


def _rate(raw: Any) -> int:
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ?([kmg]?bit)", str(raw))
    if match is None:
        raise ValueError(f"{raw!r} is no rate: write 500kbit, 10mbit or 1gbit")
    return int(float(match[1]) * RATES[match[2]])


def _domain(name: str) -> str:
    bare = name.rstrip(".")
    labels = bare.split(".") if bare else []
    if len(bare) > 253 or not all(re.fullmatch(r"[!-~]{1,63}", label) for label in labels):
        raise ValueError(f"{name!r} is no name of DNS: as www.lan")
    return name


Rate: TypeAlias = Annotated[
    int,
    BeforeValidator(_rate),
    WithJsonSchema({"type": "string", "description": "Bits per second: 500kbit, 10mbit, 1gbit."}),
]
Domain: TypeAlias = Annotated[str, AfterValidator(_domain)]


class DnsTest(Sent):
    """A question to a DNS server of the lab, and its answer."""

    word: ClassVar[str] = "dns"

    dns: Domain = Field(description="The name that is asked for: www.lan.")
    server: Target = Field(description="The node or the address that is asked.")
    port: int = Field(53, ge=1, le=65535, description="The server's port.")
    type: Literal["A", "AAAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT"] = Field("A", description="The type of records that is asked for.")
    over: Literal["udp", "tcp"] = Field("udp", description="Over UDP, and again over TCP where the answer was cut; or over TCP at once.")
    expect: Literal["answered", "nxdomain", "empty", "refused", "servfail", "closed", "denied"] = Field(
        "answered", description="`empty`: the name is known, without such records; `refused` and `servfail`: the server says so; `closed`: nobody listens there; `denied`: silence, or an ICMP error.")
    answers: tuple[str, ...] | None = Field(None, description="The records, all of them and in any order: addresses, names, texts. A prefix, 192.168.1.0/24, stands for any address in it.")

    @model_validator(mode="after")
    def _only_of_answers(self) -> DnsTest:
        if self.answers and self.expect != "answered":
            raise ValueError(f"there are no `answers` where {self.expect} is expected")
        return self

    @property
    def target(self) -> str:
        return self.server

    @property
    def way(self) -> str:
        family = f" over IPv{self.version}" if self.version else ""
        return f"{self.from_} → {self.server}{family}"

    def nodes(self) -> Iterator[tuple[str, str]]:
        yield "from", self.from_
        if not is_address(self.server):
            yield "server", self.server

    @property
    def does(self) -> str:
        wanted = f"answered {', '.join(self.answers)}" if self.answers else self.expect
        return f"{self.way} dns {self.type} {self.dns} {wanted}"


class MtuTest(Sent):
    """The path MTU: the largest packet that gets there in one piece, found by echo requests that may not be cut."""

    word: ClassVar[str] = "mtu"

    mtu: Target = Field(description="Where to: a node, or an address.")
    expect: int = Field(ge=68, le=65535, description="Bytes of the IP packet, its headers included.")

    @property
    def target(self) -> str:
        return self.mtu

    @property
    def does(self) -> str:
        return f"{self.way} path mtu {self.expect}"


class ThroughputTest(Sent):
    """How much gets through in a second, from netlab's own sender to its own receiver; headers are not counted."""

    word: ClassVar[str] = "throughput"

    throughput: NodeName = Field(description="The node that receives.")
    protocol: Literal["tcp", "udp"] = Field("tcp", description="Over what.")
    least: Rate = Field(0, description="As much has to arrive at least.")
    most: Rate = Field(0, description="As much may arrive at most; by default any.")
    loss: Percents | None = Field(None, description="Of UDP: how many datagrams of a hundred are lost, from and to: [0, 5].")
    rate: Rate = Field(0, description="Of UDP: how much is sent; by default as much as the sender can.")
    seconds: Seconds = Field(1.0, ge=0.05, le=60, description="How long is sent at most.")
    bytes: Size = Field(64 << 20, ge=1 << 10, description="How much is sent at most.")

    @model_validator(mode="after")
    def _of_udp(self) -> ThroughputTest:
        if self.protocol == "tcp" and (self.loss or self.rate):
            raise ValueError("`loss` and `rate` are for `protocol: udp`")
        if 0 < self.most < self.least:
            raise ValueError("`most` is less than `least`")
        return self

    @property
    def target(self) -> str:
        return self.throughput

    @property
    def does(self) -> str:
        most = f", at most {rate_of(self.most)}" if self.most else ""
        least = f", at least {rate_of(self.least)}" if self.least else ""
        return f"{self.way} {self.protocol} throughput{least}{most}"


def rate_of(bits: float) -> str:
    """``9.53 mbit``"""
    unit = next((u for u, size in reversed(RATES.items()) if bits >= size), "bit")
    return f"{bits / RATES[unit]:.3g} {unit}"


def is_prefix(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return "/" in text
