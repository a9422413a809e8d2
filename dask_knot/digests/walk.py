"""Walks objects, circles among them, and gives each a digest that doesn't depend on the way there.

Objects that reach each other (functions that call each other, a class and its methods) are digested
as a group. Each member begins with what it is by itself; then, again and again, what its parts are
enters, until this tells no further members apart. So a member's digest says all that can be
reached from it, and it is the same wherever a walk came in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any

from dask_knot.digests.plain import PlainValues, digest, sized
from dask_knot.digests.refusal import UndigestibleError

#: A walk of more objects than this leads to no end, or takes too long.
MOST = 5_000_000


@dataclass(slots=True)
class Opened:
    """What an object is by itself, and what it is made of.

    Attributes
    ----------
    label : bytes
        All but the parts.
    parts : sequence of Any
        Walked in turn.
    names : sequence of str
        What the parts are called in explanations; none for plain data.
    is_unordered : bool
        The order of parts means nothing.
    """

    label: bytes
    parts: Sequence[Any] = ()
    names: Sequence[str] = ()
    is_unordered: bool = False


@dataclass(slots=True, eq=False)
class _Stop:
    """An object that a walk is at."""

    value: Any
    opened: Opened
    number: int
    lowest: int
    found: list[bytes | int] = field(default_factory=list)
    left: Iterator[tuple[str, Any]] = field(default_factory=lambda: iter(()))

    def written(self, colors: dict[int, bytes]) -> bytes:
        """Give all that it is, with digests of its parts."""
        parts = [part if type(part) is bytes else b"#" + colors[part] for part in self.found]  # type: ignore[index]
        if self.opened.is_unordered:
            parts.sort()
        return sized(b"o", self.opened.label) + b"".join(parts)


class Walk:
    """Digests the objects of one graph; what it has met it remembers, and keeps alive.

    Parameters
    ----------
    plain : PlainValues
        Writes what needs no walk.
    open_object : callable
        Takes an object apart; raises UndigestibleError.
    """

    def __init__(self, plain: PlainValues, open_object: Callable[[Any], Opened]) -> None:
        self._plain = plain
        self._open = open_object
        self._digests: dict[int, bytes] = {}
        self._refused: dict[int, UndigestibleError] = {}
        self._alive: list[Any] = []
        #: By id, of what has named parts: its own label's digest, and its parts.
        self.named: dict[int, tuple[bytes, Sequence[tuple[str, bytes | int]]]] = {}

    def encoded(self, value: Any) -> bytes:
        """Write any value.

        Raises
        ------
        UndigestibleError
            If that can't be done.
        """
        plain = self._plain.encoded(value)
        return b"#" + self.digest(value) if plain is None else plain

    def digest(self, value: Any) -> bytes:
        """Give the digest of an object.

        Raises
        ------
        UndigestibleError
            If it has none.
        """
        known = self._digests.get(id(value))
        if known is not None:
            return known
        if id(value) in self._refused:
            raise UndigestibleError(*self._refused[id(value)].args)
        self._walk(value)
        return self._digests[id(value)]

    def digest_by_id(self, number: int) -> bytes:
        """Give the digest of an object that was met."""
        return self._digests[number]

    def parts_of(self, values: Iterable[Any], most: int) -> dict[str, bytes]:
        """Give the digests of all named parts of objects that were digested, by their names."""
        found: dict[str, bytes] = {}
        left = [(getattr(value, "__name__", "what is called"), id(value)) for value in values]
        seen: set[int] = set()
        while left and len(found) < most:
            name, number = left.pop()
            if number in seen:
                continue
            seen.add(number)
            if number not in self.named:
                found[name] = self._digests[number][:8]
                continue
            own, parts = self.named[number]
            found[name] = own[:8]
            for part_name, part in parts:
                longer = part_name if _is_variable(part_name) else f"{part_name} of {name}"
                if isinstance(part, bytes):
                    found[longer] = digest(part)[:8]
                else:
                    left.append((longer, part))
        return found

    def _walk(self, value: Any) -> None:
        stops: dict[int, _Stop] = {}  # of this walk and not finished, by id
        order: list[int] = []  # of those, in the order in which they were met
        path: list[_Stop] = []  # from the first to where the walk is
        names: list[str] = []
        try:
            self._enter(value, stops, order, path)
            while path:
                stop = path[-1]
                name, part = next(stop.left, ("", _END))
                if part is _END:
                    self._leave(path, names, stops, order)
                elif self._note(stop, part, stops):
                    names.append(name)
                    self._enter(part, stops, order, path)
        except UndigestibleError as error:
            told = UndigestibleError(_with_way(str(error), names))
            self._refused |= dict.fromkeys((id(stop.value) for stop in path), told)
            raise told from error

    def _enter(
        self, value: Any, stops: dict[int, _Stop], order: list[int], path: list[_Stop]
    ) -> None:
        if len(self._alive) > MOST:
            raise UndigestibleError("it is made of too many objects")
        self._alive.append(value)
        number = id(value)
        if number in self._refused:
            raise UndigestibleError(*self._refused[number].args)
        opened = self._open(value)
        stop = _Stop(value, opened, len(order), len(order))
        stop.left = iter(zip(chain(opened.names, repeat("")), opened.parts))  # noqa: B905
        stops[number] = stop
        order.append(number)
        path.append(stop)

    def _note(self, stop: _Stop, part: Any, stops: dict[int, _Stop]) -> bool:
        """Note a part; tell whether it must be walked first."""
        plain = self._plain.encoded(part, is_noted=isinstance(stop.value, dict))
        if plain is not None:
            stop.found.append(plain)
            return False
        number = id(part)
        known = self._digests.get(number)
        if known is not None and not stop.opened.names:
            stop.found.append(b"#" + known)
            return False
        stop.found.append(number)
        if known is not None:
            return False
        met = stops.get(number)
        if met is not None:
            stop.lowest = min(stop.lowest, met.number)
            return False
        return True

    def _leave(
        self, path: list[_Stop], names: list[str], stops: dict[int, _Stop], order: list[int]
    ) -> None:
        stop = path.pop()
        if names:
            names.pop()
        if path:
            path[-1].lowest = min(path[-1].lowest, stop.lowest)
        if stop.lowest < stop.number:
            return  # part of a group that isn't whole yet
        group = order[stop.number :]
        del order[stop.number :]
        members = {number: stops.pop(number) for number in group}
        is_alone = len(members) == 1 and not any(
            part in members for part in stop.found if type(part) is int
        )
        if is_alone:
            self._digests[group[0]] = digest(stop.written(self._digests))
        else:
            self._digests |= self._of_group(members)
        for number, member in members.items():
            self._keep(number, member)

    def _of_group(self, members: dict[int, _Stop]) -> dict[int, bytes]:
        outside = self._digests
        colors = dict.fromkeys(members, bytes(16))
        count = 0
        while True:
            known = _Both(colors, outside)
            after = {n: digest(stop.written(known)) for n, stop in members.items()}
            if len({*after.values()}) == count:
                break
            count, colors = len({*after.values()}), after
        steps = b"".join(sorted({colors[n] + after[n] for n in members}))
        return {number: digest(b"g" + after[number] + digest(steps)) for number in members}

    def _keep(self, number: int, stop: _Stop) -> None:
        names = stop.opened.names
        if names:
            self.named[number] = (
                digest(stop.opened.label),
                tuple(zip(names, stop.found, strict=True)),
            )


class _Both(dict[int, bytes]):
    """Digests of a group's members as far as they are known, and those of all else."""

    def __init__(self, inside: dict[int, bytes], outside: dict[int, bytes]) -> None:
        super().__init__(inside)
        self._outside = outside

    def __missing__(self, number: int) -> bytes:
        return self._outside[number]


_END = object()


def _is_variable(name: str) -> bool:
    """Tell a variable, which is called the same wherever it is used, from a part of something."""
    return "." in name and " " not in name


def _with_way(reason: str, names: Sequence[str]) -> str:
    way = [name for name in names if name]
    return f"{reason} (by way of {' > '.join(way)})" if way else reason
