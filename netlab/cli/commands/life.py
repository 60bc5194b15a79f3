"""What makes a lab, changes it and ends it."""

from typing import Annotated

import typer

from netlab.cli.commands.words import ONE_LAB, File, Json, some_labs, time_of
from netlab.cli.which import renderer, state_directory
from netlab.errors import UsageError

commands = typer.Typer()


@commands.command()
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

    work.up(file, json, time_of("--ttl", ttl), owner_pid)


@commands.command(
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


@commands.command()
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


@commands.command()
def down(
    lab: Annotated[
        str | None,
        typer.Argument(metavar="LAB", help=ONE_LAB, autocompletion=some_labs),
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


@commands.command()
def gc(json: Json = False) -> None:
    """Sweep what a reboot, a crash or `ip netns del` left."""
    from contextlib import suppress

    from netlab.cli.work import ground
    from netlab.lab import lifecycle
    from netlab.lab.interrupt import watched
    from netlab.lab.state import strays
    from netlab.render.words import count
    from netlab.trace.tracefs.instance import sweep

    with watched():
        sentences = [lifecycle.sweep(ground(), lab) for lab in strays(state_directory())]
        with suppress(OSError):  # of a kernel or a container without tracefs there are none
            left = sweep()
            sentences += [f"{count(left, 'buffer')} of killed traces in tracefs"] if left else []
    renderer(json).swept([s for s in sentences if s])
