"""What follows a packet, or foretells its way."""

from typing import Annotated, Literal

import typer

from netlab.cli.commands.words import Json, Lab, some_labs, some_nodes, version_of
from netlab.errors import UsageError

commands = typer.Typer()


Tcp = Annotated[
    int | None, typer.Option(metavar="PORT", min=1, max=65535, help="Connect to that port.")
]
Udp = Annotated[
    int | None, typer.Option(metavar="PORT", min=1, max=65535, help="Send to that port.")
]
Icmp = Annotated[bool, typer.Option("--icmp", help="An echo request; the usual.")]
To = Annotated[
    str, typer.Option(metavar="ADDRESS", help="Send to this address instead of TO's own.")
]
Ipv6 = Annotated[bool, typer.Option("--ipv6", "-6", help="Use IPv6.")]
Ipv4 = Annotated[bool, typer.Option("--ipv4", "-4", help="Use IPv4.")]
FromPort = Annotated[
    int, typer.Option(metavar="PORT", min=0, max=65535, help="Send from that port.")
]
Size = Annotated[
    int, typer.Option(metavar="BYTES", help="Of the whole IP packet, its headers included.")
]
Ttl = Annotated[
    int, typer.Option(metavar="N", min=0, max=255, help="Time to live, or hop limit.")
]
Tos = Annotated[
    int, typer.Option(metavar="N", min=0, max=255, help="The TOS byte, or traffic class.")
]
Df = Annotated[
    bool | None,
    typer.Option("--df/--no-df", help="Forbid or allow fragments; else as the kernel does."),
]


def _detail(
    brief: bool, everything: bool, teach: bool
) -> Literal["brief", "usual", "all", "teach"]:
    if brief + everything + teach > 1:
        raise UsageError("one of -q, -v and --teach")
    return "brief" if brief else "all" if everything else "teach" if teach else "usual"


@commands.command()
def trace(
    lab: Lab,
    sender: Annotated[
        str,
        typer.Argument(
            metavar="FROM",
            autocompletion=some_nodes,
            help="The node that sends.",
            show_default=False,
        ),
    ] = "",
    target: Annotated[
        str,
        typer.Argument(
            metavar="TO",
            autocompletion=some_nodes,
            help="A node, or an address.",
            show_default=False,
        ),
    ] = "",
    tcp: Tcp = None,
    udp: Udp = None,
    icmp: Icmp = False,
    to: To = "",
    ipv6: Ipv6 = False,
    ipv4: Ipv4 = False,
    from_port: FromPort = 0,
    size: Size = 0,
    ttl: Ttl = 0,
    tos: Tos = 0,
    df: Df = None,
    respond: Annotated[
        bool, typer.Option("--respond", help="Answer in TO, where nobody listens on the port.")
    ] = False,
    respond_port: Annotated[
        int,
        typer.Option(
            metavar="PORT", min=0, max=65535, help="Answer on this one, where NAT changes it."
        ),
    ] = 0,
    wait: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.0, help="How long to wait for an answer.")
    ] = 1.0,
    backends: Annotated[
        str, typer.Option(metavar="NAMES", help="Who watches, with commas between; else all.")
    ] = "",
    expect: Annotated[
        str, typer.Option(metavar="WORD", help="Exit with 1 where it does not end so.")
    ] = "",
    pcap: Annotated[
        str, typer.Option(metavar="FILE", help="Write its frames there, as pcapng.")
    ] = "",
    live: Annotated[
        str | None,
        typer.Option(
            metavar="FILTER", help="Follow the lab's own packets, as `tcp port 80`; '' is all."
        ),
    ] = None,
    first: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="With --live, end when so many are told."),
    ] = None,
    dropped: Annotated[
        bool, typer.Option("--dropped", help="With --live, only those that do not arrive.")
    ] = False,
    brief: Annotated[bool, typer.Option("--brief", "-q", help="One line a node.")] = False,
    everything: Annotated[
        bool, typer.Option("--everything", "-v", help="Everything that was seen.")
    ] = False,
    teach: Annotated[
        bool,
        typer.Option("--teach", help="What the kernel does at each step, and did at this one."),
    ] = False,
    json: Json = False,
) -> int:
    """Tell the way of a probe, or of the lab's packets, and its end."""
    if live is not None:
        given = {
            "FROM": sender, "--tcp": tcp, "--udp": udp, "--icmp": icmp, "--to": to,
            "--from-port": from_port, "--size": size, "--ttl": ttl, "--tos": tos,
            "--df": df is not None, "--respond": respond or respond_port,
            "--expect": expect, "--pcap": pcap, "-4": ipv4, "-6": ipv6,
        }  # fmt: skip
        return _live(
            lab, live, [n for n, v in given.items() if v], first or 0, dropped, backends,
            (brief, everything, teach), json,
        )  # fmt: skip
    if first or dropped:
        raise UsageError("--first and --dropped go with --live FILTER")
    if not sender or not target:
        raise UsageError(
            "who sends to whom?",
            hint=f"netlab trace {lab} FROM TO, or --live FILTER for the lab's own packets",
        )
    from netlab.cli.trace import Options
    from netlab.cli.trace import trace as work
    from netlab.trace.request import Words

    detail = _detail(brief, everything, teach)
    version = version_of(ipv4, ipv6)
    words = Words(
        sender, target, tcp, udp, icmp, to, version, from_port, size, ttl, tos, df
    )
    answers = respond_port or ((tcp or udp or 0) if respond else 0)
    return work(lab, words, Options(answers, wait, backends, expect, pcap, detail, json))


def _live(
    lab: str,
    text: str,
    given: list[str],
    first: int,
    dropped: bool,
    backends: str,
    details: tuple[bool, bool, bool],
    json: bool,
) -> int:
    """``details``: brief, everything, teach. One packet alone is told in full."""
    from netlab.cli.live import Options, follow

    if given:
        raise UsageError(
            f"--live follows what the lab itself sends; {given[0]} is about a probe",
            hint="the filter says which: --live 'tcp port 80 and host web'",
        )
    brief, everything, teach = details
    whole = everything or teach or (first == 1 and not brief)
    detail = _detail(False, everything, teach) if whole else None
    _detail(*details)
    return follow(lab, Options(text, first, dropped, backends, detail, json))


@commands.command()
def explain(
    lab: Annotated[
        str,
        typer.Argument(
            metavar="LAB",
            help="A lab, by name or by its file; or a topology file, before it is up.",
            autocompletion=some_labs,
            show_default=False,
        ),
    ],
    sender: Annotated[
        str,
        typer.Argument(
            metavar="FROM", autocompletion=some_nodes, help="The node that sends, or is drawn."
        ),
    ],
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="TO",
            autocompletion=some_nodes,
            help="A node, or an address; none with `--map`.",
            show_default=False,
        ),
    ] = None,
    tcp: Tcp = None,
    udp: Udp = None,
    icmp: Icmp = False,
    to: To = "",
    ipv6: Ipv6 = False,
    ipv4: Ipv4 = False,
    from_port: FromPort = 0,
    size: Size = 0,
    ttl: Ttl = 0,
    tos: Tos = 0,
    df: Df = None,
    stack: Annotated[
        bool,
        typer.Option(
            "--map",
            envvar="NETLAB_EXPLAIN_MAP",
            help="Draw FROM's network stack: what packets pass, in order.",
        ),
    ] = False,
    planned: Annotated[
        bool, typer.Option("--planned", help="What the file says, even where the lab is up.")
    ] = False,
    expect: Annotated[
        str, typer.Option(metavar="WORD", help="Exit with 1 where it would not end so.")
    ] = "",
    brief: Annotated[bool, typer.Option("--brief", "-q", help="One line a node.")] = False,
    everything: Annotated[
        bool, typer.Option("--everything", "-v", help="Every hook and every rule.")
    ] = False,
    teach: Annotated[
        bool, typer.Option("--teach", help="What the kernel does at each step.")
    ] = False,
    json: Json = False,
) -> int:
    """Foretell a packet's way, or draw a node's stack.

    From what the nodes hold; nothing is sent.
    """
    from netlab.cli import explain as work

    if stack:
        if target is not None:
            raise UsageError("--map draws one node: LAB NODE", hint="a packet's way goes without")
        work.stack(lab, sender, planned, json)
        return 0
    if target is None:
        raise UsageError("to whom?", hint="netlab explain LAB FROM TO, or LAB NODE --map")
    from netlab.trace.request import Words

    detail = _detail(brief, everything, teach)
    version = version_of(ipv4, ipv6)
    words = Words(
        sender, target, tcp, udp, icmp, to, version, from_port, size, ttl, tos, df
    )
    return work.explain(lab, words, work.Options(planned, expect, detail, json))
