"""A topology file as a Topology, or everything that is wrong with it, each with its place.

Never raises. A node that cannot be read is left bare and a link that cannot be is left out, so that
what lies behind them can be checked as well.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from netlab.errors import Problem
from netlab.model.merge import Origins, merged
from netlab.model.sentences import Wrong, meant, sentences, shown, unknown_key
from netlab.model.source import Path, Source, parse
from netlab.model.topology import Interface, Link, Node, Topology
from netlab.model.words import LAB_NAME, InterfaceName, NodeName

ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(frozen=True)
class Loaded:
    file: str
    topology: Topology | None
    problems: tuple[Problem, ...]
    doubtful: frozenset[str]
    """Nodes that are not what the file says, since that could not be read."""
    source: Source
    origins: Origins

    def place(self, path: Path) -> tuple[int, int]:
        """Line and column of what stands there, counted from 1; else of what is around it."""
        line, column, _ = self.source.locate(self.origins.of(path))
        return line, column

    def problem(self, path: Path, message: str, hint: str = "", *, at_key: bool = False) -> Problem:
        return _problem(self.source, self.origins, Wrong(path, message, hint, at_key))


def load(
    text: bytes | str,
    file: str,
    *,
    nodes: Mapping[str, type[Node]],
    devices: Mapping[str, type[Interface]],
    links: Mapping[str, type[Link]],
) -> Loaded:
    """``nodes``, ``devices`` and ``links`` are the kinds there are, with their settings."""
    source = parse(text)
    faults = [Problem(f.line, f.column, "", f.message, f.hint) for f in source.faults]
    reader = _Reader(nodes, devices, links)
    topology = None
    if isinstance(source.data, dict):
        topology = reader.topology(source.data, file)
    elif not faults:
        said = "nothing" if source.data is None else shown(source.data)
        faults.append(
            Problem(1, 1, "", f"a topology is a mapping with `nodes` and `links`, not {said}")
        )
    problems = [*faults, *(_problem(source, reader.origins, w) for w in reader.wrong)]
    # only now: what was found so far is told by the file's own places
    reader.renumber()
    doubtful = frozenset(reader.doubtful)
    return Loaded(file, topology, tuple(problems), doubtful, source, reader.origins)


def _problem(source: Source, origins: Origins, wrong: Wrong) -> Problem:
    path = origins.of(wrong.path)
    line, column, found = source.locate(path, at_key=wrong.at_key)
    return Problem(line, column, spelt(found), wrong.message, wrong.hint)


def spelt(path: Path) -> str:
    """``nodes.gw.routes[1].via``"""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


@dataclass
class _Reader:
    nodes: Mapping[str, type[Node]]
    devices: Mapping[str, type[Interface]]
    links: Mapping[str, type[Link]]
    wrong: list[Wrong] = field(default_factory=list)
    doubtful: set[str] = field(default_factory=set)
    origins: Origins = field(default_factory=Origins)
    places: list[int] = field(default_factory=list)
    """Of the links that could be read, their places in the file."""

    def say(self, path: Path, message: str, hint: str = "", *, at_key: bool = False) -> None:
        self.wrong.append(Wrong(path, message, hint, at_key))

    def topology(self, data: dict[str, Any], file: str) -> Topology | None:
        known = [*Topology.model_fields, "defaults", "groups"]
        for key in data.keys() - set(known):
            self.wrong.append(unknown_key((key,), known))
        top = {k: v for k, v in data.items() if k in Topology.model_fields and v is not None}
        top.setdefault("name", self._name(file, data))
        nodes = self._nodes(data)
        links = self._links(data, nodes)
        self._interfaces(nodes, links)
        bare = top | {"nodes": {}, "links": ()}
        whole = self._read(Topology, bare, ())
        if whole is None:
            bare = {"name": "unnamed", "nodes": {}}
            whole = Topology.model_validate(bare)
        found = {"nodes": nodes, "links": tuple(link for _, link in links)}
        self.places = [place for place, _ in links]
        return whole.model_copy(update=found)

    def _name(self, file: str, data: dict[str, Any]) -> str:
        if data.get("name") is not None:
            return ""
        stem = os.path.splitext(os.path.basename(file))[0]
        if re.fullmatch(LAB_NAME, stem):
            return stem
        hint = "write `name:`, with small letters, digits and `-`, at most 31"
        self.say((), f"the file's name makes no lab's name: {shown(stem)}", hint)
        return "unnamed"

    def renumber(self) -> None:
        """Links that could not be read are gone: the others keep their place in the file."""
        for now, place in enumerate(self.places):
            if now != place:
                self.origins.moved(("links", now), ("links", place))

    # nodes

    def _nodes(self, data: dict[str, Any]) -> dict[str, Node]:
        raw = self._mapping(data.get("nodes"), ("nodes",))
        if not raw:
            self.say(("nodes",) if "nodes" in data else (), "a lab needs at least one node")
        defaults = self._mapping(data.get("defaults"), ("defaults",))
        for key in defaults.keys() - {"node", "link"}:
            self.wrong.append(unknown_key(("defaults", key), ("node", "link")))
        usual = self._mapping(defaults.get("node"), ("defaults", "node"))
        groups = self._mapping(data.get("groups"), ("groups",))
        self._known_keys(usual, ("defaults", "node"))
        for name, group in groups.items():
            self._known_keys(self._mapping(group, ("groups", name)), ("groups", name))
        found = {}
        for name, written in raw.items():
            if self._is_name(name, NodeName, ("nodes", name)):
                found[name] = self._node(name, written, usual, groups)
        return found

    def _known_keys(self, settings: dict[str, Any], path: Path) -> None:
        """Said once, where it is written, and not for each node that takes it over."""
        known = {key for model in self.nodes.values() for key in model.model_fields}
        for key in settings.keys() - known:
            self.wrong.append(unknown_key((*path, key), sorted(known)))
            del settings[key]

    def _node(self, name: str, written: Any, usual: dict[str, Any], groups: dict[str, Any]) -> Node:
        path: Path = ("nodes", name)
        own = self._mapping(written, path)
        layers: list[tuple[dict[str, Any], Path]] = [(usual, ("defaults", "node"))]
        group = own.get("group", usual.get("group"))
        if isinstance(group, str) and isinstance(groups.get(group, 0), dict | None):
            layers.append((groups[group] or {}, ("groups", group)))
        elif isinstance(group, str):
            hint = meant(group, groups) or "groups are defined under `groups`"
            self.say((*path, "group"), f"unknown group {shown(group)}", hint)
            self.doubtful.add(name)
        data = merged([*layers, (own, path)], path, self.origins)
        kind = data.get("kind", "host")
        model = self.nodes.get(kind) if isinstance(kind, str) else None
        if model is None:
            self._unknown_kind((*path, "kind"), kind, self.nodes)
            self.doubtful.add(name)
            model, data = self.nodes["host"], {}
        interfaces = self._node_interfaces(name, data.pop("interfaces", None))
        node = self._read(model, data, path) if data else _bare(model)
        if node is None:
            self.doubtful.add(name)
            node = _bare(model)
        return node.model_copy(update={"interfaces": interfaces}) if interfaces else node

    def _node_interfaces(self, node: str, raw: Any) -> dict[str, Interface]:
        path: Path = ("nodes", node, "interfaces")
        found: dict[str, Interface] = {}
        for name, written in self._mapping(raw, path).items():
            data = self._mapping(written, (*path, name))
            kind = data.get("kind", "veth")
            model = self.devices.get(kind) if isinstance(kind, str) else None
            if model is None:
                self._unknown_kind((*path, name, "kind"), kind, self.devices)
            is_named = self._is_name(name, InterfaceName, (*path, name))
            read = self._read(model, data, (*path, name)) if model else None
            if read is None or not is_named:
                self.doubtful.add(node)
            else:
                found[name] = read
        return found

    # links

    def _links(self, data: dict[str, Any], nodes: Mapping[str, Node]) -> list[tuple[int, Link]]:
        raw = data.get("links")
        if raw is not None and not isinstance(raw, list):
            self.say(("links",), f"a list is meant here, not {shown(raw)}")
        usual = self._mapping((data.get("defaults") or {}).get("link"), ("defaults", "link")) \
            if isinstance(data.get("defaults"), dict) else {}  # fmt: skip
        found = []
        for place, written in enumerate(raw if isinstance(raw, list) else ()):
            link = self._link(place, written, usual)
            if link is not None and self._has_ends(place, link, nodes):
                found.append((place, link))
            else:
                self.doubtful.update(_nodes_of(written))
        return found

    def _link(self, place: int, written: Any, usual: dict[str, Any]) -> Link | None:
        path: Path = ("links", place)
        if not isinstance(written, list | dict):
            hint = 'as ["alice:eth0", "bob:eth0"]'
            self.say(path, f"a link is a list of two endpoints, not {shown(written)}", hint)
            return None
        own = {"endpoints": written} if isinstance(written, list) else written
        data = merged([(usual, ("defaults", "link")), (own, path)], path, self.origins)
        kind = data.get("kind", "veth")
        model = self.links.get(kind) if isinstance(kind, str) else None
        if model is None:
            self._unknown_kind((*path, "kind"), kind, self.links)
            return None
        return self._read(model, data, path)

    def _has_ends(self, place: int, link: Link, nodes: Mapping[str, Node]) -> bool:
        fine = True
        for side, end in enumerate(link.endpoints):
            if end.node not in nodes:
                path = ("links", place, "endpoints", side, "node")
                self.say(path, f"unknown node {end.node!r}", meant(end.node, nodes))
                fine = False
        return fine

    # interfaces

    def _interfaces(self, nodes: Mapping[str, Node], links: list[tuple[int, Link]]) -> None:
        """Each end its own interface, each veth its own link."""
        ends: dict[tuple[str, str], int] = {}
        for place, link in links:
            for side, end in enumerate(link.endpoints):
                path = ("links", place, "endpoints", side, "interface")
                if end.interface is not None:
                    self._end(path, (end.node, end.interface), place, ends, nodes)
        for name, node in nodes.items():
            for interface, settings in node.interfaces.items():
                is_end = settings.kind == "veth" and interface != "lo"
                if is_end and (name, interface) not in ends and name not in self.doubtful:
                    self._without_link(name, interface, node)

    def _end(
        self,
        path: Path,
        spot: tuple[str, str],
        place: int,
        ends: dict[tuple[str, str], int],
        nodes: Mapping[str, Node],
    ) -> None:
        node, interface = spot
        settings = nodes[node].interfaces.get(interface)
        if interface == "lo":
            self.say(path, "no link can end at lo, the loopback device")
        elif spot in ends:
            self.say(path, f"links[{ends[spot]}] ends at {node}:{interface} already")
        elif settings is not None and settings.kind != "veth":
            self.say(path, f"{node}:{interface} is a {settings.kind}; a link makes a veth")
        ends.setdefault(spot, place)

    def _without_link(self, name: str, interface: str, node: Node) -> None:
        if isinstance(node, self.nodes["switch"]) and interface == "br0":
            return
        hint = f"name it in a link, as `{name}:{interface}`, or give it a `kind`"
        path = ("nodes", name, "interfaces", interface)
        self.say(path, f"no link ends at {name}:{interface}", hint, at_key=True)

    # words

    def _read(self, model: type[ModelT], data: dict[str, Any], path: Path) -> ModelT | None:
        try:
            return model.model_validate(data)
        except ValidationError as failure:
            for wrong in sentences(failure, model, data):
                self.wrong.append(wrong._replace(path=(*path, *wrong.path)))
            return None

    def _mapping(self, raw: Any, path: Path) -> dict[str, Any]:
        if isinstance(raw, dict):
            return raw
        if raw is not None:
            self.say(path, f"a mapping is meant here, not {shown(raw)}")
        return {}

    def _is_name(self, name: str, kind: Any, path: Path) -> bool:
        try:
            _adapter(kind).validate_python(name)
        except ValidationError as failure:
            for wrong in sentences(failure, BaseModel, name):
                self.wrong.append(wrong._replace(path=path, at_key=True))
            return False
        return True

    def _unknown_kind(self, path: Path, kind: object, known: Iterable[str]) -> None:
        kinds = ", ".join(known)
        self.say(path, f"unknown kind {shown(kind)}", meant(kind, known) or f"kinds: {kinds}")


def _nodes_of(written: Any) -> Iterator[str]:
    """The nodes that a link which could not be read seems to speak of."""
    ends = written.get("endpoints") if isinstance(written, dict) else written
    for end in ends if isinstance(ends, list) else ():
        if isinstance(end, str):
            yield re.split(r"[:\s]", end, maxsplit=1)[0]
        elif isinstance(end, dict) and isinstance(end.get("node"), str):
            yield end["node"]


@cache
def _bare(model: type[Node]) -> Node:
    return model()


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
