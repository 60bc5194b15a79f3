"""The JSON Schema of the topology language, held against the loader and all files there are."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from netlab.model.source import parse
from tests.live.world import ROOT, netlab

TOPOLOGIES = sorted((ROOT / "topologies").glob("*.yaml"))
BAD = sorted((ROOT / "tests" / "bad").glob("*.yaml"))


@cache
def schema() -> Any:
    said = netlab("schema")
    assert (said.code, said.err) == (0, "")
    return said.json


@cache
def judge() -> Any:
    return jsonschema.Draft202012Validator(schema())


def test_it_is_a_schema_of_its_draft() -> None:
    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("file", TOPOLOGIES, ids=lambda f: f.stem)
def test_it_accepts_every_topology(file: Path) -> None:
    # by YAML 1.2, as editors do: to 1.1 the key `on` is a switch
    judge().validate(parse(file.read_bytes()).data)


def test_it_accepts_what_is_first_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    netlab("init", "first")
    judge().validate(yaml.safe_load(Path("first.yaml").read_text()))


BEYOND_A_SCHEMA = {
    # one thing against another, and the inside of a text
    "address-without-length", "addressing-family", "at-sign", "file-below-file", "file-path",
    "interface-twice", "interface-without-link", "link-at-bridge", "link-at-lo", "link-at-tun",
    "link-to-itself", "lo-with-kind", "mac", "mac-multicast", "neighbour", "route-host-bits",
    "route-to", "rule-whole", "unknown-group", "unknown-node", "reserved-interface", "group-unused",
    "zone", "file-directory",
    # numbers that YAML 1.1 reads otherwise than people do
    "mtu-base-60", "octal-old",
}  # fmt: skip


@pytest.mark.parametrize("file", BAD, ids=lambda f: f.stem)
def test_it_rejects_every_wrong_key_and_value_that_a_schema_can(file: Path) -> None:
    (found,) = netlab("check", "--json", file).json
    if all(not problem["path"] for problem in found["problems"]):
        return  # not YAML that says one thing: no schema sees it
    try:
        document = yaml.safe_load(file.read_bytes())
    except ValueError:
        return  # a number of 5,000 digits
    errors = list(judge().iter_errors(document))
    assert bool(errors) != (file.stem in BEYOND_A_SCHEMA)


def test_every_key_has_a_description() -> None:
    bare = [
        f"{place}.{key}"
        for place, body in schema()["$defs"].items()
        for key, value in body.get("properties", {}).items()
        if "description" not in value
    ]
    assert bare == []
