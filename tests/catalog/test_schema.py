"""The JSON Schema takes what netlab takes: the labs, and the example of every kind."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from netlab.model.source import parse
from tests.live.world import ROOT, done, netlab

LABS = sorted((ROOT / "topologies").rglob("*.yaml"))
KINDS = netlab("kinds", "--json").json


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    document = json.loads(done("schema"))
    Draft202012Validator.check_schema(document)
    return Draft202012Validator(document)


def _wrong(schema: Draft202012Validator, document: Any) -> list[str]:
    return [error.message for error in schema.iter_errors(document)]


@pytest.mark.parametrize("file", LABS, ids=lambda file: file.stem)
def test_a_lab_is_taken(file: Any, schema: Draft202012Validator) -> None:
    # by YAML 1.2, as editors do: to 1.1 the key `on` is a switch
    assert _wrong(schema, parse(file.read_bytes()).data) == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind['sort']} {kind['name']}")
def test_the_example_of_a_kind_is_taken(kind: Any, schema: Draft202012Validator) -> None:
    example = yaml.safe_load(kind["example"])
    around = {
        "node": lambda: {"nodes": example},
        "device": lambda: {"nodes": {"h1": {"interfaces": example}}},
        "link": lambda: {"nodes": {"h1": None, "h2": None}, "links": example},
    }
    assert example
    assert _wrong(schema, around[kind["sort"]]()) == []


@pytest.mark.parametrize(
    "name", ["switch-key-on-host", "unknown-node-key", "vxlan-without-kind", "node-name"]
)
def test_what_netlab_refuses_for_its_keys_is_refused(
    name: str, schema: Draft202012Validator
) -> None:
    assert _wrong(schema, yaml.safe_load((ROOT / f"tests/bad/{name}.yaml").read_text())) != []
