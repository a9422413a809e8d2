"""Zarr arrays, groups and stores: the folder that they are in, and how it is read."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from dask_knot.digests.places import S3, is_ours, place, refuse, url_of_fsspec

#: The folder of a store, or what is in one that is in memory.
Folder = str | tuple[tuple[str, bytes], ...]


def _array(value: Any) -> object:
    """Open an array: all chunks of it count, for any of its tasks may read any of them."""
    metadata: Any = getattr(value, "metadata", None)
    given = metadata.to_dict() if hasattr(metadata, "to_dict") else (value.shape, value.dtype.str)
    return "zarr", _folder(value.store, value.path), repr(given)


def _group(value: Any) -> object:
    return "zarr", _folder(value.store, value.path)


def _store(value: Any) -> object:
    return "zarr", _folder(value, "")


def _store_path(value: Any) -> object:
    return "zarr", _folder(value.store, value.path)


def _mapping(value: Any) -> object:
    return "zarr", url_of_fsspec(value.fs, value.root)


def _folder(store: Any, path: str) -> Folder:
    for kind in type(store).__mro__:
        find = _FOLDERS.get(f"{kind.__module__}.{kind.__qualname__}")
        if find is not None:
            return find(store, path.strip("/"))
    raise refuse(store, "holds Zarr data that can't be seen from here")


def _of_disk(root: Any, path: str) -> str:
    return place(os.path.join(os.fspath(root), path) if path else root)


def _of_fsspec(store: Any, path: str) -> str:
    return url_of_fsspec(store.fs, f"{store.path.rstrip('/')}/{path}".rstrip("/"))


def _of_memory(store: Any, path: str) -> Folder:
    """Take the content: it goes to the jobs as it is."""
    held: Mapping[str, Any] = vars(store)["_store_dict"]
    below = f"{path}/" if path else ""
    found = {name: held[name] for name in sorted(held) if name.startswith(below)}
    return tuple((name, bytes(buffer.to_bytes())) for name, buffer in found.items())


def _of_wrapped(store: Any, path: str) -> Folder:
    return _folder(vars(store)["_store"], path)


def _of_obstore(store: Any, path: str) -> str:
    """Name the folder that a store of obstore is."""
    inner = store.store
    kind = type(inner).__name__
    prefix = str(inner.prefix or "")
    if kind == "LocalStore" and prefix:
        return _of_disk(prefix, path)
    is_seen = getattr(store, "is_of_session", False) or is_ours(inner.config.get("endpoint"))
    if kind == "S3Store" and is_seen:
        parts = [inner.config["bucket"], prefix.strip("/"), path]
        return f"{min(S3)}://" + "/".join(part for part in parts if part)
    raise refuse(inner, "holds Zarr data that can't be seen from here")


_FOLDERS: Mapping[str, Callable[[Any, str], Folder]] = {
    "zarr.storage._local.LocalStore": lambda store, path: _of_disk(store.root, path),
    "zarr.storage._zip.ZipStore": lambda store, path: place(store.path),
    "zarr.storage._fsspec.FsspecStore": _of_fsspec,
    "zarr.storage._memory.MemoryStore": _of_memory,
    "zarr.storage._obstore.ObjectStore": _of_obstore,
    "zarr.storage._wrapper.WrapperStore": _of_wrapped,
    # Of zarr 2.
    "zarr.storage.DirectoryStore": lambda store, path: _of_disk(store.path, path),
    "zarr.storage.ZipStore": lambda store, path: place(store.path),
    "zarr.storage.FSStore": _of_fsspec,
}

OPENERS: Mapping[str, Callable[[Any], object]] = {
    "zarr.core.array.Array": _array,
    "zarr.core.array.AsyncArray": _array,
    "zarr.core.group.Group": _group,
    "zarr.core.group.AsyncGroup": _group,
    "zarr.storage._common.StorePath": _store_path,
    "zarr.abc.store.Store": _store,
    "zarr.core.Array": _array,
    "zarr.hierarchy.Group": _group,
    "zarr._storage.store.BaseStore": _store,
    "fsspec.mapping.FSMap": _mapping,
}
