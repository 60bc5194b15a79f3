"""What shows packets as they pass, or as they are dropped."""

from typing import Annotated, Any

import typer
import typer.core

from netlab.cli.commands.words import Lab, some_nodes

commands = typer.Typer()


@commands.command()
def drops(
    lab: Lab,
    nodes: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NODE]…", help="Only these.", autocompletion=some_nodes, show_default=False
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")
    ] = False,
    duration: Annotated[
        str, typer.Option(metavar="TIME", help="End after that time: 10s, 5min; else after 10s.")
    ] = "",
    count: Annotated[
        int | None,
        typer.Option("--count", "-c", metavar="N", min=1, help="End after so many packets."),
    ] = None,
    numeric: Annotated[
        bool, typer.Option("--numeric", "-n", help="Addresses instead of names of nodes.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON document a packet.")] = False,
) -> int:
    """Show every packet that the kernel drops, and why."""
    from netlab.cli import drops as work

    return work.run(
        lab, nodes or (), follow, duration, count or 0, numeric=numeric, json=json
    )


class WithFilter(typer.core.TyperCommand):
    """What follows ``--`` is a filter, and not to be taken for anything else."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        at = args.index("--") if "--" in args else len(args)
        ctx.meta[FILTER] = args[at + 1 :]
        return super().parse_args(ctx, args[:at])


FILTER = "netlab.filter"


@commands.command(cls=WithFilter)
def capture(
    ctx: typer.Context,
    lab: Lab,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NODE[:INTERFACE]… FILTER…",
            help="Where, else everywhere; and which packets, in pcap-filter(7)'s words.",
            autocompletion=some_nodes,
            show_default=False,
        ),
    ] = None,
    write: Annotated[
        str,
        typer.Option(
            "--write", "-w", metavar="FILE", help="A pcapng file; `-` is standard output."
        ),
    ] = "",
    count: Annotated[
        int | None,
        typer.Option("--count", "-c", metavar="N", min=1, help="End after so many packets."),
    ] = None,
    duration: Annotated[
        str, typer.Option(metavar="TIME", help="End after that time: 10s, 5min.")
    ] = "",
    rotate_size: Annotated[
        str, typer.Option(metavar="SIZE", help="Another file when one is so large: 64K, 10M.")
    ] = "",
    rotate_time: Annotated[
        str, typer.Option(metavar="TIME", help="Another file after that time of packets.")
    ] = "",
    files: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Keep only so many, the latest ones.")
    ] = None,
    snaplen: Annotated[
        int | None,
        typer.Option(
            "--snaplen", "-s", metavar="BYTES", min=1, max=262144, help="Keep so much of each."
        ),
    ] = None,
    buffer: Annotated[
        str, typer.Option(metavar="SIZE", help="Memory for each interface; else a share of 128M.")
    ] = "",
    numeric: Annotated[
        bool, typer.Option("--numeric", "-n", help="Addresses instead of names of nodes.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON document a packet.")] = False,
) -> int:
    """Take packets at interfaces of a lab: a line each, or one file.

    Nodes come first, the filter last; `--` may stand between them. Where files follow each other
    they are numbered: lab.pcapng becomes lab-00001.pcapng. See docs/capture.md.
    """
    from netlab.cli import capture as work
    from netlab.cli.selection import Options

    options = Options(
        write, count or 0, duration, rotate_size, rotate_time, files or 0, snaplen or 0, buffer,
        numeric, json,
    )  # fmt: skip
    return work.run(lab, words or [], ctx.meta[FILTER], options)
