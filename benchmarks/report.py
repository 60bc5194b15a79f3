"""What was measured, as a page and as a plot."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from statistics import median

from benchmarks import pairs, rules, sessions, traces
from benchmarks.measure import Cost
from benchmarks.traffic import Flow

WHO = ("netlab up", "floor up", "ip -batch up", "mininet up and down")
COLOURS = {
    "netlab up": "#0b6e4f",
    "floor up": "#888888",
    "ip -batch up": "#c05621",
    "mininet up and down": "#6b46c1",
}

INTRODUCTION = """\
<!-- written by benchmarks/bench.py: `make bench` writes it anew -->
# Benchmark

What `make bench` measured on one machine. Every row of a table comes from one run in which all
took turns (A B C A B C …); times are medians of whole processes, memory is the most that was
resident. Only ratios carry over to other machines.
""".splitlines()
CONTESTANTS = """\
The lab is a ring of N routers: a namespace each, named under `/run/netns`, two addressed veth
ends, lo up, forwarding on, one default route. **floor** is `benchmarks/floor.c`: one thread, raw
netlink in batches, nothing read, checked or recorded. **ip -batch** is what a shell user can do
at best; **mininet** is Debian's (up and down in one process). netlab reads the file, validates
it, plans, journals, builds.

![wall time by number of nodes](benchmark.svg)
""".splitlines()

Rings = Mapping[int, Mapping[str, Cost]]


def text(
    machine: str,
    versions: Sequence[str],
    rings: Rings,
    commands: Mapping[str, Cost],
    ruled: tuple[rules.Loads, rules.Labs],
    traced: traces.Found,
    asked: Mapping[str, pairs.Asked],
    tested: Mapping[str, Cost],
    flow: Mapping[str, Flow],
) -> str:
    return "\n".join(
        [
            *INTRODUCTION,
            f"* {machine}",
            f"* {', '.join(versions)}",
            "",
            *CONTESTANTS,
            "## Up and down",
            "",
            *_rings(rings),
            "",
            f"## Commands, in the ring of {max((n for n in rings if n <= 1000), default=0)}",
            "",
            *_commands(commands),
            *rules.section(*ruled),
            *traces.section(traced),
            *pairs.section(asked),
            *sessions.section(tested),
            "## Traffic through a lab of three nodes",
            "",
            "All labs are up at once and take turns; the two built by hand differ by noise only.",
            "",
            *_flow(flow),
        ]
    )


def _rings(rings: Rings) -> list[str]:
    lines = ["| nodes | what | wall s | of the floor | CPU s | memory MiB |"]
    lines += ["|--:|---|--:|--:|--:|--:|"]
    for count, costs in rings.items():
        for what, cost in costs.items():
            is_down = " down" in what and "up" not in what
            floor = costs["floor down and wait" if is_down else "floor up"]
            lines.append(
                f"| {count} | {what} | {cost.wall:.3f} | {cost.wall / floor.wall:.2f} |"
                f" {cost.cpu:.3f} | {cost.memory:.0f} |"
            )
    return [*lines, ""]


def _commands(commands: Mapping[str, Cost]) -> list[str]:
    python = commands["python3 -c pass"]
    lines = ["| command | wall ms | of `python3 -c pass` | memory MiB |", "|---|--:|--:|--:|"]
    for what, cost in commands.items():
        lines.append(
            f"| `{what}` | {cost.wall * 1000:.0f} | {cost.wall / python.wall:.1f} |"
            f" {cost.memory:.0f} |"
        )
    return [*lines, ""]


def _flow(flow: Mapping[str, Flow]) -> list[str]:
    lines = ["| lab built | TCP Gbit/s | least – most | round trip µs | least – most |"]
    lines += ["|---|--:|--:|--:|--:|"]
    for who, found in flow.items():
        rates, times = found.throughput, found.round_trip
        lines.append(
            f"| {who} | {median(rates):.2f} | {min(rates):.1f} – {max(rates):.1f}"
            f" | {median(times):.1f} | {min(times):.1f} – {max(times):.1f} |"
        )
    return [*lines, ""]


def plot(rings: Rings) -> str:
    """Wall time over the number of nodes, both logarithmic."""
    wide, high, edge = 640, 360, 60
    points = [(n, costs[w].wall, w) for n, costs in rings.items() for w in WHO if w in costs]
    xs, ys = [math.log10(n) for n, _, _ in points], [math.log10(t) for _, t, _ in points]
    left, right = min(xs), max(xs) or 1
    low, top = math.floor(min(ys)), math.ceil(max(ys))

    def at(n: float, seconds: float) -> tuple[float, float]:
        x = edge + (math.log10(n) - left) / ((right - left) or 1) * (wide - edge - 150)
        y = high - edge - (math.log10(seconds) - low) / ((top - low) or 1) * (high - 2 * edge)
        return round(x, 1), round(y, 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}"'
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{wide}" height="{high}" fill="white"/>',
        f'<text x="{edge}" y="24" font-size="14">Bringing up a ring of N routers: wall time</text>',
    ]
    for power in range(low, top + 1):
        x, y = at(10**left, 10**power)
        parts.append(f'<line x1="{x}" y1="{y}" x2="{wide - 150}" y2="{y}" stroke="#dddddd"/>')
        parts.append(f'<text x="{x - 8}" y="{y + 4}" text-anchor="end">{10.0**power:g} s</text>')
    for n in rings:
        x, y = at(n, 10**low)
        parts.append(f'<text x="{x}" y="{y + 20}" text-anchor="middle">{n}</text>')
    for who in WHO:
        line = [at(n, t) for n, t, w in points if w == who]
        if not line:
            continue
        path = " ".join(f"{x},{y}" for x, y in line)
        colour = COLOURS[who]
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in line]
        x, y = line[-1]
        parts.append(f'<text x="{x + 8}" y="{y + 4}" fill="{colour}">{escape(who)}</text>')
    return "\n".join([*parts, "</svg>", ""])
