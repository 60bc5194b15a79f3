"""The words that commands share.

Annotations are no strings here: typer would evaluate each of them at every start.
"""

from typing import Annotated

import typer

from netlab.cli.which import lab_name, nodes_of, state_directory
from netlab.errors import NetlabError, UsageError

Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
File = Annotated[str, typer.Argument(metavar="FILE", help="A topology file.", show_default=False)]


def some_labs(incomplete: str) -> list[str]:
    from netlab.lab.state import labs

    return [lab for lab in labs(state_directory()) if lab.startswith(incomplete)]


def some_nodes(ctx: typer.Context, incomplete: str) -> list[str]:
    try:
        lab = lab_name(ctx.params.get("lab") or "")
        return [n for n in nodes_of(lab) if n.startswith(incomplete)]
    except NetlabError:
        return []


def some_processes(ctx: typer.Context, incomplete: str) -> list[str]:
    from netlab.kernel.supervisor.record import all_of

    try:
        lab = lab_name(ctx.params.get("lab") or "")
    except NetlabError:
        return []
    names = [f"{r.node}/{r.name}" for r in all_of(f"{state_directory()}/{lab}")]
    return [name for name in names if name.startswith(incomplete)]


ONE_LAB = "A lab, by name or by its file."
Lab = Annotated[
    str, typer.Argument(metavar="LAB", help=ONE_LAB, autocompletion=some_labs, show_default=False)
]
Which = Annotated[
    str,
    typer.Argument(
        metavar="NODE[/PROCESS]",
        help="A process, or all of a node.",
        autocompletion=some_processes,
        show_default=False,
    ),
]


def time_of(option: str, text: str) -> float:
    """Seconds; 0 where nothing is said."""
    from netlab.model.processes import seconds

    try:
        found = seconds(text) if text else 0.0
    except ValueError as problem:
        raise UsageError(f"{option}: {problem}") from None
    if text and not found:
        raise UsageError(f"{option} {text}: it takes more than no time, as 10s")
    return found


def version_of(ipv4: bool, ipv6: bool) -> int:
    """4, 6, or 0 where either will do."""
    if ipv4 and ipv6:
        raise UsageError("-4 or -6, not both")
    return 4 if ipv4 else 6 if ipv6 else 0
