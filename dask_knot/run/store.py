"""The object store: a folder, memory or S3 behind one small interface over obstore."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from copy import copy
from functools import partial
from typing import Any, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError

from dask_knot.errors import MissingObjectError
from dask_knot.run.access import Access
from dask_knot.run.codec import Bytes
from dask_knot.run.filewriter import FileWriter
from dask_knot.run.folder import check_is_there, folder_of, is_gone
from dask_knot.run.objectfiles import ObjectFiles
from dask_knot.run.opening import completed, open_objects
from dask_knot.run.patience import Patience
from dask_knot.run.receiving import Receiver
from dask_knot.run.sending import CONFLICT, Sender, pieces_of, put_pieces
from dask_knot.run.traffic import LISTED, Traffic
from dask_knot.run.trouble import cut_off
from dask_knot.run.uplink import AT_ONCE, PART_BYTES, Dispatch
from dask_knot.run.uploads import Upload
from dask_knot.run.writer import HeldWriter, Writer

T = TypeVar("T")

#: Keys that one S3 DeleteObjects request takes.
DELETE_AT_ONCE = 1000


class Store:
    """A place for objects: bytes under names, written whole or not at all.

    Parameters
    ----------
    url : str
        ``file:///folder``, ``s3://bucket/prefix`` or ``memory://``; a plain path is a folder.
    renew : callable, optional
        Looks for other credentials: called when S3 refuses those that there are.
    **options
        More for obstore's S3 store: credentials, region, endpoint. For a folder: whether its
        ``parents`` are made, too, instead of refused.

    Attributes
    ----------
    url : str
        The address under which another process finds the same store (a memory store: none does).
    requests : Counter
        How often each operation was asked of the store by this object.
    moved : Counter
        The bytes that this object has ``read`` and ``written``.
    is_mapped : bool
        Whether large ranges are mapped: they take no memory of their own when they are read.
    is_near : bool
        Whether a request takes no time: values may be written, and read, one by one.

    Raises
    ------
    ConfigurationError
        If the URL is of no kind that is known.
    StoreError
        If the folder can't be made, or the one that it is to be in isn't there.
    """

    def __init__(
        self, url: str | os.PathLike[str], renew: Callable[[], object] | None = None, **options: Any
    ) -> None:
        given = completed(os.fspath(url), options)
        self.url, self._store = open_objects(os.fspath(url), given)
        self._sender = Sender(self.url, given) if self.url.startswith("s3://") else None
        self._receiver = Receiver(self.url, self._store)
        folder = folder_of(self.url)
        self._files = None if folder is None else ObjectFiles(folder)
        self.is_mapped = folder is not None
        self.is_near = not self.url.startswith("s3://")
        self._traffic = Traffic(self.url)
        self._access = Access(self.url, folder, self._traffic, renew)
        self.requests, self.moved = self._traffic.requests, self._traffic.moved

    @classmethod
    def existing(cls, url: str, seconds: float) -> Store:
        """Open a store that was made elsewhere, as jobs do: patiently, and no folder is made.

        Raises
        ------
        StoreError
            If a folder isn't there, nor back before trouble with it is so many seconds old.
        """
        patience = Patience(seconds)
        folder = folder_of(url)
        if folder is not None:
            patience.call("open", partial(check_is_there, folder), lambda _: True)
        store = cls(url)
        store._access.patience = patience
        return store

    def __repr__(self) -> str:
        return f"<Store {self.url}>"

    def put(self, name: str, data: Iterable[Bytes]) -> None:
        """Write an object; one that is there already is replaced.

        Parameters
        ----------
        name : str
            The object's name.
        data : iterable of bytes-like
            Its bytes, one piece after another; none is copied or joined.
        """
        pieces, size = pieces_of(data)

        def put(store: Any, given: Dispatch) -> int:
            put_pieces(store, name, pieces, given)
            return given.part

        part = self._access.ask("put", name, lambda: self._send(size, put))
        self._traffic.note_parts(size, part)
        self._traffic.note_moved("written", size)

    def put_new(self, name: str, data: Iterable[Bytes]) -> bool:
        """Write an object unless one of that name is there; tell whether it was written."""
        whole = b"".join(data)

        def put(store: Any, _: Dispatch) -> bool:
            try:
                obstore.put(store, name, whole, mode="create", use_multipart=False)
            except AlreadyExistsError as error:
                if CONFLICT in str(error):
                    raise
                return False
            return True

        is_new = self._access.ask("put", name, lambda: self._send(len(whole), put, whole=True))
        if self._files is not None:
            # It had two names for a moment: who found it by one, and deleted it, left its folder.
            self._files.remove_empty(name)
        self._traffic.note_moved("written", len(whole) if is_new else 0)
        return is_new

    def writer(self, name: str) -> Writer:
        """Begin an object that is written while its bytes are made."""
        if self._sender is not None:
            return Upload(name, self._sender, self._access, self._traffic, self.put)
        if self._files is None:
            return HeldWriter(partial(self.put, name))
        ask = partial(self._access.ask, "put", name, is_counted=False)
        return FileWriter(self._files, name, ask, self._note_put)

    def write(self, name: str, write: Callable[[Writer], T]) -> T:
        """Let someone write an object who can do that again, for as long as trouble may pass."""
        if self.is_near:  # what fails there is tried again piece by piece
            return write(self.writer(name))
        return self._access.ask("put", name, lambda: write(self.writer(name)), is_counted=False)

    def get(self, name: str) -> memoryview:
        """Read a whole object.

        Raises
        ------
        MissingObjectError
            If there is none of that name.
        """

        def read() -> memoryview:
            return memoryview(obstore.get(self._store, name).bytes())

        data = self._access.ask("get", name, read)
        self._traffic.note_moved("read", data.nbytes)
        return data

    @property
    def reads_at_once(self) -> int:
        """Ranges that threads may read at once: in S3, those that the line doesn't take wait."""
        return self._receiver.most

    def get_range(self, name: str, offset: int, length: int) -> memoryview:
        """Read `length` bytes of an object from byte `offset` on.

        Raises
        ------
        MissingObjectError, CorruptObjectError
            If there is none of that name, or it is shorter.
        """
        if not length:
            return memoryview(b"")

        ask = partial(self._access.ask, "get", name)
        data: memoryview | None
        if self._files is None:
            data = self._receiver.receive(name, offset, length, ask)
        else:
            data = ask(partial(self._files.read_range, name, offset, length))
        if data is None:
            raise cut_off(self.url, name, offset + length)
        self._traffic.note_moved("read", length)
        return data

    def has(self, name: str) -> bool:
        """Tell whether there is an object of that name."""
        try:
            return bool(self._access.ask("head", name, lambda: obstore.head(self._store, name)))
        except MissingObjectError:
            return False

    def is_empty(self, folder: str) -> bool:
        """Tell whether there is no object in a folder (`a/`), nor in those in it."""

        def look() -> bool:
            pages = obstore.list(self._store, prefix=folder, chunk_size=1)
            return any(True for page in pages for _ in page)

        return not self._access.ask("list", folder, look)

    def list_level(self, folder: str) -> tuple[Sequence[str], Sequence[str]]:
        """Name what is in a folder (`a/`): folders, and objects that are in none of these."""

        def find() -> Any:
            return obstore.list_with_delimiter(self._store, prefix=folder or None)

        found = self._access.ask("list", folder, find)
        return sorted(found["common_prefixes"]), sorted(e["path"] for e in found["objects"])

    def list(self, prefix: str, offset: str | None = None) -> list[str]:
        """Name the objects below a folder, sorted, those after `offset` if it is given."""
        # A folder lists in any order, and without the offset's exactness that S3 promises.
        return [name for name in self.sizes(prefix, offset) if offset is None or name > offset]

    def sizes(self, prefix: str, offset: str | None = None) -> dict[str, int]:
        """Give the bytes of each object below a folder, by its name, sorted."""

        def find() -> list[tuple[str, int]]:
            pages = obstore.list(self._store, prefix=prefix, offset=offset, chunk_size=LISTED)
            return [(entry["path"], int(entry["size"])) for page in pages for entry in page]

        found = dict(sorted(self._access.ask("list", prefix, find)))
        self._traffic.note_listed(len(found))
        return found

    def delete(self, names: Iterable[str]) -> None:
        """Remove objects; those that are gone already don't matter."""
        wanted = list(names)
        for start in range(0, len(wanted), DELETE_AT_ONCE):
            some = wanted[start : start + DELETE_AT_ONCE]
            self._access.ask("delete", some[0], partial(self._delete, some))

    def delete_all(self, prefix: str, last: str = "") -> None:
        """Remove every object below a folder; by the last one it is known while that goes on."""
        with suppress(OSError):  # which is told by who deletes
            if self._files is not None and is_gone(self._files.folder):
                return  # somebody has removed it all
        self.delete(sorted(self.list(prefix), key=lambda name: name == last))
        if self._files is not None:
            self._files.clear(prefix)

    def be_patient(self, seconds: float, *clock: Any) -> None:
        """From now on, try again what fails for reasons that may pass; see `Patience`."""
        self._access.patience = Patience(seconds, *clock)

    def at_once(self) -> Store:
        """Give this store without patience: what fails is an error at once."""
        hasty = copy(self)
        hasty._access = self._access.at_once()
        return hasty

    def hurry(self) -> None:
        """End all waiting for trouble to pass."""
        self._access.patience.end()

    def traffic(self) -> tuple[Counter[str], Counter[str]]:
        """Copy `requests` and `moved`, as they are at one moment."""
        return self._traffic.copy()

    def _delete(self, names: Sequence[str]) -> None:
        if self._files is not None:  # obstore would refuse the whole request for one that is gone
            self._files.delete(names)
        else:
            obstore.delete(self._store, names)

    def _send(self, size: int, write: Callable[[Any, Dispatch], T], whole: bool = False) -> T:
        if self._sender is None:
            return write(self._store, Dispatch(PART_BYTES, AT_ONCE, 0.0))
        return self._sender.send(size, write, whole)

    def _note_put(self, size: int) -> None:
        self._traffic.note("put")
        self._traffic.note_moved("written", size)
