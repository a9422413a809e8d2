"""Objects that read when they are used: in their place stands what they will read, and how.

A data set of xarray is a tower of small objects with a file at its bottom, beside locks, caches and
numbers of their own. What counts is the file, the place in it, and the rules by which it is read.
Here such objects become plain containers with the names of files in them, which get their marks as
all texts do. What is of no package known here is left to the general walk.

No package is imported for that: classes are known by their names.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from dask_knot.digests import zarrs
from dask_knot.digests.places import is_local, place, protocol, refuse, url_of_arrow, url_of_fsspec
from dask_knot.digests.refusal import UndigestibleError

#: Attributes that change nothing of what is read: locks, caches, numbers of this process.
_INNER = frozenset({"lock", "_lock", "_cache", "_ref_counter", "_manager_id", "_key", "_members"})


def opened(value: object) -> object | None:
    """Give what stands for an object that reads; None if it is none that is known here.

    Raises
    ------
    UndigestibleError
        If what it reads can't be told from its other versions, or it writes.
    """
    kind: type = type(value)
    if kind.__module__ == "builtins":
        return None
    opener = _opener(kind)
    return None if opener is None else opener(value)


@lru_cache(maxsize=4096)
def _opener(kind: type) -> Callable[[Any], object] | None:
    for base in kind.__mro__:
        name = f"{base.__module__}.{base.__qualname__}"
        if name in _OPENERS:
            return _OPENERS[name]
    return None


def _name(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _state(value: object) -> dict[str, Any]:
    """Give all attributes of an object, those in slots too, but for the inner ones."""
    slots = [name for kind in type(value).__mro__ for name in _slots(kind)]
    found = {name: getattr(value, name) for name in slots if hasattr(value, name)}
    found |= getattr(value, "__dict__", {})
    return {name: found[name] for name in sorted(found) if name not in _INNER}


def _slots(kind: type) -> tuple[str, ...]:
    given = kind.__dict__.get("__slots__", ())
    names = (given,) if isinstance(given, str) else tuple(given)
    return tuple(name for name in names if name not in ("__weakref__", "__dict__"))


def _parts(value: object) -> object:
    """Take an object of xarray apart: it is what its parts are."""
    return _name(value), _state(value)


def _data_store(value: object) -> object:
    state = _state(value)
    if state.get("_mode") not in (None, "r"):
        raise refuse(value, "writes")
    return _name(value), state


def _manager(value: object) -> object:
    """Open what xarray opens files with: a function, its arguments, and the way to open."""
    state = _state(value)
    if str(state.get("_mode", "r")) not in ("r", "rb"):
        raise refuse(value, "writes")
    if "_opener" not in state:
        return _name(value), state
    arguments = tuple(
        place(one) if isinstance(one, str | os.PathLike) else one for one in state["_args"]
    )
    return "file", state["_opener"], arguments, state.get("_kwargs", {})


def _open_file(value: Any) -> object:
    """Open a file of fsspec that will be opened where it is read."""
    if not set(value.mode) <= {"r", "b", "t"}:
        raise refuse(value, "writes")
    how = (value.mode, value.compression, value.encoding, value.errors, value.newline)
    return "file", url_of_fsspec(value.fs, value.path), how


def _file_of_fsspec(value: Any) -> object:
    return "file", url_of_fsspec(value.fs, value.path), str(value.mode)


def _file_system(value: Any) -> object:
    """Take a file system that is here; paths in others can't be known for what they are."""
    if not is_local(value):
        raise UndigestibleError(
            f"a file system ({protocol(value)}) is given next to paths, and its files can't "
            "be seen from here. Files given by their full URL can"
        )
    return "file system", protocol(value)


def _arrow_file_system(value: Any) -> object:
    return "file system", url_of_arrow(value, "")


def _fragment_wrapper(value: Any) -> object:
    return opened(value.fragment)


def _fragment(value: Any) -> object:
    """Open a part of a Parquet data set: its file, and which rows of it."""
    if getattr(value, "buffer", None) is not None:
        return "parquet", bytes(value.buffer)
    groups = [group.id for group in getattr(value, "row_groups", None) or ()]
    rules = (str(value.partition_expression), str(value.format.default_extname))
    return "parquet", place(url_of_arrow(value.filesystem, value.path)), groups, rules


def _parquet_function(value: Any) -> object:
    """Take the reader of dask.dataframe; the paths are in its tasks, without the file system."""
    state = dict(vars(value))
    system = state.pop("fs")
    if not is_local(system):
        raise UndigestibleError(
            "dd.read_parquet reads remote files with fsspec, so their changes can't be "
            "seen. With filesystem='arrow' they can"
        )
    common = dict(state.pop("common_kwargs", {}))
    return _name(value), state, {name: _schema(one) for name, one in sorted(common.items())}


def _schema(value: Any) -> object:
    is_of_arrow = type(value).__module__.startswith("pyarrow.")
    return str(value) if is_of_arrow and hasattr(value, "names") else value


def _hdf5(value: Any) -> object:
    return "hdf5", place(value.file.filename), f"at {value.name}"  # which is no path of a file


def _netcdf(value: Any) -> object:
    return "netcdf", place(value.filepath()), f"at {value.path}"


def _netcdf_variable(value: Any) -> object:
    masks = [getattr(value, name, None) for name in ("mask", "scale", "chartostring")]
    return _netcdf(value.group()), value.name, masks


def _memory_map(value: Any) -> object:
    """Take the content of an array that is in a file: that is what jobs get of it."""
    return sys.modules["numpy"].array(value, copy=True, subok=False)


def is_unfilled(method: Any) -> bool:
    """Tell whether a method fills values that tasks made into a data set of xarray."""
    function = method.__func__
    name = getattr(function, "__qualname__", "")
    return name == "Dataset._dask_postcompute" and str(function.__module__).startswith("xarray.")


def without_tasks(dataset: Any) -> object:
    """Open a data set of xarray but for its tasks, whose values are about to be filled in.

    It has the graph of all of them in it, with keys that change whenever code is moved.
    """
    variables = [
        (name, (type(one), one.dims, one.attrs, one.encoding) if _is_lazy(one) else one)
        for name, one in dataset.variables.items()
    ]
    rest = ({*dataset.coords}, dataset.attrs, dataset.encoding, dict(dataset.xindexes))
    return type(dataset), variables, rest


def _is_lazy(variable: Any) -> bool:
    return variable.__dask_graph__() is not None


_OPENERS: Mapping[str, Callable[[Any], object]] = {
    "xarray.core.indexing.ExplicitlyIndexed": _parts,
    "xarray.core.indexing.ExplicitIndexer": _parts,
    "xarray.core.indexing.ImplicitToExplicitIndexingAdapter": _parts,
    "xarray.core.indexing.NDArrayMixin": _parts,
    "xarray.backends.common.BackendArray": _parts,
    "xarray.backends.common.AbstractDataStore": _data_store,
    "xarray.backends.file_manager.FileManager": _manager,
    "fsspec.core.OpenFile": _open_file,
    "fsspec.spec.AbstractBufferedFile": _file_of_fsspec,
    "fsspec.implementations.local.LocalFileOpener": _file_of_fsspec,
    "fsspec.spec.AbstractFileSystem": _file_system,
    "pyarrow._fs.FileSystem": _arrow_file_system,
    "pyarrow._dataset.Fragment": _fragment,
    "dask.dataframe.dask_expr.io.parquet.FragmentWrapper": _fragment_wrapper,
    "dask.dataframe.io.parquet.core.ParquetFunctionWrapper": _parquet_function,
    "h5py._hl.base.HLObject": _hdf5,
    "netCDF4._netCDF4.Dataset": _netcdf,
    "netCDF4._netCDF4.Variable": _netcdf_variable,
    "numpy.memmap": _memory_map,
    **zarrs.OPENERS,
}
