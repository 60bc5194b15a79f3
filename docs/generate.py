"""The documents that the code writes: topology.md, commands.md, trace.md, and the house's tree.

python docs/generate.py          # `make docs`
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

from netlab import errors
from netlab.cli.app import app
from netlab.cli.kinds import kind_texts
from netlab.cli.work import catalogs
from netlab.model.schema import Schema, schema
from netlab.trace.backends import TIERS
from netlab.trace.backends import catalog as watchers
from netlab.trace.causes import CAUSES
from netlab.trace.model import MEANING
from netlab.trace.tracepoints import POINTS, Point

DOCS = Path(__file__).parent
ROOT = DOCS.parent
NOTICE = "<!-- written by docs/generate.py: `make docs` writes it anew -->\n"
HOUSE = re.compile(r"(<!-- house -->\n).*(<!-- end of house -->\n)", re.S)
BASES = {"node": "Node", "device": "Interface", "link": "Link"}
"""What all kinds of a sort have in common."""


def pages() -> dict[str, str]:
    """Each document by its name, as it has to be."""
    architecture = (DOCS / "architecture.md").read_text()
    return {
        "topology.md": NOTICE + "\n".join(_topology()) + "\n",
        "commands.md": NOTICE + "\n".join(_commands()) + "\n",
        "trace.md": NOTICE + "\n".join(_trace()) + "\n",
        "architecture.md": HOUSE.sub(lambda m: f"{m[1]}{house()}{m[2]}", architecture),
    }


# topology.md


def _topology() -> Iterator[str]:
    whole = _schema()
    parts: Mapping[str, Schema] = whole["$defs"]
    yield (DOCS / "topology.intro.md").read_text()
    yield "## The file\n"
    yield from _table(whole)
    yield from _sort("Nodes", "node", parts)
    yield from _sort("Interfaces", "device", parts)
    yield from _sort("Links", "link", parts)
    for name in _parts(whole):
        yield f"\n## {name}\n"
        yield parts[name].get("description", "") + "\n"
        yield from _table(parts[name])


def _schema() -> Schema:
    found = catalogs()
    return schema(
        {name: kind.settings for name, kind in found.nodes.items()},
        {name: kind.settings for name, kind in found.devices.items()},
        {name: kind.settings for name, kind in found.links.items()},
    )


def _sort(title: str, sort: str, parts: Mapping[str, Schema]) -> Iterator[str]:
    common = parts[BASES[sort]]
    yield f"\n## {title}\n"
    yield f"Every {sort} has these keys.\n"
    yield from _table(common)
    for kind in (k for k in kind_texts(None) if k.sort == sort):
        own = parts[f"{sort} {kind.name}"]
        yield f"\n### {sort}: {kind.name}\n"
        yield kind.about + "\n"
        yield f"```yaml\n{kind.example}\n```\n"
        keys = own["properties"].keys() - common["properties"].keys()
        yield from _table(own, keys) if keys else ["No keys of its own."]


def _parts(whole: Schema) -> list[str]:
    """What the tables link to, in the order of the first mention."""
    found = re.findall(r'"#/\$defs/([A-Z]\w+)"', json.dumps(whole))
    return [name for name in dict.fromkeys(found) if name not in BASES.values()]


def _table(of: Schema, only: Iterable[str] | None = None) -> Iterator[str]:
    yield "| key | value | default | meaning |\n|---|---|---|---|"
    wanted = None if only is None else set(only)
    for key, value in of["properties"].items():
        if wanted is None or key in wanted:
            default = "required" if key in of.get("required", ()) else _default(value)
            yield f"| `{key}` | {_type(value)} | {default} | {_about(value)} |"


def _about(value: Schema) -> str:
    """Also of what stands behind an alternative."""
    told = value.get("description") or next(
        (v["description"] for v in value.get("anyOf", ()) if "description" in v), ""
    )
    return str(told).replace("|", "\\|")


def _default(value: Schema) -> str:
    default = value.get("default")
    return "" if default in (None, "", {}, []) or isinstance(default, dict) else _code(default)


def _code(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"`{text}`"


def _type(value: Schema) -> str:
    """A schema in words."""
    if "$ref" in value:
        return _link(value["$ref"])
    if "const" in value:
        return _code(value["const"])
    if "enum" in value:
        return ", ".join(map(_code, value["enum"]))
    for word in ("anyOf", "oneOf"):
        if word in value:
            told = [_type(v) for v in value[word] if v.get("type") != "null"]
            return " or ".join(dict.fromkeys(told))
    return _plain(value) if "type" in value else "mapping"


def _plain(value: Schema) -> str:
    match value["type"]:
        case "boolean":
            return "`true` or `false`"
        case "integer" | "number":
            return _number(value)
        case "array":
            item = value["prefixItems"][0] if "prefixItems" in value else value["items"]
            return f"{'two' if 'prefixItems' in value else 'list'} of: {_type(item)}"
        case "object":
            return f"mapping to: {_type(inner)}" if (inner := _inner(value)) else "mapping"
        case "string":
            about = "" if "title" in value else value.get("description", "")
            return about[:1].lower() + about[1:].rstrip(".") or "text"
        case [*several]:
            *others, last = dict.fromkeys(SCALARS[one] for one in several)
            return f"{', '.join(others)} or {last}"
        case other:
            return str(other)


SCALARS = {"string": "text", "integer": "number", "number": "number", "boolean": "switch"}


def _inner(table: Schema) -> Schema | None:
    if "patternProperties" in table:
        return next(iter(table["patternProperties"].values()), None)
    inner = table.get("additionalProperties")
    return inner if isinstance(inner, dict) else None


def _number(value: Schema) -> str:
    least, most = value.get("minimum"), value.get("maximum")
    kind = "whole number" if value["type"] == "integer" else "number"
    if least is None and most is None:
        return kind
    return f"{kind}, at least {least}" if most is None else f"{kind}, {least} to {most}"


def _link(reference: str) -> str:
    name = reference.removeprefix("#/$defs/")
    sort, _, kind = name.partition(" ")
    return f"[{name}](#{sort}-{kind})" if kind else f"[{name}](#{name.lower()})"


# commands.md


def _commands() -> Iterator[str]:
    yield (DOCS / "commands.intro.md").read_text()
    yield "## Exit codes\n"
    yield f"```\n{(errors.__doc__ or '').partition('.')[2].strip()}\n```\n"
    main: Any = typer.main.get_command(app)
    for name, command in main.commands.items():
        yield f"## netlab {name}\n"
        yield f"{command.help}\n"
        yield "| word | meaning | variable |\n|---|---|---|"
        for parameter in command.params:
            yield _parameter(name, parameter)
        yield ""


def _parameter(command: str, parameter: Any) -> str:
    """One row; every option has a variable."""
    about = (parameter.help or "").replace("|", "\\|")
    if parameter.param_type_name == "argument":
        shown = parameter.metavar or parameter.name.upper()
        return f"| `{shown}` | {about or _usual(shown)} | |"
    variable = parameter.envvar or f"NETLAB_{command}_{parameter.name}".upper()
    return f"| `{'`, `'.join(parameter.opts)}` | {about} | `{variable}` |"


def _usual(word: str) -> str:
    return {"NODE": "A node of the lab.", "LAB": "A lab, by name or by its file."}.get(word, "")


# trace.md


def _trace() -> Iterator[str]:
    yield (DOCS / "trace.intro.md").read_text()
    yield "## Who watches\n"
    yield "`netlab doctor` says who can here, and why not; `--backends` chooses.\n"
    yield "| backend | what it sees | needs |\n|---|---|---|"
    for name, backend in watchers().items():
        yield f"| `{name}` | {backend.about} | `{backend.option}` |"
    yield "\n| tier | who watches | what is told |\n|---|---|---|"
    for letter, needs, words in TIERS:
        yield f"| {letter} | {', '.join(sorted(needs)) or 'nobody'} | {words} |"
    yield "\n## Where programs stand\n"
    yield "At what a kernel has of these; each tells one thing, and of the probe's packets alone.\n"
    yield "| tracepoint | without it the kernel does not tell |\n|---|---|"
    for point in POINTS.values():
        yield f"| {_tracepoint(point)} | {point.about} |"
    yield "\n## How a journey ends\n"
    yield "| word | the packet … |\n|---|---|"
    for word, meaning in MEANING.items():
        yield f"| `{word}` | {meaning} |"
    yield "\n## Causes\n"
    yield "The first that holds is told, with what shows it and what to do.\n"
    yield "| cause | ends as | in words |\n|---|---|---|"
    for entry in CAUSES:
        yield f"| `{entry.name}` | `{entry.disposition}` | {_plain_words(entry.sentence)} |"


def _tracepoint(point: Point) -> str:
    return f"`{point.event.name}`" if point.event.name else "netfilter's hooks (Linux 6.4)"


def _plain_words(sentence: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda m: f"*{m[1].replace('_', ' ')}*", sentence)


# architecture.md


def house() -> str:
    """Every module of netlab with the first line of its docstring."""
    lines = []
    for path in sorted((ROOT / "netlab").rglob("*.py"), key=_place):
        module = path.relative_to(ROOT)
        if path.name == "__init__.py":
            lines += [(0, f"{module.parent}/", _first(path))]
        else:
            lines += [(len(module.parts) - 1, path.name, _first(path))]
    rows = [f"{'  ' * depth + name:<26} {about}".rstrip() for depth, name, about in lines]
    return "```\n" + "\n".join(rows) + "\n```\n"


def _place(path: Path) -> tuple[Any, ...]:
    """A room's own line first, then its files, then the rooms in it."""
    parts = path.relative_to(ROOT).parts
    return (parts[:-1], path.name != "__init__.py", path.name)


def _first(path: Path) -> str:
    told = ast.get_docstring(ast.parse(path.read_text())) or ""
    return told.partition("\n")[0].rstrip(".")


if __name__ == "__main__":
    for name, text in pages().items():
        (DOCS / name).write_text(text)
        print(f"docs/{name}")
