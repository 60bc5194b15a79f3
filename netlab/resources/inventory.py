"""A set of resources that stand on each other."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, Mapping, ValuesView

from netlab.resources.base import Key, Resource


class Inventory(Mapping[Key, Resource]):
    """Resources by key, always listed foundations first. A value: never changed in place."""

    def __init__(self, resources: Iterable[Resource] = ()) -> None:
        ordered = sorted(resources, key=lambda r: (r.stage, r.turn))
        self._by_key = {resource.key: resource for resource in ordered}

    def __getitem__(self, key: Key) -> Resource:
        return self._by_key[key]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._by_key)

    def __len__(self) -> int:
        return len(self._by_key)

    # what a Mapping has by itself asks for one key after the other

    def __contains__(self, key: object) -> bool:
        return key in self._by_key

    def items(self) -> ItemsView[Key, Resource]:
        return self._by_key.items()

    def values(self) -> ValuesView[Resource]:
        return self._by_key.values()

    def provided(self) -> set[Key]:
        return {key for resource in self.values() for key in resource.provides}

    def missing(self) -> set[Key]:
        """Needs that nothing here answers."""
        return {need for resource in self.values() for need in resource.needs} - self.provided()

    def standing_on(self, fallen: Iterable[Key]) -> set[Key]:
        """The resources with the given keys, and everything that goes with them."""
        doomed = self.keys() & set(fallen)
        if not doomed or len(doomed) == len(self):
            return doomed
        gone = {p for key in doomed for p in self[key].provides}
        for key, resource in self._by_key.items():
            if key not in doomed and not gone.isdisjoint(resource.needs):
                doomed.add(key)
                gone.update(resource.provides)
        return doomed
