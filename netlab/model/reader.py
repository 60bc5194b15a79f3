"""Plain data as a Topology: merged, checked, and every wrong thing noted on the way.

A node that cannot be read is left bare, a link that cannot be is left out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from netlab.model.ends import check_ends
from netlab.model.exact import inexact
from netlab.model.guess import meant
from netlab.model.merge import Origins, merged
from netlab.model.sentences import Wrong, sentences, shown, unknown_key
from netlab.model.source import Path
from netlab.model.topology import Interface, Link, Node, Topology
from netlab.model.words import LAB_NAME, InterfaceName, NodeName

if TYPE_CHECKING:
    from netlab.model.checks import Test

ModelT = TypeVar("ModelT", bound=BaseModel)

A_TEST = "as {ping: web, from: alice}"
MOST_COMPARED = 50_000
"""Names that are looked through for what was meant; a guess costs 10 µs for each."""


@dataclass
class Reader:
    nodes: Mapping[str, type[Node]]
    devices: Mapping[str, type[Interface]]
    links: Mapping[str, type[Link]]
    wrong: list[Wrong] = field(default_factory=list)
    doubtful: set[str] = field(default_factory=set)
    origins: Origins = field(default_factory=Origins)
    compared: int = 0
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
        usual = self._defaults(data)
        nodes = self._nodes(data, usual["node"])
        links = self._links(data, usual["link"], nodes)
        self.wrong += check_ends(nodes, links, self.doubtful)
        bare = top | {"nodes": {}, "links": (), "tests": ()}
        whole = self._read(Topology, bare, ())
        if whole is None:
            bare = {"name": "unnamed", "nodes": {}}
            whole = Topology.model_validate(bare)
        tests = tuple(self._tests(data.get("tests"), nodes))
        found = {"nodes": nodes, "links": tuple(link for _, link in links), "tests": tests}
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

    # what many take over

    def _defaults(self, data: dict[str, Any]) -> dict[str, dict[str, Any]]:
        defaults = self._mapping(data.get("defaults"), ("defaults",))
        for key in defaults.keys() - {"node", "link"}:
            self.wrong.append(unknown_key(("defaults", key), ("node", "link")))
        kinds: dict[str, Mapping[str, type[BaseModel]]] = {"node": self.nodes, "link": self.links}
        return {
            word: self._block(defaults.get(word), ("defaults", word), table)
            for word, table in kinds.items()
        }

    def _groups(self, data: dict[str, Any]) -> dict[str, dict[str, Any] | None]:
        """None for one that is no mapping."""
        groups: dict[str, dict[str, Any] | None] = {}
        for name, raw in self._mapping(data.get("groups"), ("groups",)).items():
            path = ("groups", name)
            block = self._block(raw, path, self.nodes)
            if "group" in block:
                self.say((*path, "group"), "a group cannot be in a group", at_key=True)
            is_group = isinstance(raw, dict | None)
            groups[name] = {k: v for k, v in block.items() if k != "group"} if is_group else None
        return groups

    def _block(self, raw: Any, path: Path, table: Mapping[str, type[BaseModel]]) -> dict[str, Any]:
        """What it says that is known to any kind. The rest is told here, not where it is used."""
        written = self._mapping(raw, path)
        known = dict.fromkeys(key for model in table.values() for key in model.model_fields)
        for key in written.keys() - known:
            self.wrong.append(unknown_key((*path, key), known))
        block = {key: value for key, value in written.items() if key in known}
        self._part({k: v for k, v in block.items() if k != "interfaces"}, path, table)
        interfaces = self._mapping(block.get("interfaces"), (*path, "interfaces"))
        for name, interface in interfaces.items():
            if isinstance(interface, dict):
                self._part(interface, (*path, "interfaces", name), self.devices)
        return block

    def _part(self, data: dict[str, Any], path: Path, table: Mapping[str, type[BaseModel]]) -> None:
        """Values only: which keys go together shows where the part is used."""
        kind = data.get("kind")
        if "kind" in data and not (isinstance(kind, str) and kind in table):
            self._unknown_kind((*path, "kind"), kind, table)
        known = {model: model.model_fields.keys() & data.keys() for model in table.values()}
        model = table.get(kind) if isinstance(kind, str) else None
        model = model or max(known, key=lambda m: len(known[m]))
        part = {key: value for key, value in data.items() if key in known[model]}
        self._read(model, part, path, is_part=True)

    # nodes

    def _nodes(self, data: dict[str, Any], usual: dict[str, Any]) -> dict[str, Node]:
        raw = self._mapping(data.get("nodes"), ("nodes",))
        if not raw and isinstance(data.get("nodes"), dict | None):
            self.say(("nodes",) if "nodes" in data else (), "a lab needs at least one node")
        groups, names = self._groups(data), _adapter(NodeName)
        found = {}
        for name, written in raw.items():
            if self._is_name(name, names, ("nodes", name)):
                found[name] = self._node(name, written, usual, groups)
        return found

    def _node(
        self,
        name: str,
        written: Any,
        usual: dict[str, Any],
        groups: Mapping[str, dict[str, Any] | None],
    ) -> Node:
        path: Path = ("nodes", name)
        own = self._mapping(written, path)
        if not isinstance(written, dict | None):
            self.doubtful.add(name)
        layers = [(usual, ("defaults", "node")), (own, path)]
        group = own.get("group", usual.get("group"))
        if isinstance(group, str):
            layers[1:1] = self._group(group, name, groups, is_own="group" in own)
        data = merged(layers, path, self.origins)
        kind = data.get("kind", "host")
        model = self.nodes.get(kind) if isinstance(kind, str) else None
        if model is None:
            self._unknown_kind((*path, "kind"), kind, self.nodes)
            self.doubtful.add(name)
            model, kind, data = Node, "host", {"interfaces": data.get("interfaces")}
        interfaces = self._node_interfaces(name, data.pop("interfaces", None))
        node = self._read(model, data, path, self.nodes) if data else _bare(model, kind)
        if node is None:
            self.doubtful.add(name)
            node = _bare(model, kind)
        return node.model_copy(update={"interfaces": interfaces}) if interfaces else node

    def _group(
        self,
        group: str,
        node: str,
        groups: Mapping[str, dict[str, Any] | None],
        *,
        is_own: bool,
    ) -> list[tuple[dict[str, Any], Path]]:
        settings = groups.get(group)
        if settings is not None:
            return [(settings, ("groups", group))]
        self.doubtful.add(node)
        if group not in groups:
            hint = self._guess(group, groups) or "groups are defined under `groups`"
            path = ("nodes", node) if is_own else ("defaults", "node")
            self.say((*path, "group"), f"unknown group {shown(group)}", hint)
        return []

    def _node_interfaces(self, node: str, raw: Any) -> dict[str, Interface]:
        path: Path = ("nodes", node, "interfaces")
        if not isinstance(raw, dict | None):
            self.doubtful.add(node)
        found: dict[str, Interface] = {}
        for name, written in self._mapping(raw, path).items():
            data = self._mapping(written, (*path, name))
            kind = data.get("kind", "veth")
            model = self.devices.get(kind) if isinstance(kind, str) else None
            if model is None:
                self._unknown_kind((*path, name, "kind"), kind, self.devices)
            elif name == "lo" and kind != "veth":
                self.say((*path, name, "kind"), "lo is the loopback device: it has no kind")
            is_named = self._is_name(name, _adapter(InterfaceName), (*path, name))
            read = self._read(model, data, (*path, name), self.devices) if model else None
            if read is None or not is_named or not isinstance(written, dict | None):
                self.doubtful.add(node)
            else:
                found[name] = read
        return found

    # links

    def _links(
        self, data: dict[str, Any], usual: dict[str, Any], nodes: Mapping[str, Node]
    ) -> list[tuple[int, Link]]:
        raw = data.get("links")
        if raw is not None and not isinstance(raw, list):
            self.say(("links",), f"a list is meant here, not {shown(raw)}")
            self.doubtful.update(nodes)
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
        return self._read(model, data, path, self.links)

    def _has_ends(self, place: int, link: Link, nodes: Mapping[str, Node]) -> bool:
        fine = True
        for side, end in enumerate(link.endpoints):
            if end.node not in nodes:
                path = ("links", place, "endpoints", side, "node")
                self.say(path, f"unknown node {end.node!r}", self._guess(end.node, nodes))
                fine = False
        return fine

    # tests

    def _tests(self, raw: Any, nodes: Mapping[str, Node]) -> Iterator[Test]:
        if raw is not None and not isinstance(raw, list):
            self.say(("tests",), f"a list is meant here, not {shown(raw)}")
        for place, written in enumerate(raw if isinstance(raw, list) else ()):
            test = self._test(("tests", place), written)
            if test is not None and self._speaks_of_nodes(("tests", place), test, nodes):
                yield test

    def _test(self, path: Path, written: Any) -> Test | None:
        from netlab.model.checks import SORTS

        if not isinstance(written, dict):
            self.say(path, f"a test is a mapping, not {shown(written)}", A_TEST)
            return None
        sorts = [key for key in written if key in SORTS]
        if len(sorts) != 1:
            guesses = (meant(key, SORTS) for key in written if not sorts)
            hint = next(filter(None, guesses), A_TEST)
            self.say(path, f"a test has one of {', '.join(SORTS)}", hint)
            return None
        return self._read(SORTS[sorts[0]], written, path)  # type: ignore[return-value]

    def _speaks_of_nodes(self, path: Path, test: Test, nodes: Mapping[str, Node]) -> bool:
        from netlab.model.checks import ProcessTest

        unknown = [(key, node) for key, node in test.nodes() if node not in nodes]
        for key, node in unknown:
            self.say((*path, key), f"unknown node {node!r}", self._guess(node, nodes))
        if unknown or not isinstance(test, ProcessTest):
            return not unknown
        known = nodes[test.on].processes
        if test.process not in known and test.on not in self.doubtful:
            hint = self._guess(test.process, known)
            self.say((*path, "process"), f"{test.on} has no process {test.process!r}", hint)
        return test.process in known

    # words

    def _read(
        self,
        model: type[ModelT],
        data: dict[str, Any],
        path: Path,
        table: Mapping[str, type[BaseModel]] | None = None,
        *,
        is_part: bool = False,
    ) -> ModelT | None:
        """``table`` holds the other kinds: one of them may know what this one does not."""
        wrong = list(inexact(model, data))
        told = {w.path for w in wrong}
        read = None
        try:
            read = model.model_validate(data)
        except ValidationError as failure:
            found = sentences(failure, model, data, is_part=is_part)
            wrong += (_by_kind(w, data, table or {}) for w in found if w.path not in told)
        self.wrong += (w._replace(path=(*path, *w.path)) for w in wrong)
        return None if wrong else read

    def _mapping(self, raw: Any, path: Path) -> dict[str, Any]:
        if isinstance(raw, dict):
            return raw
        if raw is not None:
            self.say(path, f"a mapping is meant here, not {shown(raw)}")
        return {}

    def _is_name(self, name: str, names: TypeAdapter[Any], path: Path) -> bool:
        try:
            names.validate_python(name)
        except ValidationError as failure:
            for wrong in sentences(failure, BaseModel, name):
                self.wrong.append(wrong._replace(path=path, at_key=True))
            return False
        return True

    def _guess(self, word: str, known: Collection[str]) -> str:
        self.compared += len(known)
        return meant(word, known) if self.compared <= MOST_COMPARED else ""

    def _unknown_kind(self, path: Path, kind: object, known: Iterable[str]) -> None:
        close, kinds = meant(kind, known), f"kinds: {', '.join(known)}"
        self.say(path, f"unknown kind {shown(kind)}", f"{close} {kinds}".strip())


def _nodes_of(written: Any) -> Iterator[str]:
    """The nodes that a link which could not be read seems to speak of."""
    ends = written.get("endpoints") if isinstance(written, dict) else written
    for end in ends if isinstance(ends, list) else ():
        if isinstance(end, str):
            yield re.split(r"[:\s]", end, maxsplit=1)[0]
        elif isinstance(end, dict) and isinstance(end.get("node"), str):
            yield end["node"]


def _by_kind(wrong: Wrong, data: dict[str, Any], table: Mapping[str, type[BaseModel]]) -> Wrong:
    """A key that this kind does not know, but another does."""
    if not table or not wrong.at_key or len(wrong.path) != 1:
        return wrong
    key = wrong.path[0]
    kinds = [kind for kind, model in table.items() if key in model.model_fields]
    kind = data.get("kind") or next(iter(table.values())).model_fields["kind"].default
    if not kinds:
        return wrong
    hint = f"it goes with `kind: {'` or `'.join(kinds)}`"
    return wrong._replace(message=f"unknown key {shown(key)} in a {kind}", hint=hint)


@cache
def _bare(model: type[Node], kind: str) -> Node:
    return model(kind=kind)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
