"""All commands, in the order in which ``--help`` lists them."""

from typing import Annotated, Any

import typer

from netlab.cli.commands import follow, inside, life, look, packets, prove, write
from netlab.cli.main import installed_version
from netlab.errors import Interrupted, UsageError

app = typer.Typer(
    name="netlab",
    help="One YAML file becomes a real network of Linux network namespaces.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"auto_envvar_prefix": "NETLAB", "help_option_names": ["-h", "--help"]},
)
for group in life, prove, look, follow, packets, inside, write:
    app.add_typer(group.commands)

WrongWords: Any = typer.BadParameter.__base__
"""Click's ``UsageError``: some versions of typer have a click of their own, of no public name."""

Version = Annotated[
    bool,
    # NETLAB_VERSION is a likely name for the version that somebody else wants to install
    typer.Option("--version", help="Print the version.", allow_from_autoenv=False),
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
    except SystemExit as end:  # what click makes of a reader who has gone
        if isinstance(end.__context__, BrokenPipeError):
            raise end.__context__ from None
        raise
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
