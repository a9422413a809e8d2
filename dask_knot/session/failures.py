"""Keys that erred, as Dask is told of them: with the failure itself, not the place where it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dask.typing import Key

from dask_knot.run.failure import Failure, fail
from dask_knot.run.manifest import Place
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
    """

    def __init__(self, values: ValueReader) -> None:
        self._values = values

    def at_hand(self, failed: Sequence[FailKey]) -> tuple[list[ErredKey], list[FailKey]]:
        """Read what is in memory, and give what isn't: that must not be read in an event loop."""
        told, far = [], []
        known: dict[int, Failure] = {}  # one failure may stand for thousands of keys
        for one in failed:
            if id(one.failure) not in known:
                data = self._in_memory(one)
                if data is None:
                    far.append(one)
                    continue
                known[id(one.failure)] = data if isinstance(data, Failure) else _decoded(data, one)
            told.append(_erred(one, known[id(one.failure)]))
        return told, far

    def read(self, failed: Sequence[FailKey]) -> list[ErredKey]:
        """Read what isn't at hand; blocks. A failure that is lost is told as such."""
        known: dict[int, Failure] = {}
        for one in failed:
            if id(one.failure) not in known and isinstance(one.failure, Place):
                known[id(one.failure)] = self._read(one, one.failure)
        return [_erred(one, known[id(one.failure)]) for one in failed]

    def _in_memory(self, failed: FailKey) -> memoryview | Failure | None:
        if isinstance(failed.failure, Place):
            return self._values.at_hand(failed.failure)
        return fail(failed.failure, failed.key)

    def _read(self, failed: FailKey, place: Place) -> Failure:
        try:
            data = self._values.read(place)
        except Exception as error:  # the error itself is lost: say that, rather than nothing
            return fail(error, failed.key)
        return _decoded(data, failed)


def _decoded(data: memoryview, failed: FailKey) -> Failure:
    try:
        return Failure.decode(data).readable()
    except Exception as error:  # the same
        return fail(error, failed.key)


def _erred(failed: FailKey, failure: Failure) -> ErredKey:
    is_upstream = isinstance(failed.failure, Place) and failure.key != str(failed.key)
    return ErredKey(failed.key, failed.run_id, failure, is_upstream)
