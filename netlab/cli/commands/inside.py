"""What runs in the nodes of a lab."""

from typing import Annotated

import typer

from netlab.cli.commands.words import Json, Lab, Which, some_nodes
from netlab.cli.which import lab_name

commands = typer.Typer()


@commands.command(
    "exec", context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False}
)
def execute(
    ctx: typer.Context,
    lab: Lab,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="NODE… -- COMMAND…", autocompletion=some_nodes, show_default=False),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="In all nodes at once.", envvar="NETLAB_EXEC_ALL")
    ] = False,
) -> int:
    """Run a command in a node, or in several at once.

    Its exit code is the command's own; of several nodes the highest one.
    """
    from netlab.cli.enter import run as enter

    return enter(lab, words or [], every)


@commands.command()
def shell(
    lab: Lab, node: Annotated[str, typer.Argument(metavar="NODE", autocompletion=some_nodes)]
) -> None:
    """Open a shell in a node."""
    from netlab.cli import enter

    enter.shell(lab_name(lab), node)


@commands.command()
def logs(
    lab: Lab,
    which: Which = "",
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what is still to be said.")
    ] = False,
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="Only of so long ago: 10s, 5min, 1h.")
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="One JSON document a line.")] = False,
) -> None:
    """Print what the processes of a lab have said."""
    from netlab.cli import processes

    processes.logs(lab, which, follow, since, json)


@commands.command()
def start(lab: Lab, which: Which, json: Json = False) -> None:
    """Start a process again, and wait until it is ready."""
    from netlab.cli import processes

    processes.control(lab, which, "start", json)


@commands.command()
def stop(lab: Lab, which: Which, json: Json = False) -> None:
    """Stop a process: it is asked to end, and killed after its grace."""
    from netlab.cli import processes

    processes.control(lab, which, "stop", json)


@commands.command()
def restart(lab: Lab, which: Which, json: Json = False) -> None:
    """Stop a process, start it again, and wait until it is ready."""
    from netlab.cli import processes

    processes.control(lab, which, "restart", json)
