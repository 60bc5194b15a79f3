"""The JSON Schema of a topology file, from the models that check it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from netlab.model.topology import Interface, Link, Node, Topology

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]
NULL: Schema = {"type": "null"}
SCALAR: Schema = {"type": ["string", "number", "boolean"]}
TEXT_TABLES = frozenset({"sysctls", "env"})
"""Tables whose values may be written as numbers and booleans."""


def schema(
    nodes: Mapping[str, type[Node]],
    devices: Mapping[str, type[Interface]],
    links: Mapping[str, type[Link]],
) -> Schema:
    """With the short forms, and with ``defaults`` and ``groups``."""
    from netlab.model.checks import SORTS

    kinds: list[type[BaseModel]] = [*nodes.values(), *devices.values(), *links.values()]
    models = [Topology, *kinds, *SORTS.values()]
    pairs = [(m, "validation") for m in dict.fromkeys(models)]
    places, document = models_json_schema(pairs, ref_template="#/$defs/{model}")  # type: ignore[arg-type]
    known: dict[str, Schema] = document["$defs"]
    made: dict[str, Schema] = {}

    def variants(sort: str, table: Mapping[str, type[BaseModel]], usual: str) -> list[Schema]:
        refs = []
        for kind, model in table.items():
            body = known[_name(places[model, "validation"])]
            made[f"{sort} {kind}"] = _of_kind(body, kind, kind == usual)
            refs.append({"$ref": f"#/$defs/{sort} {kind}"})
        return refs

    device = {"anyOf": variants("device", devices, "veth")}
    node = {"anyOf": variants("node", nodes, "host")}
    link = {"anyOf": variants("link", links, "veth")}
    for name, body in made.items():
        properties = body["properties"]
        if name.startswith("node "):
            _under_names(properties["interfaces"], {"anyOf": [*device["anyOf"], NULL]})
            file = properties["files"]["additionalProperties"]
            properties["files"]["additionalProperties"] = {"anyOf": [{"type": "string"}, file]}
        if name.startswith("link "):
            properties["endpoints"] = _endpoints(properties["endpoints"])
        for table in TEXT_TABLES & properties.keys():
            properties[table]["additionalProperties"] = SCALAR
    pair = next(iter(made[f"link {kind}"]["properties"]["endpoints"] for kind in links))
    top = known.pop(_name(places[Topology, "validation"]))
    tests = [{"$ref": f"#/$defs/{_name(places[test, 'validation'])}"} for test in SORTS.values()]
    top["properties"]["tests"]["items"] = {"anyOf": tests}
    made["any node"] = _in_part([b for name, b in made.items() if name.startswith("node ")])
    made["any link"] = _in_part([b for name, b in made.items() if name.startswith("link ")])
    return _document(top, node, {"anyOf": [*link["anyOf"], pair]}) | {"$defs": {**known, **made}}


def _document(top: Schema, node: Schema, link: Schema) -> Schema:
    properties: Schema = top["properties"]
    _under_names(properties["nodes"], {"anyOf": [*node["anyOf"], NULL]})
    properties["links"]["items"] = link
    properties["addressing"] = {"anyOf": [properties["addressing"], {"const": "none"}]}
    a_node, a_link = {"$ref": "#/$defs/any node"}, {"$ref": "#/$defs/any link"}
    properties["defaults"] = {
        "type": "object",
        "description": "Settings that every node and every link starts from.",
        "properties": {
            "node": {"anyOf": [a_node, NULL], "description": "Settings as of a node."},
            "link": {"anyOf": [a_link, NULL], "description": "Settings as of a link."},
        },
        "additionalProperties": False,
    }
    properties["groups"] = {
        "type": "object",
        "description": "Settings by name, taken over by nodes that say `group: NAME`.",
        "additionalProperties": {
            "anyOf": [{"allOf": [a_node, {"not": {"required": ["group"]}}]}, NULL]
        },
    }
    required = [key for key in top.get("required", []) if key != "name"]
    return {"$schema": DIALECT, "title": "A netlab topology", **top, "required": required}


def _in_part(bodies: Sequence[Schema]) -> Schema:
    """What any of the kinds knows, nothing of it required: it is merged with what others say."""
    found: dict[str, list[Schema]] = {}
    for body in bodies:
        for key, value in body["properties"].items():
            is_table = value.get("type") == "object" and value.get("additionalProperties") != SCALAR
            part = {"type": "object", "description": value["description"]} if is_table else value
            if part not in found.setdefault(key, []):
                found[key].append(part)
    properties = {
        key: ways[0] if len(ways) == 1 else {"anyOf": ways, "description": ways[0]["description"]}
        for key, ways in found.items()
    }
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _of_kind(body: Schema, kind: str, usual: bool) -> Schema:
    about = body["properties"]["kind"]["description"]
    properties = {**body["properties"], "kind": {"const": kind, "description": about}}
    required = [*body.get("required", []), *([] if usual else ["kind"])]
    return {**body, "properties": properties, "required": required}


def _under_names(table: Schema, value: Schema) -> None:
    """The names keep their pattern; what stands under them is any of the kinds."""
    (pattern,) = table["patternProperties"]
    table["patternProperties"] = {pattern: value}
    table["additionalProperties"] = False


def _endpoints(pair: Schema) -> Schema:
    """Each end as a mapping or in its short form."""
    ends = [{"anyOf": [end, {"type": "string"}]} for end in pair["prefixItems"]]
    return {**pair, "prefixItems": ends}


def _name(reference: Any) -> str:
    return str(reference["$ref"]).removeprefix("#/$defs/")
