"""What shows a lab as it is."""

from typing import Annotated

import typer

from netlab.cli.commands.words import Json, Lab, some_nodes, time_of
from netlab.errors import UsageError

commands = typer.Typer()


@commands.command("ls")
def listsome_labs(json: Json = False) -> None:
    """List the labs that are up."""
    from netlab.cli import look

    look.labs(json)


@commands.command()
def show(
    lab: Lab,
    node: Annotated[str | None, typer.Argument(metavar="NODE", autocompletion=some_nodes)] = None,
    rules: Annotated[
        bool, typer.Option("--rules", help="Its nftables rules, as the kernel holds them.")
    ] = False,
    conntrack: Annotated[
        bool, typer.Option("--conntrack", help="The connections that it tracks.")
    ] = False,
    json: Json = False,
) -> None:
    """Show a lab, or all that is known of one of its nodes."""
    from netlab.cli import look

    if rules and conntrack:
        raise UsageError("`--rules` or `--conntrack`, not both")
    if rules and node is None:
        raise UsageError("the rules of which node?", hint="netlab show LAB NODE --rules")
    if conntrack:
        look.connections(lab, node, json)
    elif rules and node is not None:
        look.rules(lab, node, json)
    else:
        look.show(lab, node, json)


@commands.command()
def conntrack(
    lab: Lab,
    node: Annotated[str | None, typer.Argument(metavar="NODE", autocompletion=some_nodes)] = None,
    flush: Annotated[
        bool, typer.Option("--flush", help="Forget them, and say how many there were.")
    ] = False,
    json: Json = False,
) -> None:
    """Show the connections that nodes track, and their NAT."""
    from netlab.cli import look

    (look.forget if flush else look.connections)(lab, node, json)


@commands.command()
def sockets(
    lab: Lab,
    node: Annotated[str | None, typer.Argument(metavar="NODE", autocompletion=some_nodes)] = None,
    json: Json = False,
) -> None:
    """Show the sockets of nodes, and what TCP measures."""
    from netlab.cli import look

    look.sockets(lab, node, json)


@commands.command()
def bundle(
    lab: Lab,
    directory: Annotated[
        str, typer.Argument(metavar="DIR", help="A new directory.", show_default=False)
    ],
    listen: Annotated[
        str, typer.Option(metavar="TIME", help="Hear the packets of so long as well: 5s.")
    ] = "",
) -> None:
    """Write down all that the nodes of a lab hold, in a directory."""
    from netlab.cli import bundle as work

    work.run(lab, directory, time_of("--listen", listen) if listen else 0.0)
