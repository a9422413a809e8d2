"""Takes values of numpy, pandas and pyarrow apart, by content; imports none of them."""

from __future__ import annotations

import gc
import sys
from typing import Any

from dask_knot.digests.plain import digest
from dask_knot.digests.refusal import UndigestibleError
from dask_knot.digests.walk import Opened


def opened(value: Any) -> Opened | None:
    """Open a value of a library that is known; None for all others."""
    # No text of functions that Cython 3.1.0 compiled, such as those of NumPy 2.2.
    library = str(type(value).__module__).partition(".")[0]
    if library == "numpy":
        return _of_numpy(value, sys.modules["numpy"])
    if library == "pyarrow":
        return _of_pyarrow(value, sys.modules["pyarrow"])
    return None


def _of_numpy(value: Any, numpy: Any) -> Opened | None:
    kind = type(value)
    if kind is numpy.ndarray:
        return _array(value, numpy)
    if isinstance(value, numpy.dtype):
        return _dtype(value)
    if isinstance(value, numpy.generic) and not isinstance(value, numpy.void | numpy.object_):
        return Opened(b"scalar" + value.dtype.str.encode() + b" " + value.tobytes())
    if kind is numpy.ufunc:
        return _ufunc(value, numpy)
    if kind is numpy.random.SeedSequence:
        return Opened(b"seed", (value.state,))
    if isinstance(value, numpy.random.BitGenerator):
        return Opened(b"bits", (kind, value.state, value.seed_seq), ("kind", "state", "seed"))
    if kind is numpy.vectorize:
        options = (value.otypes, value.cache, value.signature, sorted(map(str, value.excluded)))
        return Opened(b"vectorize", (value.pyfunc, options), ("function", "options"))
    return None


def _dtype(value: Any) -> Opened | None:
    # Not those of others, which may be called alike; one that was pickled isn't "builtin" any more.
    is_simple = value.kind in "?biufcSUmM" and value.type.__module__ == "numpy"
    return Opened(b"dtype" + value.str.encode()) if is_simple and not value.metadata else None


def _array(value: Any, numpy: Any) -> Opened:
    if value.dtype.hasobject:
        return Opened(b"objects", (value.dtype, value.shape, value.ravel().tolist()))
    whole = _without_repeats(value)
    data = numpy.ascontiguousarray(whole).reshape(-1).view(numpy.uint8) if whole.size else b""
    if value.dtype.itemsize == 0:
        data = b""
    parts = (value.dtype, value.shape, whole.shape)
    return Opened(b"array" + digest(memoryview(data)), parts)


def _without_repeats(value: Any) -> Any:
    """Take out of an array that was broadcast what is in memory."""
    if not value.size:  # its strides say nothing
        return value
    sides = zip(value.shape, value.strides, strict=True)
    return value[tuple(slice(1) if stride == 0 and n else slice(None) for n, stride in sides)]


def _ufunc(value: Any, numpy: Any) -> Opened:
    """Open a ufunc: one that numpy or scipy has by name, or one of a Python function."""
    name = value.__name__
    special = sys.modules.get("scipy.special")
    for module in filter(None, (numpy, special)):
        if getattr(module, name, None) is value:
            return Opened(b"ufunc " + name.encode(), (module,), ("of",))
    held = [one for one in gc.get_referents(value) if callable(one)]
    if len(held) != 1 or not name.endswith("(vectorized)"):
        raise UndigestibleError(f"the ufunc {name!r} isn't from a known library")
    return Opened(b"frompyfunc", (held[0], value.nin, value.nout), ("function", "", ""))


def _of_pyarrow(value: Any, pyarrow: Any) -> Opened | None:
    """Open tables and arrays by their bytes in Arrow's own format, in one piece."""
    kind = type(value).__name__.encode()
    if isinstance(value, pyarrow.ChunkedArray | pyarrow.Array):
        value = pyarrow.table({"": value})
    if isinstance(value, pyarrow.RecordBatch):
        value = pyarrow.Table.from_batches([value])
    if not isinstance(value, pyarrow.Table):
        return None
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, value.schema) as writer:
        writer.write_table(value.combine_chunks())
    return Opened(b"arrow " + kind + digest(memoryview(sink.getvalue())))
