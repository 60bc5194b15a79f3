"""What says whether a lab does what it should."""

from typing import Annotated

import typer

from netlab.cli.commands.words import Json, some_labs, time_of, version_of

commands = typer.Typer()

LabOrFile = Annotated[
    str,
    typer.Argument(
        metavar="LAB|FILE",
        help="A lab that is up; or a topology file: up for as long as it takes, and down again.",
        autocompletion=some_labs,
        show_default=False,
    ),
]


@commands.command()
def test(
    lab: LabOrFile,
    only: Annotated[
        str, typer.Option(metavar="PATTERN", help="Those whose name has that in it; `*`: anything.")
    ] = "",
    junit: Annotated[
        str, typer.Option(metavar="FILE", help="Write a report there, as JUnit's XML.")
    ] = "",
    repeat: Annotated[
        int, typer.Option(metavar="N", min=1, max=10_000, help="Try them all so many times.")
    ] = 1,
    shuffle: Annotated[
        int | None,
        typer.Option(
            metavar="SEED", help="In an order of chance, the same for the same number.",
            show_default=False,
        ),
    ] = None,
    bundle: Annotated[
        str,
        typer.Option(
            metavar="DIR", help="Where one fails, write down there what every node holds."
        ),
    ] = "",
    json: Json = False,
) -> int:
    """Try what the `tests:` of a topology say.

    The exit code is 1 where one does not pass; one that is inconclusive counts as failed.
    """
    from netlab.cli import test as work

    return work.test(lab, work.Wish(only, repeat, shuffle, junit, bundle, json))


@commands.command()
def matrix(
    lab: LabOrFile,
    tcp: Annotated[
        str, typer.Option(metavar="PORTS", help="Connect to these, 80,443, instead of a ping.")
    ] = "",
    udp: Annotated[
        str, typer.Option(metavar="PORTS", help="Send a datagram to these, instead of a ping.")
    ] = "",
    ipv4: Annotated[bool, typer.Option("-4", help="By IPv4.")] = False,
    ipv6: Annotated[bool, typer.Option("-6", help="By IPv6.")] = False,
    within: Annotated[
        str, typer.Option(metavar="TIME", help="How long silence is waited for: 1.5s.")
    ] = "",
    save: Annotated[
        str, typer.Option(metavar="FILE", help="Write down what is so, to compare with later.")
    ] = "",
    against: Annotated[
        str, typer.Option(metavar="FILE", help="Exit with 1 where it is not as was saved there.")
    ] = "",
    html: Annotated[
        str, typer.Option(metavar="FILE", help="Write it as a page that needs nothing else.")
    ] = "",
    json: Json = False,
) -> int:
    """Let every node ask every other one, and show who is answered.

    All pairs are asked side by side, from sockets in the nodes; silence is asked again.
    """
    from netlab.cli import matrix as work

    version = version_of(ipv4, ipv6)
    words = work.Words(tcp, udp, version, time_of("--within", within))
    return work.matrix(lab, words, work.Files(save, against, html), json)
