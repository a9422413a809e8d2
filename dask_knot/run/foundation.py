"""The foundation of a named run: the object that says that it is one, and whether it still is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from copy import copy
from typing import Any, Protocol, TypeVar

from dask_knot.errors import (
    CorruptObjectError,
    MissingObjectError,
    RunDeletedError,
    RunFormatError,
    RunNameError,
    StoreError,
)
from dask_knot.run import note
from dask_knot.run.names import RUN_NAME, Names
from dask_knot.run.presence import RunInfo
from dask_knot.run.store import Store
from dask_knot.run.trouble import why_missing

T = TypeVar("T")


class Readers(Protocol):
    """What calls a function many times, perhaps several times at once: an executor is one."""

    def map(self, fn: Callable[..., T], *iterables: Iterable[Any]) -> Iterator[T]:
        """Call a function with each; the results come in order."""


class OneReader:
    """Calls one after another."""

    def map(self, fn: Callable[..., T], *iterables: Iterable[Any]) -> Iterator[T]:
        """Call a function with each."""
        return map(fn, *iterables)


class Foundation:
    """What a run says of itself, written by its first session and never changed.

    Parameters
    ----------
    store : Store
        Where the run is.
    names : Names
        What its objects are called.

    Attributes
    ----------
    at : str
        The run and its store, for messages.
    """

    def __init__(self, store: Store, names: Names) -> None:
        self._store = store
        self._names = names
        self._info: bytes | None = None  # as it was found
        self.at = f"run {names.run!r} in {store.url}"

    def on(self, store: Store) -> Foundation:
        """Give the same, asked of a store of another patience."""
        other = copy(self)
        other._store = store
        return other

    def lay(self, info: RunInfo) -> RunInfo:
        """Write it, or take up the one that is there; see `Archive.found`."""
        data = b"".join(info.encode())
        try:
            data = self._read()
        except MissingObjectError:
            self._check_is_no_object()
            self._check_is_empty()
            if not self._store.put_new(self._names.info, [data]):
                data = self._read()  # another session was faster
        except StoreError:
            self._check_is_no_object()  # in a folder there can't be one below it
            raise
        found = self._decode(data)
        self._info = data
        return found

    def read(self) -> RunInfo:
        """Read it; see `Archive.read_info`."""
        return self._decode(self._read())

    def _read(self) -> bytes:
        return bytes(self._store.get(self._names.info))

    def _decode(self, data: bytes) -> RunInfo:
        if not note.is_note(data):
            raise RunNameError(
                f"there is no {self.at}, but {self._names.info} is something else: choose another "
                "name"
            )
        return RunInfo.decode(self._names.info, data)

    def check_alive(self, written: str | None = None) -> None:
        """Look whether the run is there still; if it isn't, what was just written goes as well."""
        try:
            now = self._read()
        except MissingObjectError:
            fate = f"is gone: {why_missing(self._store.url)}"
        else:
            if now == (self._info or now):
                return
            fate = "was deleted, and a new one with the same name was made"
        if written is not None:
            with suppress(StoreError):  # the first error says more
                self._store.delete([written])
        raise RunDeletedError(
            f"the {self.at} {fate}. Close this cluster and open a new one, which starts afresh"
        )

    def _check_is_no_object(self) -> None:
        if self._store.has(self._names.run):
            raise RunNameError(
                f"there is no {self.at}, but there is an object with that name: choose another name"
            )

    def is_left_over(self) -> bool:
        """Tell whether there is something of a run here, and nothing else; see `Archive`."""
        found = self._contents()
        return bool(found) and found <= {*self._names.folders}

    def _contents(self) -> set[str]:
        """Name what lies in the folder; a probe may have stayed of somebody who was killed."""
        folders, objects = self._store.list_level(self._names.folder)
        # Some stores keep folders that became empty.
        folders = [folder for folder in folders if not self._store.is_empty(f"{folder}/")]
        return {*folders, *objects} - {self._names.probe}

    def _check_is_empty(self) -> None:
        found = self._contents()
        if not found or self._names.info in found:  # another session was faster
            return
        if strange := found - {*self._names.folders}:
            raise RunNameError(
                f"there is no {self.at}, but its folder contains something else, such as "
                f"{min(strange)}: choose another name"
            )
        raise RunNameError(
            f"there is no record of {self.at}, but the folder has {min(found)}: it was made "
            "by an earlier version of dask_knot, its deletion wasn't finished, or its "
            "oldest objects have expired. Choose another name, or delete it with `dask knot "
            f"rm {self._names.run}`"
        )


def runs_in(store: Store, pool: Readers | None = None) -> list[str]:
    """Name the runs of a store that keep a record: a listing, and a read for each folder.

    Those of other versions are among them, and those whose first object is damaged.
    """

    def is_run(name: str) -> bool:
        try:
            Foundation(store, Names(name)).read()
        except (MissingObjectError, RunNameError):
            return False
        except (CorruptObjectError, RunFormatError):
            return True
        return True

    folders = [folder.rstrip("/").rpartition("/")[2] for folder in store.list_level("")[0]]
    names = [name for name in folders if RUN_NAME.fullmatch(name)]
    found = (pool or OneReader()).map(is_run, names)
    return [name for name, is_one in zip(names, found, strict=True) if is_one]
