"""`netlab ls`, `show`, `conntrack` and `sockets`: what is up, by the journals and the kernel."""

from __future__ import annotations

from netlab.cli.which import (
    identity_of,
    lab_name,
    no_such_lab,
    nodes_of,
    renderer,
    state_directory,
)
from netlab.errors import LabNotFound, StateRefused
from netlab.kernel.machine import LinuxMachine
from netlab.lab import glance, state
from netlab.render.base import LabLine
from netlab.render.words import node_of

TYPE_CHECKING = False
if TYPE_CHECKING:  # see netlab.errors
    from netlab.lab.journal import Journal
    from netlab.lab.lifecycle import Ground


def show(lab_or_file: str, node: str | None, json: bool) -> None:
    from netlab.lab import lifecycle
    from netlab.lab.portrait import portrait

    lab, here, found = _read(lab_or_file)
    lost = lifecycle.lost_namespaces(here, found)
    running = here.machine.processes(lab)
    picture = portrait(
        found.header, found.summary, found.inventory, found.inodes, lost, running
    )
    if node is None:
        renderer(json).lab(picture)
        return
    if node not in picture.nodes:
        identity_of(lab, node)  # raises, with what would be right
        raise LabNotFound(f"lab {lab} has no node {node} any more")
    renderer(json).node(picture, picture.nodes[node])


def rules(lab_or_file: str, node: str, json: bool) -> None:
    """What the kernel holds, and the lines that made it: those of the text as it was loaded."""
    from netlab.resources.firewall import Firewall

    lab, here, found = _read(lab_or_file)
    ns, identity = f"{lab}.{node}", identity_of(lab, node)
    firewall = found.inventory.get(("firewall", ns))
    spec = firewall.spec if isinstance(firewall, Firewall) else ""
    renderer(json).rules(lab, node, here.machine.rules(ns, identity, spec))


def connections(lab_or_file: str, node: str | None, json: bool) -> None:
    """Of one node, or of all."""
    from netlab.lab.addresses import owners

    lab, here, found = _read(lab_or_file)
    wanted, lost = _identities(lab, here, found, node)
    tracked = {node_of(ns): t for ns, t in here.machine.connections(wanted).items()}
    renderer(json).connections(lab, tracked, owners(found.inventory), lost)


def sockets(lab_or_file: str, node: str | None, json: bool) -> None:
    """Of one node, or of all."""
    from netlab.lab.addresses import owners

    lab, here, found = _read(lab_or_file)
    wanted, lost = _identities(lab, here, found, node)
    held = {node_of(ns): some for ns, some in here.machine.sockets(wanted).items()}
    renderer(json).sockets(lab, held, owners(found.inventory), lost)


def forget(lab_or_file: str, node: str | None, json: bool) -> None:
    """The connections of one node, or of all."""
    lab, here, found = _read(lab_or_file)
    wanted, lost = _identities(lab, here, found, node)
    gone = here.machine.forget_connections(wanted)
    renderer(json).forgotten(lab, {node_of(ns): count for ns, count in gone.items()}, lost)


def _read(lab_or_file: str) -> tuple[str, Ground, Journal]:
    from netlab.lab import lifecycle

    lab = lab_name(lab_or_file)
    here = lifecycle.Ground(LinuxMachine(state_directory()), state_directory())
    found = lifecycle.read(here, lab)
    if found is None:
        no_such_lab(lab)
    return lab, here, found


def _identities(
    lab: str, here: Ground, found: Journal, node: str | None
) -> tuple[dict[str, int], tuple[str, ...]]:
    """Of the one node, or of all in the file's order; and those that somebody took away."""
    from netlab.lab.lifecycle import lost_namespaces

    if node is not None:
        return {f"{lab}.{node}": identity_of(lab, node)}, ()
    lost = lost_namespaces(here, found)
    names = [f"{lab}.{name}" for name in nodes_of(lab)]
    return {ns: found.inodes[ns] for ns in names if ns not in lost}, lost


def labs(json: bool) -> None:
    """Of each lab the first and the last line of its journal."""
    here = state_directory()
    boot = LinuxMachine(here).boot
    renderer(json).labs([_line(here, lab, boot) for lab in state.labs(here)])


def _line(here: str, lab: str, boot: str) -> LabLine:
    try:
        raw = state.read_journal(here, lab)
        found = glance.summary_of(raw) if raw else None
    except StateRefused:
        return LabLine(lab, "unreadable")
    if found is None:
        return LabLine(lab, "half-built")
    header, summary = found
    if header.boot != boot:
        return LabLine(lab, "lost", file=header.file)
    if summary is None:
        return LabLine(lab, "half-built", file=header.file)
    size = len(summary.nodes), summary.links
    running = LinuxMachine(here).processes(lab).values()
    processes = sum(r.state == "running" for r in running), len(running)
    return LabLine(
        lab, "up", *size, summary.since, header.file, summary.description, *processes
    )
