"""The object store: a folder, memory or S3 behind one small interface over obstore."""

from __future__ import annotations

import math
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotFoundError,
    PermissionDeniedError,
)
from obstore.store import LocalStore, MemoryStore, S3Store

from dask_knot.errors import ConfigurationError, CorruptObjectError, MissingObjectError, StoreError
from dask_knot.store.codec import Bytes

T = TypeVar("T")

#: Objects of this size and more go to S3 in several parts at once (S3's own smallest part: 5 MiB).
PART_BYTES = 16 * 2**20
#: Keys that one S3 DeleteObjects request takes.
DELETE_AT_ONCE = 1000
#: A network that is gone for a minute loses nothing: obstore's own ten retries are over in seconds.
RETRIES = {
    "max_retries": 1000,
    "retry_timeout": timedelta(minutes=2),
    "backoff": {
        "init_backoff": timedelta(milliseconds=100),
        "max_backoff": timedelta(seconds=5),
        "base": 2.0,
    },
}
#: How obstore says that an object isn't there.
MISSING = (FileNotFoundError, NotFoundError)


class Store:
    """A place for objects: bytes under names, written whole or not at all.

    Parameters
    ----------
    url : str
        ``file:///folder``, ``s3://bucket/prefix`` or ``memory://``; a plain path is a folder.
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

    Raises
    ------
    ConfigurationError
        If the URL is of no kind that is known.
    StoreError
        If the folder can't be made, or the one that it is to be in isn't there.
    """

    def __init__(self, url: str | os.PathLike[str], **options: Any) -> None:
        self.url, self._store = open_objects(os.fspath(url), options)
        self.requests: Counter[str] = Counter()
        self.moved: Counter[str] = Counter()

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
        pieces, size = _pieces(data)
        with self._asking("put", name):
            obstore.put(self._store, name, pieces, chunk_size=PART_BYTES)
        self.moved["written"] += size

    def put_new(self, name: str, data: Iterable[Bytes]) -> bool:
        """Write an object unless one of that name is there; tell whether it was written."""
        whole = b"".join(data)
        with self._asking("put", name):
            try:
                obstore.put(self._store, name, whole, mode="create", use_multipart=False)
            except AlreadyExistsError:
                return False
        self.moved["written"] += len(whole)
        return True

    def get(self, name: str) -> memoryview:
        """Read a whole object.

        Raises
        ------
        MissingObjectError
            If there is none of that name.
        """
        with self._asking("get", name):
            data = memoryview(obstore.get(self._store, name).bytes())
        self.moved["read"] += data.nbytes
        return data

    def get_range(self, name: str, offset: int, length: int) -> memoryview:
        """Read `length` bytes of an object from byte `offset` on.

        Raises
        ------
        MissingObjectError, CorruptObjectError
            If there is none of that name, or it is shorter.
        """
        if not length:
            return memoryview(b"")
        try:
            with self._asking("get", name):
                data = obstore.get_range(self._store, name, start=offset, length=length)
        except MissingObjectError:
            raise
        except StoreError as error:
            if self._size(name) > offset:
                raise
            raise self._cut_off(name, offset + length) from error
        if len(data) != length:
            raise self._cut_off(name, offset + length)
        self.moved["read"] += length
        return memoryview(data)

    def _size(self, name: str) -> float:
        """Tell how large an object is; infinite if that can't be found out."""
        try:
            return float(obstore.head(self._store, name)["size"])
        except (BaseError, OSError, ValueError):
            return math.inf

    def _cut_off(self, name: str, end: int) -> CorruptObjectError:
        return CorruptObjectError(
            f"{name} in {self.url} is shorter than {end} bytes: it was cut off after it was written"
        )

    def list(self, prefix: str, offset: str | None = None) -> list[str]:
        """Name the objects below a folder, sorted, those after `offset` if it is given."""
        with self._asking("list", prefix):
            pages = obstore.list(self._store, prefix=prefix, offset=offset, chunk_size=1000)
            names = [entry["path"] for page in pages for entry in page]
        # A folder lists in any order, and without the offset's exactness that S3 promises.
        return sorted(name for name in names if offset is None or name > offset)

    def delete(self, names: Iterable[str]) -> None:
        """Remove objects; those that are gone already don't matter."""
        wanted = list(names)
        for start in range(0, len(wanted), DELETE_AT_ONCE):
            some = wanted[start : start + DELETE_AT_ONCE]
            with self._asking("delete", some[0]):
                self._delete(some)

    def delete_all(self, prefix: str) -> None:
        """Remove every object below a folder."""
        self.delete(self.list(prefix))
        if isinstance(self._store, LocalStore):
            # With what killed jobs have left half written there, which isn't listed.
            shutil.rmtree(_folder(self.url) / prefix, ignore_errors=True)

    def check_writable(self, name: str) -> None:
        """Write and remove one object, so that a store that can't be used is found out at once."""
        self.put(name, [b"dask_knot"])
        self.delete([name])

    def _delete(self, names: Sequence[str]) -> None:
        if isinstance(self._store, LocalStore):
            for name in names:  # a folder refuses the whole request for one that is gone
                with _ignoring_missing():
                    obstore.delete(self._store, name)
        else:
            obstore.delete(self._store, names)

    @contextmanager
    def _asking(self, operation: str, name: str) -> Iterator[None]:
        self.requests[operation] += 1
        try:
            yield
        except MISSING as error:
            raise MissingObjectError(
                f"{name} is not in the store {self.url}: it was deleted, or never written"
            ) from error
        except (BaseError, OSError, ValueError) as error:
            raise StoreError(
                f"the store {self.url} failed to {operation} {name}: {_text(error)}. {_cure(error)}"
            ) from error


def open_objects(url: str, options: Mapping[str, Any]) -> tuple[str, Any]:
    """Open obstore's store at a URL; give the whole URL, too."""
    if "://" not in url:
        url = Path(url).expanduser().absolute().as_uri()
    scheme = urlsplit(url).scheme
    if scheme not in _OPENERS:
        kinds = ", ".join(f"{kind}://" for kind in _OPENERS)
        raise ConfigurationError(f"{url!r} is not a store: use a folder or one of {kinds}")
    url = url.rstrip("/") if scheme != "memory" else url
    try:
        return url, _OPENERS[scheme](url, **options)
    except (BaseError, OSError, ValueError) as error:
        raise StoreError(f"the store {url} can't be opened: {_text(error)}") from error


def _text(error: Exception) -> str:
    """Leave out the inner workings that obstore appends."""
    return str(error).partition("\n\nDebug source:")[0]


def _cure(error: Exception) -> str:
    if isinstance(error, PermissionDeniedError):
        return "Ask for the permission; in S3, `dask knot policy` prints all that are needed"
    return "Check that it exists, that you may write there, and that it isn't full"


def _folder(url: str) -> Path:
    path = unquote(urlsplit(url).path)
    return Path(path[1:] if os.name == "nt" else path)


def _open_folder(url: str, parents: bool = False) -> LocalStore:
    folder = _folder(url)
    # Not its parents: they may be misspelt, or on a disk that isn't mounted.
    missing = [parent for parent in folder.parents if not parent.exists()]
    if missing and not parents:
        raise FileNotFoundError(f"there is no folder {missing[-1]}: make it, or mend the path")
    folder.mkdir(parents=parents, exist_ok=True)
    return LocalStore(folder, automatic_cleanup=True)  # of folders that became empty


def _open_s3(url: str, **options: Any) -> S3Store:
    # boto3 takes an endpoint without TLS as it is; obstore wants to be told.
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    is_plain = endpoint.startswith("http://")
    if is_plain:
        options.setdefault("client_options", {"allow_http": True})
    store: S3Store = S3Store.from_url(url, **{"retry_config": RETRIES, **options})
    return store


def _open_memory(url: str) -> MemoryStore:
    return MemoryStore()


_OPENERS: dict[str, Callable[..., Any]] = {
    "file": _open_folder,
    "s3": _open_s3,
    "memory": _open_memory,
}


def _pieces(data: Iterable[Bytes]) -> tuple[Any, int]:
    pieces = [memoryview(piece).cast("B") for piece in data if memoryview(piece).nbytes]
    size = sum(piece.nbytes for piece in pieces)
    # One piece goes as it is: an iterable would make S3 start a multipart upload.
    return (b"".join(pieces) if size < PART_BYTES else pieces), size


@contextmanager
def _ignoring_missing() -> Iterator[None]:
    try:
        yield
    except MISSING:
        return
