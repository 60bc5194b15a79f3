"""The commands: words in, one call, a rendering out.

Annotations are no strings here: typer would evaluate each of them at every start.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
import typer.core

from netlab.cli.main import installed_version
from netlab.cli.which import lab_name, nodes_of, renderer, state_directory
from netlab.errors import Interrupted, NetlabError, TopologyError, UsageError

WrongWords: Any = typer.BadParameter.__base__
"""Click's ``UsageError``: some versions of typer have a click of their own, of no public name."""

app = typer.Typer(
    name="netlab",
    help="One YAML file becomes a real network of Linux network namespaces.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"auto_envvar_prefix": "NETLAB", "help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
File = Annotated[str, typer.Argument(metavar="FILE", help="A topology file.", show_default=False)]


def _labs(incomplete: str) -> list[str]:
    from netlab.lab.state import labs

    return [lab for lab in labs(state_directory()) if lab.startswith(incomplete)]


def _nodes(ctx: typer.Context, incomplete: str) -> list[str]:
    try:
        lab = lab_name(ctx.params.get("lab") or "")
        return [n for n in nodes_of(lab) if n.startswith(incomplete)]
    except NetlabError:
        return []


def _processes(ctx: typer.Context, incomplete: str) -> list[str]:
    from netlab.kernel.supervisor.record import all_of

    try:
        lab = lab_name(ctx.params.get("lab") or "")
    except NetlabError:
        return []
    names = [f"{r.node}/{r.name}" for r in all_of(f"{state_directory()}/{lab}")]
    return [name for name in names if name.startswith(incomplete)]


Version = Annotated[
    bool,
    # NETLAB_VERSION is a likely name for the version that somebody else wants to install
    typer.Option("--version", help="Print the version.", allow_from_autoenv=False),
]
ONE_LAB = "A lab, by name or by its file."
Lab = Annotated[
    str, typer.Argument(metavar="LAB", help=ONE_LAB, autocompletion=_labs, show_default=False)
]


def run(argv: list[str]) -> int:
    """The exit code; raises NetlabError."""
    try:
        code = app(argv, standalone_mode=False, prog_name="netlab")
    except WrongWords as problem:
        command = problem.ctx.command_path if problem.ctx else "netlab"
        raise UsageError(problem.format_message(), hint=f"see `{command} --help`") from None
    except typer.Abort:
        raise Interrupted("interrupted") from None
    return code if isinstance(code, int) else 0


@app.callback(invoke_without_command=True)
def _main(ctx: typer.Context, version: Version = False) -> None:
    if version:
        typer.echo(f"netlab {installed_version()}")
    elif ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())
    else:
        return
    raise typer.Exit


@app.command()
def up(
    file: File,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only print what would be done.")
    ] = False,
    ttl: Annotated[
        str, typer.Option(metavar="TIME", help="Take it down after that time: 30min, 2h.")
    ] = "",
    owner_pid: Annotated[
        int,
        typer.Option(metavar="PID", min=0, help="Take it down when that process has ended."),
    ] = 0,
    json: Json = False,
) -> None:
    """Bring a lab up, or change it to what its file says now."""
    if dry_run:
        _plan(file, json)
        return
    from netlab.cli import up as work

    work.up(file, json, _time("--ttl", ttl), owner_pid)


def _time(option: str, text: str) -> float:
    """Seconds; 0 where nothing is said."""
    from netlab.model.processes import seconds

    try:
        return seconds(text) if text else 0.0
    except ValueError as problem:
        raise UsageError(f"{option}: {problem}") from None


@app.command(
    "run", context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False}
)
def run_file(
    file: File,
    command: Annotated[
        list[str] | None, typer.Argument(metavar="[--] COMMAND…", show_default=False)
    ] = None,
    node: Annotated[
        str,
        typer.Option(
            "--in",
            metavar="NODE",
            envvar="NETLAB_RUN_IN",
            help="Run it in that node, not on the host.",
        ),
    ] = "",
) -> int:
    """Bring a lab up for as long as a command takes."""
    from netlab.cli import run as work

    return work.run(file, command or [], node)


@app.command()
def test(
    lab: Annotated[
        str,
        typer.Argument(
            metavar="LAB|FILE",
            help="A lab that is up; or a topology file: up, tested and down again.",
            autocompletion=_labs,
            show_default=False,
        ),
    ],
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


@app.command()
def matrix(
    lab: Annotated[
        str,
        typer.Argument(
            metavar="LAB|FILE",
            help="A lab that is up; or a topology file: up, asked and down again.",
            autocompletion=_labs,
            show_default=False,
        ),
    ],
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

    if ipv4 and ipv6:
        raise UsageError("-4 or -6, not both")
    version = 4 if ipv4 else 6 if ipv6 else 0
    words = work.Words(tcp, udp, version, _time("--within", within))
    return work.matrix(lab, words, work.Files(save, against, html), json)


@app.command()
def plan(file: File, json: Json = False) -> None:
    """Print what `up` would do, why, and who would feel it."""
    _plan(file, json)


def _plan(file: str, json: bool) -> None:
    from netlab.cli.work import ground, read
    from netlab.lab import lifecycle
    from netlab.plan.felt import felt

    wanted = read(file).wanted
    road = lifecycle.road(ground(), wanted)
    neighbours = (
        felt(road.plan, road.current, wanted.inventory)
        if not road.is_new
        else [()] * len(road.plan)
    )
    renderer(json).planned(wanted.lab, road, neighbours)


@app.command()
def down(
    lab: Annotated[
        str | None,
        typer.Argument(metavar="LAB", help=ONE_LAB, autocompletion=_labs),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="All labs.", envvar="NETLAB_DOWN_ALL")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Until the kernel has cleaned up its namespaces, too.")
    ] = False,
    assert_clean: Annotated[
        bool,
        typer.Option(
            "--assert-clean",
            help="Name what is not as it was before `up`; the exit code is 1 where there is some.",
        ),
    ] = False,
    json: Json = False,
) -> int:
    """Take a lab down: its processes, namespaces, links and files."""
    from netlab.cli import down as work

    if (lab is None) != every:
        raise UsageError("which lab?" if lab is None else "a lab or `--all`, not both")
    if lab is None and assert_clean:
        raise UsageError("--assert-clean: of one lab", hint="netlab down LAB --assert-clean")
    return work.every(wait, json) if lab is None else work.one(lab, wait, json, assert_clean)


@app.command("ls")
def list_labs(json: Json = False) -> None:
    """List the labs that are up."""
    from netlab.cli import look

    look.labs(json)


@app.command()
def show(
    lab: Lab,
    node: Annotated[str | None, typer.Argument(metavar="NODE", autocompletion=_nodes)] = None,
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


@app.command()
def conntrack(
    lab: Lab,
    node: Annotated[str | None, typer.Argument(metavar="NODE", autocompletion=_nodes)] = None,
    flush: Annotated[
        bool, typer.Option("--flush", help="Forget them, and say how many there were.")
    ] = False,
    json: Json = False,
) -> None:
    """Show the connections that nodes track, and their NAT."""
    from netlab.cli import look

    (look.forget if flush else look.connections)(lab, node, json)


@app.command()
def sockets(
    lab: Lab,
    node: Annotated[str | None, typer.Argument(metavar="NODE", autocompletion=_nodes)] = None,
    json: Json = False,
) -> None:
    """Show the sockets of nodes, and what TCP measures."""
    from netlab.cli import look

    look.sockets(lab, node, json)


@app.command(
    "exec", context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False}
)
def execute(
    ctx: typer.Context,
    lab: Lab,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="NODE… -- COMMAND…", autocompletion=_nodes, show_default=False),
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


@app.command()
def shell(
    lab: Lab, node: Annotated[str, typer.Argument(metavar="NODE", autocompletion=_nodes)]
) -> None:
    """Open a shell in a node."""
    from netlab.cli import enter

    enter.shell(lab_name(lab), node)


@app.command()
def check(
    files: Annotated[list[str], typer.Argument(metavar="FILE…", show_default=False)],
    json: Json = False,
) -> int:
    """Check topology files, all errors at once; needs no root."""
    from netlab.cli.work import read
    from netlab.errors import Problem
    from netlab.render.base import Checked

    checked = []
    for file in files:
        try:
            wanted = read(file).wanted
            steps = len(wanted.inventory)
            checked.append(Checked(file, wanted.lab, len(wanted.nodes), wanted.links, steps))
        except TopologyError as wrong:
            sentences = tuple(wrong.sentences())
            checked.append(Checked(file, "", 0, 0, 0, wrong.problems, sentences))
        except UsageError as unreadable:
            problems = (Problem(0, 0, "", str(unreadable)),)
            checked.append(Checked(file, "", 0, 0, 0, problems, (str(unreadable),)))
    renderer(json).checked(checked)
    return TopologyError.exit_code if any(c.problems for c in checked) else 0


@app.command()
def doctor(
    file: Annotated[
        str | None, typer.Argument(metavar="FILE", help="Only what this topology needs.")
    ] = None,
    json: Json = False,
) -> int:
    """Probe what this kernel has, and name what is missing."""
    from netlab.cli.diagnosis import diagnose

    kernel, features, code = diagnose(file)
    renderer(json).features(kernel, features)
    return code


@app.command()
def schema(
    of: Annotated[
        Literal["topology", "trace"],
        typer.Argument(metavar="WHAT", help="`topology`, or `trace`: what a trace says in JSON."),
    ] = "topology",
) -> None:
    """Print the JSON Schema of the topology language."""
    import json

    from netlab.cli.work import catalogs
    from netlab.model.schema import schema as whole

    if of == "trace":
        from netlab.trace.model import schema as of_trace

        typer.echo(json.dumps(of_trace(), indent=2, ensure_ascii=False))
        return
    found = catalogs()
    document = whole(
        {name: kind.settings for name, kind in found.nodes.items()},
        {name: kind.settings for name, kind in found.devices.items()},
        {name: kind.settings for name, kind in found.links.items()},
    )
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


@app.command()
def kinds(
    name: Annotated[str | None, typer.Argument(metavar="NAME", show_default=False)] = None,
    json: Json = False,
) -> None:
    """List the kinds of nodes, devices and links, or explain one."""
    from netlab.cli.kinds import kind_texts

    renderer(json).kinds(kind_texts(name))


@app.command()
def init(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The lab's name.", show_default=False)
    ],
) -> None:
    """Write a first topology, NAME.yaml, to start from."""
    from netlab.cli.kinds import first_topology

    path = Path(f"{name}.yaml")
    text = first_topology(name)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path} is there already") from None
    except OSError as problem:
        raise UsageError(f"{path}: {problem.strerror}") from None
    typer.echo(f"{path} written; try  sudo netlab up {path}")


@app.command()
def script(file: File) -> None:
    """Print a lab as a shell script, for where netlab is not."""
    from netlab.cli.work import read
    from netlab.kernel.script import ScriptKernel
    from netlab.lab.apply import write
    from netlab.plan.diff import diff
    from netlab.resources import Inventory

    wanted = read(file).wanted
    kernel = ScriptKernel()
    write(kernel, diff(Inventory(), wanted.inventory))
    typer.echo(kernel.script(wanted.lab, wanted.description), nl=False)


@app.command()
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

    work.run(lab, directory, _time("--listen", listen) if listen else 0.0)


@app.command()
def gc(json: Json = False) -> None:
    """Sweep what a reboot, a crash or `ip netns del` left."""
    from netlab.cli.work import ground
    from netlab.lab import lifecycle
    from netlab.lab.interrupt import watched
    from netlab.lab.state import strays

    with watched():
        sentences = [lifecycle.sweep(ground(), lab) for lab in strays(state_directory())]
    renderer(json).swept([s for s in sentences if s])


Which = Annotated[
    str,
    typer.Argument(
        metavar="NODE[/PROCESS]",
        help="A process, or all of a node.",
        autocompletion=_processes,
        show_default=False,
    ),
]


@app.command()
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


@app.command()
def start(lab: Lab, which: Which, json: Json = False) -> None:
    """Start a process again, and wait until it is ready."""
    from netlab.cli import processes

    processes.control(lab, which, "start", json)


@app.command()
def stop(lab: Lab, which: Which, json: Json = False) -> None:
    """Stop a process: it is asked to end, and killed after its grace."""
    from netlab.cli import processes

    processes.control(lab, which, "stop", json)


@app.command()
def restart(lab: Lab, which: Which, json: Json = False) -> None:
    """Stop a process, start it again, and wait until it is ready."""
    from netlab.cli import processes

    processes.control(lab, which, "restart", json)


@app.command()
def drops(
    lab: Lab,
    nodes: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NODE]…", help="Only these.", autocompletion=_nodes, show_default=False
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


@app.command(cls=WithFilter)
def capture(
    ctx: typer.Context,
    lab: Lab,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NODE[:INTERFACE]… FILTER…",
            help="Where, else everywhere; and which packets, in pcap-filter(7)'s words.",
            autocompletion=_nodes,
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


def _detail(
    brief: bool, everything: bool, teach: bool
) -> Literal["brief", "usual", "all", "teach"]:
    if brief + everything + teach > 1:
        raise UsageError("one of -q, -v and --teach")
    return "brief" if brief else "all" if everything else "teach" if teach else "usual"


@app.command()
def trace(
    lab: Lab,
    sender: Annotated[
        str,
        typer.Argument(
            metavar="FROM", autocompletion=_nodes, help="The node that sends.", show_default=False
        ),
    ] = "",
    target: Annotated[
        str,
        typer.Argument(
            metavar="TO", autocompletion=_nodes, help="A node, or an address.", show_default=False
        ),
    ] = "",
    tcp: Annotated[
        int | None, typer.Option(metavar="PORT", min=1, max=65535, help="Connect to that port.")
    ] = None,
    udp: Annotated[
        int | None, typer.Option(metavar="PORT", min=1, max=65535, help="Send to that port.")
    ] = None,
    icmp: Annotated[bool, typer.Option("--icmp", help="An echo request; the usual.")] = False,
    to: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Send to this address instead of TO's own.")
    ] = "",
    ipv6: Annotated[bool, typer.Option("--ipv6", "-6", help="Use IPv6.")] = False,
    ipv4: Annotated[bool, typer.Option("--ipv4", "-4", help="Use IPv4.")] = False,
    from_port: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=65535, help="Send from that port.")
    ] = 0,
    size: Annotated[
        int, typer.Option(metavar="BYTES", help="Of the whole IP packet, its headers included.")
    ] = 0,
    ttl: Annotated[
        int, typer.Option(metavar="N", min=0, max=255, help="Time to live, or hop limit.")
    ] = 0,
    tos: Annotated[
        int, typer.Option(metavar="N", min=0, max=255, help="The TOS byte, or traffic class.")
    ] = 0,
    df: Annotated[
        bool | None,
        typer.Option("--df/--no-df", help="Forbid or allow fragments; else as the kernel does."),
    ] = None,
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
        typer.Option(metavar="N", min=1, help="Of --live: end when so many are told."),
    ] = None,
    dropped: Annotated[
        bool, typer.Option("--dropped", help="Of --live: only those that do not arrive.")
    ] = False,
    brief: Annotated[bool, typer.Option("--brief", "-q", help="One line a node.")] = False,
    everything: Annotated[
        bool, typer.Option("--everything", "--verbose", "-v", help="Everything that was seen.")
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

    if ipv4 and ipv6:
        raise UsageError("-4 or -6, not both")
    detail = _detail(brief, everything, teach)
    version = 4 if ipv4 else 6 if ipv6 else 0
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


@app.command()
def explain(
    lab: Annotated[
        str,
        typer.Argument(
            metavar="LAB",
            help="A lab, by name or by its file; or a topology file, before it is up.",
            autocompletion=_labs,
            show_default=False,
        ),
    ],
    sender: Annotated[
        str,
        typer.Argument(
            metavar="FROM", autocompletion=_nodes, help="The node that sends, or is drawn."
        ),
    ],
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="TO",
            autocompletion=_nodes,
            help="A node, or an address; none with `--map`.",
            show_default=False,
        ),
    ] = None,
    tcp: Annotated[
        int | None, typer.Option(metavar="PORT", min=1, max=65535, help="Connect to that port.")
    ] = None,
    udp: Annotated[
        int | None, typer.Option(metavar="PORT", min=1, max=65535, help="Send to that port.")
    ] = None,
    icmp: Annotated[bool, typer.Option("--icmp", help="An echo request; the usual.")] = False,
    to: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Send to this address instead of TO's own.")
    ] = "",
    ipv6: Annotated[bool, typer.Option("--ipv6", "-6", help="Use IPv6.")] = False,
    ipv4: Annotated[bool, typer.Option("--ipv4", "-4", help="Use IPv4.")] = False,
    from_port: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=65535, help="Send from that port.")
    ] = 0,
    size: Annotated[
        int, typer.Option(metavar="BYTES", help="Of the whole IP packet, its headers included.")
    ] = 0,
    ttl: Annotated[
        int, typer.Option(metavar="N", min=0, max=255, help="Time to live, or hop limit.")
    ] = 0,
    tos: Annotated[
        int, typer.Option(metavar="N", min=0, max=255, help="The TOS byte, or traffic class.")
    ] = 0,
    df: Annotated[
        bool | None,
        typer.Option("--df/--no-df", help="Forbid or allow fragments; else as the kernel does."),
    ] = None,
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

    if ipv4 and ipv6:
        raise UsageError("-4 or -6, not both")
    detail = _detail(brief, everything, teach)
    version = 4 if ipv4 else 6 if ipv6 else 0
    words = Words(
        sender, target, tcp, udp, icmp, to, version, from_port, size, ttl, tos, df
    )
    return work.explain(lab, words, work.Options(planned, expect, detail, json))
