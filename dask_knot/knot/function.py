"""KnotFunction: what a knot calls, as it is sent to jobs and kept in the run."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from distributed.protocol import pickle

from dask_knot.errors import ConfigurationError, PicklingError
from dask_knot.run import scripts
from dask_knot.session.session import Session

logger = logging.getLogger(__name__)

#: A function up to this size is kept with each map, for whoever opens the knot without one.
KEPT_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class KnotFunction:
    """A function.

    Attributes
    ----------
    func : callable
        The function itself.
    name : str
        Its qualified name.
    pickle : bytes
        The function for whoever has none; empty if it is large.
    code : str
        The digest of its code; empty if it has none.
    """

    func: Callable[..., Any]
    name: str
    pickle: bytes
    code: str = ""

    @classmethod
    def of(cls, func: Callable[..., Any] | None) -> KnotFunction | None:
        """Take what a user gives.

        Raises
        ------
        ConfigurationError
            If it can't be called.
        PicklingError
            If it can't be sent to jobs.
        """
        if func is None:
            return None
        if not callable(func):
            raise ConfigurationError(f"func={func!r} is wrong: it should be a function")
        name = str(getattr(func, "__qualname__", None) or type(func).__qualname__)
        try:
            packed = bytes(scripts.dumps(func))
        except Exception as error:  # pickling runs user code: anything may come out
            raise PicklingError(
                f"{name} can't be sent to jobs, because pickling it raised "
                f"{type(error).__name__}: {error}. Create whatever can't be pickled inside "
                "the function"
            ) from error
        return cls(func, name, packed if len(packed) <= KEPT_BYTES else b"")

    @classmethod
    def loaded(cls, packed: bytes, knot: str) -> KnotFunction | None:
        """Take what a run has kept; None, with a word in the log, if that is of no use here."""
        if not packed:
            logger.warning(
                "the function of the knot %r was too large to be stored: pass it again", knot
            )
            return None
        try:
            return cls.of(pickle.loads(packed))
        except Exception as error:  # unpickling runs user code: anything may come out
            logger.warning("the function of the knot %r can't be loaded here: %r", knot, error)
            return None


def settled(given: KnotFunction | None, session: Session) -> KnotFunction | None:
    """Take the function of the last map if none is given, and say it if that was another one."""
    maps = session.run.record.maps.read_all()
    if given is None and maps:
        given = KnotFunction.loaded(maps[-1].pickle, session.run.name)
    if given is None or session.digester is None:
        return given
    code = session.digester.of_value(given.func)
    marked = replace(given, code="" if code is None else code.hex())
    last = maps[-1] if maps else None
    if last is not None and (marked.name, marked.code) != (last.function, last.code):
        logger.warning(
            "the last map of the knot %r ran %s with different code than %s has now: its "
            "values are kept, but not reused for this map",
            session.run.name,
            last.function,
            marked.name,
        )
    return marked
