"""Keys that erred, as Dask is told of them: with the failure itself, not the place where it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from dask.typing import Key

from dask_knot.errors import InternalError, KnotError
from dask_knot.run.failure import Failure, fail
from dask_knot.run.manifest import Place
from dask_knot.session.outages import Endurance, is_outage
from dask_knot.session.values import ValueReader
from dask_knot.tracking.actions import FailKey


@dataclass(frozen=True, slots=True)
class ErredKey:
    """A wanted key that erred.

    Attributes
    ----------
    run_id : int
        That of Dask's question.
    failure : Failure
        Its exception, which can be unpickled here, and its traceback.
    is_upstream : bool
        A task before it failed, which had all retries that it may have.
    """

    key: Key
    run_id: int
    failure: Failure
    is_upstream: bool = False


class Failures:
    """Reads the failures of keys. Most are in manifests that were just read; others take a request.

    Parameters
    ----------
    values : ValueReader
        Reads places, and remembers manifests.
    endurance : Endurance
        Waits while the store is away.
    """

    def __init__(self, values: ValueReader, endurance: Endurance) -> None:
        self._values = values
        self._endurance = endurance

    def at_hand(self, failed: Sequence[FailKey]) -> tuple[list[ErredKey], list[FailKey]]:
        """Read what is in memory, and give what isn't: that must not be read in an event loop."""
        told, far = [], []
        known: dict[int, Failure] = {}  # one failure may stand for thousands of keys
        for one in failed:
            if id(one.failure) not in known:
                found = self._in_memory(one)
                if found is None:
                    far.append(one)
                    continue
                known[id(one.failure)] = found
            told.append(_erred(one, known[id(one.failure)]))
        return told, far

    def read(self, failed: Sequence[FailKey]) -> list[ErredKey]:
        """Read what isn't at hand; blocks. A failure that is lost is told as such."""
        try:
            return self._endurance.call(_UNREAD, partial(self._read, failed))
        except Exception as error:  # a mistake of ours: the tracker takes these keys for answered
            mistake = InternalError.of(error)
            told, _ = self.at_hand([replace(one, failure=mistake) for one in failed])
            return told

    def _read(self, failed: Sequence[FailKey]) -> list[ErredKey]:
        places = {one.failure: one for one in failed if isinstance(one.failure, Place)}
        read = self._values.read_each(places.keys())
        for found in read.values():
            if isinstance(found, Exception) and is_outage(found):
                raise found  # it isn't lost
        known = {place: _failure(places[place], data) for place, data in read.items()}
        return [_erred(one, known[one.failure]) for one in failed if isinstance(one.failure, Place)]

    def _in_memory(self, failed: FailKey) -> Failure | None:
        if isinstance(failed.failure, Exception):
            return _failure(failed, failed.failure)
        data = self._values.at_hand(failed.failure)
        return None if data is None else _failure(failed, data)


_UNREAD = "the errors of tasks can't be read at the moment, trying again"


def _failure(failed: FailKey, found: memoryview | Exception) -> Failure:
    """Decode a failure; what can't be had is told as the failure itself, rather than nothing."""
    try:
        if isinstance(found, Exception):
            return fail(found, failed.key)
        return Failure.decode(found).readable()
    except Exception as error:  # a mistake of ours, or the bytes are others
        told = error if isinstance(error, KnotError) else InternalError.of(error)
        return fail(told, failed.key)


def _erred(failed: FailKey, failure: Failure) -> ErredKey:
    is_upstream = isinstance(failed.failure, Place) and failure.key != str(failed.key)
    return ErredKey(failed.key, failed.run_id, failure, is_upstream)
