"""A node's network stack as the picture of netfilter's packet flow, in characters, from above down.

What the node does not have is a plain line. Boxes are as wide as they need to be, up to ``WIDTH``;
what does not fit is cut with "…": `--json` has it whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

from netlab.render.words import count
from netlab.trace.explain.stack import FORWARDING, Nic, Route, Stack, Stop, Way

Line: TypeAlias = tuple[str, str]
Row: TypeAlias = tuple[str, ...]
"""Cells: all columns of a box's rows are aligned; one that is alone takes the whole row."""

WIDTH = 100
FLOW = 4
"""The column that packets run down in, counted from the left side of a box."""
GAP = 2
"""Columns between two boxes side by side, and between cells."""
LEAST_HALF = 36
"""Columns of what is on either side, however little it is."""
MANY_ROUTES, MANY_SOCKETS, MANY_NEIGHBOURS = 10, 12, 8
"""So many are drawn; of more, their number."""
VERSIONS = {(4,): "IPv4", (6,): "IPv6", (4, 6): "IPv4 and IPv6", (): "nothing"}
NOT_CHAINS = {
    "defragmentation": "defragmentation",
    "tracking": "conntrack",
    "nat": "NAT of known connections",
    "confirmation": "conntrack keeps new connections",
}
SWITCHES = {
    "devices": ("proxy_arp", "arp_ignore", "arp_filter", "arp_announce", "proxy_ndp",
                "disable_ipv6"),
    "bridging": ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables", "bridge-nf-call-arptables"),
    "input": ("icmp_echo_ignore_all", "echo_ignore_all"),
    "prerouting": ("nf_conntrack_tcp_loose",),
}  # fmt: skip
"""The boxes that switches are told in, by the ends of their names; all others concern routing."""


class Box(NamedTuple):
    title: str
    rows: tuple[Row, ...]
    wide: int = 0
    """The column that rows are broken after where there is not room for all."""

    @property
    def needs(self) -> int:
        """Columns, its sides included."""
        inner = sum(self.columns) + GAP * max(0, len(self.columns) - 1)
        alone = max((len(row[0]) for row in self.rows if len(row) == 1), default=0)
        return max(inner + 4, alone + 4, len(self.title) + 6)

    @property
    def columns(self) -> list[int]:
        rows = [row for row in self.rows if len(row) > 1]
        width = max(map(len, rows), default=0)
        return [max(len(row[n]) if n < len(row) else 0 for row in rows) for n in range(width)]

    def drawn(self, width: int, *exits: int) -> list[str]:
        """``exits``: where packets leave by its bottom."""
        if self.needs > width and any(len(row) > self.wide + 1 for row in self.rows):
            broken = tuple(line for row in self.rows for line in _broken(row, self.wide))
            return Box(self.title, broken, self.wide).drawn(width, *exits)
        body = (_cut(_cells(row, self.columns), width - 4) for row in self.rows)
        bottom = list("└" + "─" * (width - 2) + "┘")
        for place in exits:
            bottom[place] = "┬"
        return [
            f"┌ {self.title} ".ljust(width - 1, "─") + "┐",
            *(f"│ {line.ljust(width - 4)} │" for line in body),
            "".join(bottom),
        ]


def _cells(row: Row, columns: Sequence[int]) -> str:
    if len(row) == 1:
        return row[0]
    cells = (cell.ljust(n) for cell, n in zip(row, columns, strict=False))
    return (" " * GAP).join(cells).rstrip()


def _broken(row: Row, wide: int) -> Iterator[Row]:
    """What is beyond a column goes below it."""
    yield row[: wide + 1]
    if rest := "  ".join(cell for cell in row[wide + 1 :] if cell):
        yield *("",) * wide, rest


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _box(title: str, rows: Iterable[Row], wide: int = 0) -> Box | None:
    """None where there is nothing to be in it; columns that are empty in all rows stay out."""
    some = tuple(rows)
    if not some:
        return None
    cells = [row for row in some if len(row) > 1]
    filled = [n for n in range(max(map(len, some))) if any(len(r) > n and r[n] for r in cells)]
    tight = tuple(
        tuple(row[n] if n < len(row) else "" for n in filled) if len(row) > 1 else row
        for row in some
    )
    return Box(title, tight, filled.index(wide) if wide in filled else 0)


def lines(stack: Stack) -> Iterator[Line]:
    for n, line in enumerate(_picture(stack)):
        yield line.rstrip(), "bold" if n == 0 else ""
    for gap in stack.gaps:
        yield f"not shown: {gap}", "yellow"


def _picture(stack: Stack) -> Iterator[str]:
    yield _head(stack)
    yield ""
    if stack.nics:
        yield from _Plan(stack).drawn()
    else:
        yield "no devices but lo: no packet comes in or goes out"


def _head(stack: Stack) -> str:
    what = f"forwards {VERSIONS[stack.forwards]}" if stack.uses_ip else "only switches"
    source = "  as its file says" if stack.planned else ""
    return f"{stack.lab}: {stack.node}  {stack.kind}  {what}{source}"


class _Plan:
    """All boxes, and how wide they are."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.devices = _box("devices", self._devices(), 4)
        self.ingress = self._gate("netdev", "ingress")
        self.bridging = _box("bridging", self._bridging(), 2)
        self.arp = _box("arp", self._gates("arp"), 2)
        self.prerouting = self._gate("ip", "prerouting")
        self.routing = _box("routing", self._routing(), 1)
        self.input = self._gate("ip", "input")
        self.sockets = _box("programs that wait", self._sockets())
        self.forward = self._gate("ip", "forward")
        self.output = self._gate("ip", "output")
        self.postrouting = self._gate("ip", "postrouting")
        self.neighbours = _box("neighbours that are set", self._neighbours(), 0)
        self.egress = self._gate("netdev", "egress")
        self.left, self.right = self._halves()
        self.whole = self._whole()

    # how wide

    def _halves(self) -> tuple[int, int]:
        left = max((b.needs for b in (self.input, self.sockets, self.output) if b), default=0)
        left, right = max(left, LEAST_HALF), self.forward.needs if self.forward else LEAST_HALF
        half = (WIDTH - GAP) // 2
        over = left + right + GAP - WIDTH
        if over > 0:
            left = max(min(left, half), left - over)
            right = WIDTH - GAP - left
        return left, right

    def _whole(self) -> int:
        boxes = (
            self.devices, self.ingress, self.bridging, self.arp, self.prerouting, self.routing,
            self.postrouting, self.neighbours, self.egress,
        )  # fmt: skip
        halves = self.left + GAP + self.right if self.stack.uses_ip else 0
        return min(WIDTH, max(halves, *(box.needs for box in boxes if box)))

    @property
    def across(self) -> int:
        """Where packets for others run down."""
        return self.left + GAP + FLOW

    # the parts of the picture

    def drawn(self) -> Iterator[str]:
        arrival: list[Part] = [self.devices, self.ingress, self.bridging]
        if not self.stack.uses_ip:
            yield from self._down([*arrival, self.arp, self.egress, self._out])
            return
        if self.bridging:
            arrival.append("not by a port, or for the bridge itself")
        arrival += [self.arp, self.prerouting or "prerouting"]
        yield from self._down(arrival, goes_on=True)
        assert self.routing
        exits = (FLOW, self.across) if self.stack.forwards else (FLOW,)
        yield from self.routing.drawn(self.whole, *exits)
        yield from self._sides()
        last = self.postrouting or "postrouting"
        yield from self._down([last, self.neighbours, self.egress, self._out], begun=True)

    @property
    def _out(self) -> str:
        bridges = {bridge.name for bridge in self.stack.bridges}
        names = [nic.name for nic in self.stack.nics if nic.kind != "loopback"]
        ways = [name for name in names if name not in bridges]
        return _cut(f"out by {', '.join(ways or names)}", WIDTH - FLOW - 2)

    def _down(
        self, parts: Sequence[Part], *, begun: bool = False, goes_on: bool = False
    ) -> Iterator[str]:
        """One below the other; ``goes_on``: into a box."""
        return _stacked(parts, self.whole, begun=begun, goes_on=goes_on)

    def _sides(self) -> Iterator[str]:
        """What is for the node itself, and beside it what is for others."""
        left = list(_stacked(self._for_itself(), self.left, begun=True))
        right = self._for_others()
        forwards = bool(self.stack.forwards)
        height = max(len(left), len(right))
        run = _at(FLOW, "│")
        left += [run] * (height - len(left))
        right += [run if forwards else ""] * (height - len(right))
        for mine, others in zip(left, right, strict=True):
            yield mine.ljust(self.left + GAP) + others
        if forwards:
            yield _at(FLOW, "├") + "─" * (self.across - FLOW - 1) + "┘"
        if self.postrouting:
            yield _at(FLOW, "▼")

    def _for_itself(self) -> list[Part]:
        unheard = self.stack.unheard
        nobody = "programs, not known beforehand" if unheard else "programs: none waits"
        return [
            "for the node itself",
            self.input or "input",
            self.sockets or nobody,
            "what programs send is routed",
            self.output or "output",
        ]

    def _for_others(self) -> list[str]:
        forwards = self.stack.forwards
        if not forwards:
            return [_at(FLOW, "✗ for others: forwarding is off")]
        other = "" if len(forwards) > 1 else f", {VERSIONS[forwards]} only"
        parts: list[Part] = [f"for others{other}", self.forward or "forward"]
        return list(_stacked(parts, self.right, begun=True))

    # what is in the boxes

    def _gate(self, layer: str, hook: str) -> Box | None:
        gate = self.stack.gate(layer, hook)
        rows = [*map(_stop, gate.stops), *self._switches(hook)] if gate else []
        return _box(hook, rows, 1)

    def _devices(self) -> Iterator[Row]:
        for nic in self.stack.nics:
            addresses = [a for a in nic.addresses if not a.startswith("fe80:")] or [""]
            first, *more = addresses
            yield nic.name, nic.kind, nic.state, f"mtu {nic.mtu}", first, _beyond(nic)
            yield from (("", "", "", "", address) for address in more)
        yield from self._switches("devices")

    def _bridging(self) -> Iterator[Row]:
        for bridge in self.stack.bridges:
            words = [count(len(bridge.ports), "port") if bridge.ports else "no ports"]
            words += ["spanning tree"] if bridge.stp else []
            words += ["filters VLANs"] if bridge.vlan_filtering else []
            words += [] if self.stack.planned else [f"{count(bridge.known, 'MAC')} known"]
            yield (f"{bridge.name}: {', '.join(words)}",)
        yield from self._gates("bridge")
        if not self.stack.uses_ip:
            yield from self._gates("ip")
        calls = [name.rpartition("-")[2] for name, _ in self._told("bridging")]
        if calls and any(gate.layer in ("ip", "arp") for gate in self.stack.gates):
            yield (f"what is bridged passes IP's hooks, too (bridge-nf-call: {', '.join(calls)})",)

    def _gates(self, layer: str) -> Iterator[Row]:
        """All of a layer, in one box."""
        for gate in self.stack.gates:
            if gate.layer == layer:
                name = f"ip {gate.hook}" if layer == "ip" else gate.hook
                for n, stop in enumerate(gate.stops):
                    yield name if n == 0 else "", *_stop(stop)

    def _routing(self) -> Iterator[Row]:
        stack = self.stack
        yield from (("rule" if n == 0 else "", rule) for n, rule in enumerate(stack.rules))
        for table in stack.tables:
            shown = table.routes[:MANY_ROUTES]
            told = [words for route in shown for words in _route(route)]
            yield from ((table.name if n == 0 else "", words) for n, words in enumerate(told))
            if more := len(table.routes) - len(shown):
                yield "", f"… and {count(more, 'route')} more"
        if not stack.tables:
            yield "", "no routes"
        told = [f"{name} {value}" for name, value in self._told("routing")]
        forwarding, others = told[: len(FORWARDING)], told[len(FORWARDING) :]
        for n, words in enumerate([", ".join(forwarding), *others]):
            yield "sysctl" if n == 0 else "", words

    def _sockets(self) -> Iterator[Row]:
        sockets = self.stack.sockets
        for one in sockets[:MANY_SOCKETS]:
            address = f"[{one.address}]" if ":" in one.address else one.address
            yield one.protocol, f"{address}:{one.port}", f"on {one.device}" if one.device else ""
        if more := max(0, len(sockets) - MANY_SOCKETS):
            yield "", f"… and {more} more"

    def _neighbours(self) -> Iterator[Row]:
        neighbours = self.stack.neighbours
        for one in neighbours[:MANY_NEIGHBOURS]:
            mac = "answered for (proxy)" if one.proxy else one.mac
            yield one.address, mac, one.device
        if more := max(0, len(neighbours) - MANY_NEIGHBOURS):
            yield (f"… and {more} more",)

    def _switches(self, box: str) -> list[Row]:
        return [(f"{name} {value}",) for name, value in self._told(box)]

    def _told(self, box: str) -> Iterator[tuple[str, str]]:
        """The switches that are told in a box."""
        for name, value in self.stack.switches.items():
            leaf = name.rpartition(".")[2]
            where = next((b for b, leaves in SWITCHES.items() if leaf in leaves), "routing")
            if where == box:
                yield name, value


Part: TypeAlias = Box | str | None
"""Of the way down: a box, or words beside the line; None where there is nothing."""


def _stacked(
    parts: Sequence[Part], width: int, *, begun: bool = False, goes_on: bool = False
) -> Iterator[str]:
    """``begun``: a line leads to the first already; ``goes_on``: there is a box below the last."""
    some = [part for part in parts if part]
    for n, part in enumerate(some):
        below = some[n + 1] if n + 1 < len(some) else None
        into = isinstance(below, Box) or (below is None and goes_on)
        if isinstance(part, Box):
            yield from part.drawn(width, FLOW)
            if into:
                yield _at(FLOW, "▼")
        else:
            is_end = below is None and part.startswith("out by")
            yield _at(FLOW, f"{'▼' if into or is_end else '│'} {part}")


def _at(place: int, text: str) -> str:
    return " " * place + text


def _beyond(nic: Nic) -> str:
    parts = [
        f"to {nic.peer}" if nic.peer else "",
        f"port of {nic.bridge}" if nic.bridge else "",
        *nic.notes,
    ]
    return ", ".join(part for part in parts if part)


def _stop(stop: Stop) -> Row:
    if stop.what != "chain":
        only = f" ({VERSIONS[stop.versions]})" if len(stop.versions) == 1 else ""
        priority = "last" if stop.what == "confirmation" else f"{stop.priority}"
        return (f"{priority:>4}  {NOT_CHAINS[stop.what]}{only}",)
    devices = f"on {', '.join(stop.devices)}" if stop.devices else ""
    kind = stop.type if stop.type != "filter" else ""
    rules = f"{count(stop.rules, 'rule')}, else" if stop.rules else "empty:"
    name = f"{stop.family} {stop.table} {stop.chain}"
    return f"{stop.priority:>4}", name, kind, devices, f"{rules} {stop.policy}"


def _route(route: Route) -> Iterator[str]:
    """In ip-route(8)'s words; each further way below the first."""
    first, *others = [_way(way) for way in route.ways] or [""]
    yield _words(
        "" if route.type == "unicast" else route.type,
        route.to,
        first,
        f"metric {route.metric}" if route.metric else "",
        f"mtu {route.mtu}" if route.mtu else "",
    )
    yield from (f"{' ' * len(route.to)} or {way}" for way in others)


def _way(way: Way) -> str:
    return _words(
        f"via {way.via}" if way.via else "",
        f"dev {way.device}" if way.device else "",
        f"weight {way.weight}" if way.weight > 1 else "",
        "(down)" if way.dead else "",
    )


def _words(*parts: str) -> str:
    return " ".join(part for part in parts if part)
