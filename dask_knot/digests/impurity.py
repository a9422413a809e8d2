"""Work that isn't the same whenever it is done, or that is done for what it changes elsewhere.

Told by what code names: random numbers that nobody has seeded, the clock, the environment, the
network, and functions that write. A wrong guess here costs a run of what was there already; a
missing one would be a result of another day. Clocks that are there for measuring are no reason, for
what they measure is seldom a result: ``perf_counter``, ``monotonic``, ``process_time``, ``sleep``.

Nothing here is called, and no package imported.
"""

from __future__ import annotations

import inspect
import os
import random
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import CodeType, ModuleType
from typing import Any

_CLOCK = "it reads the clock"
_RANDOM = "it draws random numbers without a seed"
_PLACE = "it looks up the machine or process that it runs in"
_VARIABLES = "it reads environment variables, which may differ in jobs"
_NETWORK = "it uses the network, where anything may have changed"
_WRITES = "it writes something, which may be gone or changed by now"


def _all(names: str, what: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), what)


#: By module and name, whatever they are called with.
_ALWAYS: Mapping[str, str] = {
    **_all(
        """time.time time.time_ns time.clock_gettime time.clock_gettime_ns time.strftime
        datetime.datetime.now datetime.datetime.utcnow datetime.datetime.today datetime.date.today
        pandas.Timestamp.now pandas.Timestamp.utcnow pandas.Timestamp.today""",
        _CLOCK,
    ),
    **_all("uuid.uuid1 uuid.uuid4 posix.urandom nt.urandom posix.getrandom", _RANDOM),
    **_all(
        """posix.getpid posix.getppid nt.getpid nt.getppid posix.uname posix.getcwd nt.getcwd
        _socket.gethostname socket.getfqdn platform.node platform.uname getpass.getuser
        uuid.getnode""",
        _PLACE,
    ),
    **_all("os.getenv os.getenvb", _VARIABLES),
    **_all(
        """urllib.request.urlopen urllib.request.urlretrieve http.client.HTTPConnection
        http.client.HTTPSConnection socket.socket socket.create_connection
        fsspec.registry.filesystem""",
        _NETWORK,
    ),
    **_all("builtins.input", "it asks for keyboard input"),
    **_all(
        """dask.array.core.store dask.array.core.store_chunk dask.array.core.load_store_chunk
        dask.array.core.to_zarr dask.dataframe.io.csv._write_csv
        dask.dataframe.io.json.write_json_partition dask.dataframe.io.hdf._pd_to_hdf
        dask.dataframe.io.sql._to_sql_chunk dask.bag.core._to_textfiles_chunk
        dask.dataframe.io.parquet.core.ToParquetFunctionWrapper dask.bag.avro._write_avro_part
        posix.remove posix.unlink nt.remove nt.unlink posix.rename posix.replace nt.rename
        nt.replace shutil.move shutil.copy""",
        _WRITES,
    ),
}
#: By module and name, when they are called with nothing.
_BARE: Mapping[str, str] = {
    **_all(
        """random.Random random.seed numpy.random.default_rng numpy.random.RandomState
        numpy.random.SeedSequence numpy.random.PCG64 numpy.random.PCG64DXSM numpy.random.MT19937
        numpy.random.Philox numpy.random.SFC64""",
        _RANDOM,
    ),
    **_all("time.localtime time.gmtime time.ctime time.asctime", _CLOCK),
}
#: Packages whose functions all ask the network.
_ASKING = _all(
    """requests httpx urllib3 aiohttp boto3 botocore aiobotocore ftplib smtplib paramiko psycopg
    psycopg2 pymysql pymongo redis sqlalchemy s3fs gcsfs adlfs""",
    _NETWORK,
)
#: Modules of random numbers, in the hands of code that doesn't say what it takes of them.
_GENERATORS = ("random", "numpy.random", "secrets")
#: Methods and functions, of any object, that are called for what they write.
WRITERS = frozenset(
    _all(
        """to_netcdf to_zarr to_parquet to_csv to_pickle to_hdf to_hdf5 to_feather to_excel to_sql
        to_stata to_orc to_textfiles to_avro to_npy_stack to_tiledb to_file to_raster to_gbq
        save savez savez_compressed savetxt savemat savefig save_mfdataset tofile imsave imwrite
        write_text write_bytes write_csv write_parquet write_table write_dataset write_image
        put_object upload_file upload_fileobj copyfile copyfileobj copytree rmtree unlink
        delete_object delete_objects dump to_json to_cog to_tiff ParquetWriter ExcelWriter
        HDFStore""",
        _WRITES,
    )
)
#: Ways to open a file that change it.
_MODES = frozenset(
    f"{way}{kind}" for way in "wax" for kind in ("", "b", "t", "+", "b+", "+b", "t+", "+t")
) | {"r+", "rb+", "r+b", "rt+", "r+t"}
#: What opens files in such a way, ...
_OPENERS = frozenset(
    _all("open open_file File Dataset memmap open_memmap ZipFile TarFile", _WRITES)
    | _all("open_array open_group", _WRITES)
)
#: ... and what zarr opens for writing unless it is told otherwise.
_OPENERS_OF_ZARR = frozenset(
    _all("open open_array open_group create create_array create_group", _WRITES)
)
#: Methods that draw, of objects that nobody can tell, and what they are seeded with.
_DRAWING = frozenset({"rvs", "sample"})
_SEEDS = frozenset({"random_state", "seed", "Random", "default_rng", "RandomState", "rng"})
#: Attributes by which code reaches what it doesn't name, or what isn't part of its digest.
_UNSEEN = frozenset(
    _all("__globals__ f_globals f_locals f_builtins __builtins__ __subclasses__", "")
    | _all("__doc__ __annotations__ get_type_hints getsource getdoc", "")
)
_OF_CLASSES = ("__doc__", "__annotations__")
#: What sets the state of the generator of a module.
_SEEDING = frozenset({"seed", "setstate", "set_state"})


def reason(
    value: Any, is_called_without_arguments: bool | None, seeded: Collection[str] = ()
) -> str | None:
    """Say why code that uses something isn't the same whenever it runs; None if it is.

    Parameters
    ----------
    value : Any
        What the code takes from outside: a function, a class, a module, an object.
    is_called_without_arguments : bool, optional
        Whether it is; None if that can't be told.
    seeded : collection of str
        The modules whose own generator the code seeds, as `seeds` tells.
    """
    generator = generator_of(value)
    if generator:
        is_seed = _last_name(value) in _SEEDING
        is_known = is_called_without_arguments is False if is_seed else generator in seeded
        return None if is_known else _RANDOM
    if value is os.environ or getattr(value, "__self__", None) is os.environ:
        return _VARIABLES
    if isinstance(value, ModuleType):
        return _RANDOM if value.__name__ in _GENERATORS else None
    if _is_of_system(value):
        return _RANDOM
    if not callable(value):
        return None
    return _of_callable(value, is_called_without_arguments)


def _is_of_system(value: Any) -> bool:
    """Tell whether something draws from what the system gives: no seed changes that."""
    owner = getattr(value, "__self__", value)
    return isinstance(owner, random.SystemRandom) or owner is random.SystemRandom


def _of_callable(value: Any, is_bare: bool | None) -> str | None:
    if type(value).__name__ == "methodcaller" and getattr(value, "method", "") in WRITERS:
        return _WRITES  # dask's own caller of methods
    for name in _names(value):
        if name in _ALWAYS:
            return _ALWAYS[name]
        if is_bare is not False and name in _BARE:
            return _BARE[name]
        if name.startswith("secrets."):
            return _RANDOM
        if name.partition(".")[0] in _ASKING:
            is_error = isinstance(value, type) and issubclass(value, BaseException)
            return None if is_error else _NETWORK
    is_function = inspect.isroutine(value)
    return _WRITES if is_function and _last_name(value) in WRITERS else None


def _names(value: Any) -> Iterator[str]:
    """Name a function or class, an object by its class; numpy's own by where users find it."""
    named = value if isinstance(getattr(value, "__qualname__", None), str) else type(value)
    module = getattr(named, "__module__", None)
    name = named.__qualname__
    if module is None:  # a method of a class that is written in C
        owner = getattr(named, "__self__", None)
        module = getattr(owner, "__module__", None) or getattr(owner, "__name__", "")
    yield f"{module}.{name}"
    if str(module).startswith("numpy.random."):
        yield f"numpy.random.{name}"
    if isinstance(named, type):
        bases = (base for base in named.__mro__[1:] if base.__module__ in ("random", "datetime"))
        yield from (f"{base.__module__}.{base.__qualname__}" for base in bases if base is not named)
    owner = getattr(named, "__self__", None)
    if isinstance(owner, type):
        for base in owner.__mro__:
            yield f"{base.__module__}.{base.__qualname__}.{named.__name__}"
            yield f"{base.__module__.partition('.')[0]}.{base.__qualname__}.{named.__name__}"


def _last_name(value: Any) -> str:
    return str(getattr(value, "__name__", ""))


def generator_of(value: Any) -> str:
    """Name the module whose own generator of random numbers a function is a method of, if any."""
    owner = getattr(value, "__self__", None)
    numpy = sys.modules.get("numpy.random")
    if numpy is not None and value is numpy.seed:
        return "numpy.random"
    if owner is None or isinstance(owner, ModuleType | type):
        return ""
    if owner is getattr(random.random, "__self__", None):
        return "random"
    is_numpys = numpy is not None and owner is getattr(numpy.rand, "__self__", None)
    return "numpy.random" if is_numpys else ""


def target(value: Any, chain: Sequence[str]) -> Any:
    """Follow attributes of modules and classes; of another object none is taken."""
    for name in chain:
        if not isinstance(value, ModuleType | type):
            return value
        try:
            value = getattr(value, name)
        except Exception:  # what isn't there fails where it runs
            return None
    return value


def seeds(value: Any, is_called_without_arguments: bool | None) -> str:
    """Name the module whose own generator a call seeds; nothing if it seeds none."""
    is_seed = _last_name(value) in _SEEDING and is_called_without_arguments is False
    return generator_of(value) if is_seed else ""


def effect(code: CodeType) -> str | None:
    """Say why code of the user's own must run, by the names and constants in it.

    Objects of which it takes a method aren't known: ``table.to_csv(...)`` writes whatever it is.
    """
    names: set[str] = set()
    texts: set[str] = set()
    keywords: set[str] = set()
    for one in _with_inner(code):
        is_class = "__qualname__" in one.co_names  # which has its own documentation
        names.update(
            set(one.co_names) - {"__doc__", "__annotations__"} if is_class else one.co_names
        )
        texts.update(part for part in one.co_consts if isinstance(part, str))
        tuples = (part for part in one.co_consts if isinstance(part, tuple))
        keywords.update(word for part in tuples for word in part if isinstance(word, str))
    if names & _UNSEEN:
        return f"it can reach what its code doesn't name ({', '.join(sorted(names & _UNSEEN))})"
    if names & WRITERS:
        return f"{_WRITES} ({', '.join(sorted(names & WRITERS))})"
    openers = names & _OPENERS
    if names & {"xr", "xarray"}:
        openers.discard("Dataset")  # a container, whose dimensions may be called "x"
    if openers and texts & _MODES:
        return f"{_WRITES} ({', '.join(sorted(openers))})"
    if "zarr" in names and names & _OPENERS_OF_ZARR and "r" not in texts:
        return f"{_WRITES} (zarr)"
    if names & _DRAWING and not _SEEDS & (names | keywords | {*code.co_varnames}):
        return f"{_RANDOM} ({', '.join(sorted(names & _DRAWING))})"
    return None


def _with_inner(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _with_inner(constant)
