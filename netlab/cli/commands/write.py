"""What helps to write a topology, and knows the machine."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from netlab.cli.commands.words import File, Json
from netlab.cli.which import renderer
from netlab.errors import TopologyError, UsageError

commands = typer.Typer()


@commands.command()
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


@commands.command()
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


@commands.command()
def kinds(
    name: Annotated[str | None, typer.Argument(metavar="NAME", show_default=False)] = None,
    json: Json = False,
) -> None:
    """List the kinds of nodes, devices and links, or explain one."""
    from netlab.cli.kinds import kind_texts

    renderer(json).kinds(kind_texts(name))


@commands.command()
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


@commands.command()
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


@commands.command()
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
