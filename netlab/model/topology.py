"""The nouns of a topology file. Every field's description is its documentation and its schema."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    SerializeAsAny,
    Tag,
    field_validator,
    model_validator,
)

from netlab.model.firewall import RuleFile
from netlab.model.nat import Nat
from netlab.model.processes import Process, ProcessName, Variable
from netlab.model.words import (
    ACidr,
    AnIP,
    APrefix,
    AServer,
    FilePath,
    InterfaceName,
    LabName,
    Mac,
    NodeName,
    Word,
)

if TYPE_CHECKING:
    from netlab.model.checks import Test
else:
    Test = Any  # the reader knows them, and loads them where a topology has some


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Addressing(Frozen):
    """Pools for interfaces that nobody gave an address."""

    ipv4: APrefix | Literal["none"] = Field(
        "10.0.0.0/16",
        validate_default=True,
        description="IPv4 pool; a /31 for each point-to-point link, a /24 for each switched segment. `none` turns it off.",
    )
    ipv6: APrefix | Literal["none"] = Field(
        "fd00:10::/48",
        validate_default=True,
        description="IPv6 pool; a /127 for each point-to-point link, a /64 for each switched segment. `none` turns it off.",
    )

    @model_validator(mode="before")
    @classmethod
    def _none(cls, raw: Any) -> Any:
        return {"ipv4": "none", "ipv6": "none"} if raw == "none" else raw

    @field_validator("ipv4", "ipv6")
    @classmethod
    def _family(cls, pool: Any, info: Any) -> Any:
        if pool != "none" and pool.version != int(info.field_name[-1]):
            raise ValueError(f"{pool} is IPv{pool.version}")
        return pool


class Offloads(Frozen):
    """ethtool(8) features; what is not named stays as the kernel has it (on)."""

    gro: bool | None = Field(
        None, description="Generic receive offload: merge packets on the way in."
    )
    gso: bool | None = Field(
        None, description="Generic segmentation offload: cut large packets late."
    )
    tso: bool | None = Field(
        None, description="TCP segmentation offload: hand large segments to the device."
    )
    tx: bool | None = Field(None, description="Transmit checksums left to the device.")
    rx: bool | None = Field(None, description="Receive checksums trusted from the device.")


class PortSettings(Frozen):
    """How a bridge treats one port; bridge(8) tells the details."""

    cost: int | None = Field(None, ge=1, le=65535, description="STP path cost.")
    priority: int | None = Field(None, ge=0, le=63, description="STP port priority.")
    isolated: bool | None = Field(None, description="Isolated ports do not talk to each other.")
    learning: bool | None = Field(None, description="Learn source MACs on this port.")
    hairpin: bool | None = Field(None, description="Frames may leave by the port they came in.")
    flood: bool | None = Field(None, description="Flood unknown unicast to this port.")


class Interface(Frozen):
    """Anything about an interface that a link does not say; each device kind subclasses it."""

    kind: str = Field(
        "veth",
        description="What the device is; `netlab kinds` lists them. An end of a link is a veth.",
    )
    addresses: tuple[ACidr, ...] | None = Field(
        None,
        description="Addresses with prefix length. Absent: automatic where a link ends here; `[]`: none at all.",
    )
    mac: Mac | None = Field(
        None, description="Hardware address; by default computed from lab, node and interface."
    )
    mtu: int | None = Field(
        None, ge=68, le=65535, description="Largest packet in bytes; wins over the link's."
    )
    up: bool = Field(True, description="Whether the interface is switched on.")
    offload: Offloads = Field(Offloads(), description="Offloads, by their ethtool(8) words.")
    bridge_port: PortSettings = Field(PortSettings(), description="Settings as a port of a bridge.")
    sysctls: dict[str, str] = Field(
        default_factory=dict,
        description="Per-interface switches: `{rp_filter: 1}` is net.ipv4.conf.IFACE.rp_filter; `ipv6.` before a name means IPv6's; `neigh.` and `ipv6.neigh.` the neighbour tables'.",
    )

    @field_validator("sysctls", mode="before")
    @classmethod
    def _sysctl_text(cls, raw: Any) -> Any:
        return _texts(raw)


class BridgeSettings(Frozen):
    """How a bridge behaves; ip-link(8) tells the details. What is not said stays the kernel's."""

    stp: bool | None = Field(None, description="Run the spanning tree protocol (IEEE 802.1D).")
    ageing: int | None = Field(None, ge=0, le=1000000, description="Seconds until a learned MAC is forgotten (kernel: 300).")
    forward_delay: int | None = Field(None, ge=2, le=30, description="STP forward delay in seconds (kernel: 15).")
    hello_time: int | None = Field(None, ge=1, le=10, description="STP hello time in seconds (kernel: 2).")
    max_age: int | None = Field(None, ge=6, le=40, description="STP maximum message age in seconds (kernel: 20).")
    priority: int | None = Field(None, ge=0, le=65535, description="STP bridge priority: the lowest becomes root (kernel: 32768).")
    mcast_snooping: bool | None = Field(None, description="Send multicast only where it was asked for.")

    def bridge_options(self) -> tuple[tuple[str, int | str | bool], ...]:
        """What was said, by ip-link(8)'s words."""
        words = {"stp": "stp_state", "ageing": "ageing_time"}
        return tuple(
            (words.get(word, word), value)
            for word in BridgeSettings.model_fields
            if (value := getattr(self, word)) is not None
        )


class Hop(Frozen):
    """One way of a multipath route."""

    gateway: AnIP | None = Field(None, description="The next router's address.")
    dev: InterfaceName | None = Field(None, description="The interface to leave by.")
    weight: int = Field(1, ge=1, le=256, description="Share of the flows, against the other ways.")
    onlink: bool = Field(False, description="Take the gateway as directly reachable over `dev`.")

    @model_validator(mode="after")
    def _somewhere(self) -> Hop:
        if self.gateway is None and self.dev is None:
            raise ValueError("a way needs `gateway`, `dev` or both")
        return self


RouteType = Literal["unicast", "blackhole", "unreachable", "prohibit", "throw"]


class Route(Frozen):
    """One route, in ip-route(8)'s words."""

    to: APrefix | Literal["default"] = Field(description="Destination prefix, or `default`.")
    via: (
        Annotated[
            Annotated[AnIP, Tag("gateway")] | Annotated[tuple[Hop, ...], Tag("ways")],
            Discriminator(lambda raw: "ways" if isinstance(raw, list | tuple) else "gateway"),
        ]
        | None
    ) = Field(
        None,
        description="The next router, or a list of ways with weights (multipath).",
    )
    dev: InterfaceName | None = Field(None, description="The interface to leave by.")
    onlink: bool = Field(False, description="Take the gateway as directly reachable over `dev`.")
    type: RouteType = Field(
        "unicast",
        description="`blackhole` drops in silence, `unreachable` and `prohibit` answer by ICMP, `throw` goes on to the next rule.",
    )
    metric: int = Field(0, ge=0, le=2**32 - 1, description="Preference: the lower wins.")
    table: int = Field(254, ge=1, le=2**32 - 1, description="Routing table; 254 is main.")
    source: AnIP | None = Field(None, description="Preferred source address (`src`).")


class Rule(Frozen):
    """One policy rule, in ip-rule(8)'s words."""

    from_: APrefix | Literal["all"] | None = Field(None, alias="from", description="Source prefix.")
    to: APrefix | Literal["all"] | None = Field(None, description="Destination prefix.")
    iif: InterfaceName | None = Field(None, description="Interface the packet came in by.")
    oif: InterfaceName | None = Field(None, description="Interface a local socket is bound to.")
    fwmark: int | str | None = Field(
        None, description="Firewall mark, with an optional mask: 1 or 0x1/0xff."
    )
    tos: int | None = Field(None, ge=0, le=255, description="Type of service.")
    ipproto: Literal["tcp", "udp", "icmp", "ipv6-icmp", "sctp"] | None = Field(
        None, description="Transport protocol."
    )
    sport: int | None = Field(None, ge=1, le=65535, description="Source port.")
    dport: int | None = Field(None, ge=1, le=65535, description="Destination port.")
    table: int | None = Field(None, ge=1, le=2**32 - 1, description="Table to look up.")
    type: Literal["lookup", "blackhole", "unreachable", "prohibit"] = Field(
        "lookup", description="What to do with what matches."
    )
    priority: int = Field(
        description="Order among the rules: the lower is asked first.", ge=1, le=2**32 - 1
    )
    family: Literal[4, 6] | None = Field(
        None, description="4 or 6; needed only where no address tells it."
    )
    suppress_prefixlength: int | None = Field(
        None, ge=0, le=128, description="Ignore routes with a prefix this short or shorter."
    )

    @field_validator("fwmark")
    @classmethod
    def _mark(cls, mark: int | str | None) -> int | str | None:
        parts = str(mark).split("/") if mark is not None else []
        try:
            fits = len(parts) <= 2 and all(0 <= int(p, 0) < 1 << 32 for p in parts)
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(f"{mark!r} is not a mark: 1, 0x1 or 0x1/0xff")
        return mark

    @model_validator(mode="after")
    def _whole(self) -> Rule:
        prefixes = [p for p in (self.from_, self.to) if p is not None and p != "all"]
        versions = {p.version for p in prefixes} | ({self.family} if self.family else set())
        if len(versions) > 1:
            raise ValueError("IPv4 and IPv6 do not go together in one rule")
        if self.type == "lookup" and self.table is None:
            raise ValueError("a rule needs the `table` to look up, or a `type` as unreachable")
        if (self.sport or self.dport) and self.ipproto not in ("tcp", "udp", "sctp"):
            raise ValueError("ports need `ipproto`: tcp, udp or sctp")
        return self


class Neighbour(Frozen):
    """A static neighbour (ARP or ND entry), or an address answered for by proxy."""

    to: AnIP = Field(description="The neighbour's address.")
    mac: Mac | None = Field(None, description="Its hardware address.")
    dev: InterfaceName = Field(description="The interface it is behind.")
    proxy: bool = Field(False, description="Answer for this address instead of knowing it.")

    @model_validator(mode="after")
    def _one_of(self) -> Neighbour:
        if self.proxy == (self.mac is not None):
            raise ValueError(
                "give `mac` for a neighbour, or `proxy: true` to answer for the address"
            )
        return self


class Resolver(Frozen):
    """A node's /etc/resolv.conf."""

    nameservers: tuple[AServer, ...] = Field((), description="Name servers, asked in this order.")
    search: tuple[Word, ...] = Field((), description="Domains to append to short names.")
    options: tuple[Word, ...] = Field((), description="resolv.conf(5) options, as `ndots:1`.")


class File(Frozen):
    """A private file of a node."""

    text: str = Field(description="The file's content.")
    mode: int = Field(
        0o644, ge=0, le=0o7777, description="Permission bits; write them octal, as 0o644."
    )


class Node(Frozen):
    """What every node kind understands."""

    kind: str = Field("host", description="What the node is; `netlab kinds` lists them.")
    group: str | None = Field(None, description="The group whose settings this node takes over.")
    description: str = Field("", description="A sentence for people.")
    interfaces: dict[InterfaceName, SerializeAsAny[Interface]] = Field(
        default_factory=dict,
        description="Anything about an interface that a link does not say, and devices without a link.",
    )
    routes: tuple[Route, ...] = Field((), description="Static routes.")
    rules: tuple[Rule, ...] = Field((), description="Policy routing rules.")
    neighbours: tuple[Neighbour, ...] = Field(
        (), description="Static ARP and ND entries, and proxy entries."
    )
    sysctls: dict[str, str] = Field(
        default_factory=dict, description="Switches below net., by their sysctl(8) names."
    )
    hosts: bool = Field(
        True, description="Whether /etc/hosts inside the node names all nodes of the lab."
    )
    resolv_conf: Resolver = Field(
        Resolver(),
        description="What /etc/resolv.conf says inside the node; empty by default, so that unknown names fail at once.",
    )
    files: dict[FilePath, File] = Field(
        default_factory=dict, description="Private files, by absolute path: `{/etc/motd: {text: hello}}`."
    )
    env: dict[Variable, str] = Field(default_factory=dict, description="Environment of everything started in the node.")
    nftables: (
        Annotated[
            Annotated[str, Tag("text")] | Annotated[RuleFile, Tag("file")],
            Discriminator(lambda raw: "text" if isinstance(raw, str) else "file"),
        ]
        | None
    ) = Field(
        None,
        description="Rules in nft syntax: a text, or `{file: gw.nft}` beside the topology.",
    )
    nat: Nat = Field(
        Nat(), description="Translation of addresses, for the everyday cases; `nftables` is for all others."
    )
    processes: dict[ProcessName, Process] = Field(
        default_factory=dict, description="Programs that run as long as the lab is up, by name."
    )
    exec: tuple[str, ...] = Field(
        (), description="Shell lines run once after everything is up; a non-zero exit fails `up`."
    )

    @field_validator("sysctls", "env", mode="before")
    @classmethod
    def _value_text(cls, raw: Any) -> Any:
        return _texts(raw)

    @field_validator("files", mode="before")
    @classmethod
    def _short_file(cls, raw: Any) -> Any:
        if not isinstance(raw, dict):
            return raw
        return {path: {"text": f} if isinstance(f, str) else f for path, f in raw.items()}

    @field_validator("files")
    @classmethod
    def _apart(cls, files: dict[str, File]) -> dict[str, File]:
        for path in files:
            if above := next((str(p) for p in PurePosixPath(path).parents if str(p) in files), ""):
                raise ValueError(f"{above!r} is a file: {path!r} cannot be below it")
        return files


class Endpoint(Frozen):
    """One side of a link: an interface in a node."""

    node: NodeName = Field(description="The node this end is in.")
    interface: InterfaceName | None = Field(
        None,
        description="Its interface; by default the next free ethN, on a switch the neighbour's name.",
    )
    addresses: tuple[ACidr, ...] | None = Field(
        None, description="Addresses with prefix length. Absent: automatic; `[]`: none."
    )

    @model_validator(mode="before")
    @classmethod
    def _short(cls, raw: Any) -> Any:
        """``r1:eth0 10.0.0.1/24`` is the short form."""
        if not isinstance(raw, str):
            return raw
        where, *addresses = raw.split() or [""]
        node, colon, interface = where.partition(":")
        full: dict[str, Any] = {"node": node}
        return (
            full
            | ({"interface": interface} if colon else {})
            | ({"addresses": addresses} if addresses else {})
        )


class Link(Frozen):
    """What every link kind understands."""

    kind: str = Field("veth", description="What the link is made of.")
    endpoints: tuple[Endpoint, Endpoint] = Field(
        description="The two ends: `node[:interface] [address …]`, or a mapping."
    )
    mtu: int = Field(1500, ge=68, le=65535, description="Largest packet in bytes, both ways.")

    @model_validator(mode="before")
    @classmethod
    def _short(cls, raw: Any) -> Any:
        return {"endpoints": raw} if isinstance(raw, list) else raw


class Topology(Frozen):
    """A lab, as one file describes it. Defaults and groups are already merged into ``nodes``."""

    name: LabName = Field(description="The lab's name; by default the file's stem.")
    description: str = Field("", description="What the lab shows, for people.")
    addressing: Addressing = Field(
        Addressing(),
        description="Pools for interfaces without an address; `none` turns automatic addresses off.",
    )
    routing: Literal["none", "static"] = Field(
        "none",
        description="`static`: shortest-path routes to every prefix of the lab, computed, with equal-cost multipath.",
    )
    nodes: dict[NodeName, SerializeAsAny[Node]] = Field(
        description="The nodes by name; `alice:` alone is a host."
    )
    links: tuple[SerializeAsAny[Link], ...] = Field(
        (), description="The links, each between two endpoints."
    )
    tests: tuple[Test, ...] = Field(
        (), description="What must hold while the lab is up; `netlab test` tries it."
    )


def _texts(raw: Any) -> Any:
    """Numbers and booleans as the kernel writes them: ``true`` is 1."""
    if not isinstance(raw, dict):
        return raw
    return {
        k: str(int(v)) if isinstance(v, bool) else str(v) if isinstance(v, int | float) else v
        for k, v in raw.items()
    }
