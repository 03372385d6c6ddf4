"""A mapping over another one, so that changes can be collected and then merged or dropped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, NoReturn, TypeVar, overload

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


class Overlay(MutableMapping[K, V]):
    """Keeps changes to itself: the mapping below does not change. Nothing can be removed."""

    __slots__ = ("below", "changes")

    def __init__(self, below: Mapping[K, V] | None = None) -> None:
        self.below: Mapping[K, V] = {} if below is None else below
        self.changes: dict[K, V] = {}

    @property
    def added(self) -> dict[K, V]:
        """Changes of keys that the mapping below does not have."""
        return {key: value for key, value in self.changes.items() if key not in self.below}

    @property
    def changed(self) -> dict[K, V]:
        """Changes of keys that the mapping below has."""
        return {key: value for key, value in self.changes.items() if key in self.below}

    def merge(self, above: Overlay[K, V]) -> None:
        """Merges the changes of an overlay over this one."""
        self.changes.update(above.changes)

    def __getitem__(self, key: K) -> V:
        changes = self.changes
        return changes[key] if key in changes else self.below[key]

    @overload
    def get(self, key: K, /) -> V | None: ...

    @overload
    def get(self, key: K, /, default: V | T) -> V | T: ...

    def get(self, key: K, /, default: Any = None) -> Any:
        changes = self.changes
        return changes[key] if key in changes else self.below.get(key, default)

    def __contains__(self, key: object) -> bool:
        return key in self.changes or key in self.below

    def __setitem__(self, key: K, value: V) -> None:
        self.changes[key] = value

    def __delitem__(self, key: K) -> NoReturn:
        raise TypeError("what was saved is not removed")

    def __iter__(self) -> Iterator[K]:
        yield from self.below
        yield from self.added

    def __len__(self) -> int:
        return len(self.below) + len(self.added)
