"""Landings: the outcomes of the items of a map that are there, in few bytes each."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from dask.typing import Key

from dask_knot.errors import KnotError
from dask_knot.run.failure import Failure
from dask_knot.run.manifest import Place
from dask_knot.run.maps import PlaceTable
from dask_knot.session.hooks import Outcome
from dask_knot.tracking.actions import FinishKey

#: So many errors are kept; of others it is known only that they were.
KEPT_ERRORS = 1000
#: Values that are read together.
TOGETHER = 20_000

#: Reads values by their places.
ReadPlaces = Callable[[Mapping[Key, Place]], Mapping[Key, Any]]


class Landed(NamedTuple):
    """The outcome of an item: its number, its value, or the error in the place of one."""

    number: int
    value: Any = None
    error: BaseException | None = None

    def result(self) -> Any:
        """Give the value, or raise the error."""
        if self.error is not None:
            raise self.error
        return self.value

    def exception(self) -> BaseException | None:
        """Give the error, if there is one."""
        return self.error


class Landings:
    """Which items have an outcome, and where it is.

    Parameters
    ----------
    name : str
        The name of the map.
    read : callable
        Reads values.

    Attributes
    ----------
    order : array
        The numbers of items that have an outcome, as these came.
    """

    def __init__(self, name: str, read: ReadPlaces) -> None:
        self._name = name
        self._read = read
        self._places = PlaceTable()
        self._errors: dict[int, Failure | None] = {}
        self.order = array("q")

    @property
    def failed(self) -> int:
        """How many have an error in the place of a value."""
        return len(self._errors)

    @property
    def first_error(self) -> BaseException | None:
        """The error of the item with the lowest number of those that failed."""
        return self._error(min(self._errors)) if self._errors else None

    def has(self, number: int) -> bool:
        """Tell whether an item has an outcome."""
        return number in self._errors or self._places.get(number) is not None

    def note(self, outcomes: Sequence[Outcome]) -> None:
        """Take outcomes in."""
        for one in outcomes:
            _, number = one.key
            if self.has(number):
                continue
            if isinstance(one, FinishKey):
                self._places.put(number, one.place)
            else:
                is_kept = len(self._errors) < KEPT_ERRORS
                self._errors[number] = one.failure if is_kept else None
            self.order.append(number)

    def places_outside(self, is_own: Callable[[str], bool]) -> PlaceTable:
        """Give the places of values in other objects than our own."""
        return self._places.outside(is_own)

    def values(self, count: int) -> list[Any]:
        """Read the values of the first items, all of which have one."""
        values: list[Any] = []
        for start in range(0, count, TOGETHER):
            places = {
                (self._name, n): place
                for n in range(start, min(count, start + TOGETHER))
                if (place := self._places.get(n)) is not None
            }
            found = self._read(places)
            values += [found[key] for key in places]
        return values

    def read(self, numbers: Sequence[int]) -> Iterator[Landed]:
        """Read the outcomes of items that have one, in that order."""
        for start in range(0, len(numbers), TOGETHER):
            some = numbers[start : start + TOGETHER]
            places = {n: place for n in some if (place := self._places.get(n)) is not None}
            values = self._read({(self._name, n): place for n, place in places.items()})
            for number in some:
                if number in places:
                    yield Landed(number, values[self._name, number])
                else:
                    yield Landed(number, None, self._error(number))

    def _error(self, number: int) -> BaseException:
        failure = self._errors[number]
        if failure is None:
            return KnotError(
                f"item {number} of {self._name} failed, as did so many before it that its error "
                "was not kept: the log of its job has it"
            )
        error = failure.load()
        if hasattr(error, "add_note"):  # Python has them from 3.11 on
            error.add_note(f"It was raised for item {number} of {self._name}.")
        return error
