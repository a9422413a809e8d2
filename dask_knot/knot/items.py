"""The items of a map: what is done with each, and whether its function can take them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from dask.typing import Key

from dask_knot.errors import ItemsError, PicklingError
from dask_knot.internals import DataNode, GraphNode, Task, TaskRef
from dask_knot.run import codec
from dask_knot.run.codec import SIMPLE

_NODES = (GraphNode, TaskRef)


@dataclass(frozen=True, slots=True)
class MapWork:
    """What is to be done with each item of a map.

    Attributes
    ----------
    name : str
        The name of the map.
    func : callable
        What is called.
    starmap : bool
        Whether an item has all arguments.
    variables : mapping of str to str
        Variables of the environment that are set meanwhile.
    """

    name: str
    func: Callable[..., Any]
    starmap: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)

    def tasks(self, items: Sequence[Any], start: int) -> dict[Key, GraphNode]:
        """Make a task of each item, the first of which has the number `start`."""
        name, func = self.name, self.func
        found: dict[Key, GraphNode] = {}
        for number, item in enumerate(items, start):
            key = (name, number)
            arguments = item if self.starmap else (item,)
            if any([type(one) not in SIMPLE and isinstance(one, _NODES) for one in arguments]):
                arguments = [_literal(one) for one in arguments]
            found[key] = Task(key, func, *arguments)
        return found


def _literal(value: Any) -> Any:
    """Let a node of a graph be a value, as any other."""
    return DataNode(None, value) if isinstance(value, _NODES) else value


class ItemCheck:
    """Refuses what a function can't take, with the number of the item.

    Parameters
    ----------
    func : callable
        The function.
    starmap : bool
        Whether an item has all of its arguments.
    """

    def __init__(self, func: Callable[..., Any], starmap: bool) -> None:
        self._func = func
        self._starmap = starmap
        self._fitting: set[int] = set()
        self._signature: inspect.Signature | None = None
        with suppress(ValueError, TypeError):  # some of those that are built in don't tell
            self._signature = inspect.signature(func)

    def check(self, items: Iterable[Any], start: int = 0) -> None:
        """Look at items, the first of which has the number `start`.

        Raises
        ------
        ItemsError
            If the function takes other arguments than an item has.
        PicklingError
            If an item can't be pickled.
        """
        if not self._starmap:
            self._check_count(1, start, None)
        for number, item in enumerate(items, start):
            if self._starmap:
                self._check_star(item, number)
                if not all([type(one) in SIMPLE for one in item]):
                    _check_pickle(item, number)
            elif type(item) not in SIMPLE:
                _check_pickle(item, number)

    def _check_star(self, item: Any, number: int) -> None:
        if (count := _count(item)) is None:
            raise ItemsError(
                f"item {number} is {_short(item)}: with starmap=True each item is a tuple of "
                f"arguments for {_name(self._func)}"
            )
        self._check_count(count, number, item)

    def _check_count(self, count: int, number: int, item: Any) -> None:
        if self._signature is None or count in self._fitting:
            return
        try:
            self._signature.bind(*[None] * count)
        except TypeError as error:
            has = "one argument" if item is None else f"{count} arguments, {_short(item)}"
            hint = (
                ""
                if self._starmap
                else ("; with starmap=True each item is unpacked into arguments")
            )
            raise ItemsError(
                f"{_name(self._func)}{self._signature} can't be called with item {number}, which "
                f"is {has} ({error}){hint}"
            ) from error
        self._fitting.add(count)


@dataclass(frozen=True, slots=True)
class MapItems:
    """The items of a map.

    Attributes
    ----------
    items : iterable
        What they are read from.
    count : int or None
        How many there are, if that is known before they are read.
    check : ItemCheck or None
        What looks at them when they are read; None: all of them were looked at.
    """

    items: Iterable[Any]
    count: int | None
    check: ItemCheck | None

    @classmethod
    def of(cls, given: Any, check: ItemCheck) -> MapItems:
        """Look at all items, if they can be looked at before they are read, as those of a list.

        Raises
        ------
        ItemsError, PicklingError
            If one is such that nothing can be computed with it, or nothing can be iterated over.
        """
        try:
            iterator = iter(given)
            if iterator is given or not hasattr(given, "__len__"):
                return cls(iterator, None, check)
            items = given if isinstance(given, range | tuple) else list(given)
            count = len(items)
        except Exception as error:  # what is given runs its own code: anything may come out
            raise ItemsError(
                f"{_short(given)} isn't an iterable of items: {type(error).__name__}: {error}"
            ) from error
        check.check(items[:1] if isinstance(items, range) else items)
        return cls(items, count, None)


def _count(item: Any) -> int | None:
    """Count the arguments that an item has; None if it is no collection of any."""
    if isinstance(item, str | bytes) or not hasattr(item, "__iter__"):
        return None
    try:
        return len(item)
    except Exception:  # an array without dimensions, or what runs its own code
        return None


def _check_pickle(item: Any, number: int) -> None:
    try:
        codec.pickled(item)
    except (Exception, SystemExit) as error:  # pickling runs user code: anything may come out
        raise PicklingError(
            f"item {number}, {_short(item)}, can't be sent to a job, because pickling it "
            f"raised {type(error).__name__}: {error}. Pass what it is made from instead, and "
            "create it in the function"
        ) from error


def _name(func: Callable[..., Any]) -> str:
    return str(getattr(func, "__qualname__", None) or type(func).__qualname__)


def _short(item: Any) -> str:
    """Show an item in few letters, whatever its own code does."""
    try:
        text = repr(item)
    except Exception:
        text = f"an object of {type(item).__qualname__}"
    return text if len(text) <= 60 else f"{text[:57]}..."
