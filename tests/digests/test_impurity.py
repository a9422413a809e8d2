"""Work that isn't the same twice is told by what it names; all other work isn't taken for such."""

from __future__ import annotations

import datetime
import os
import platform
import random
import secrets
import shutil
import socket
import time
import urllib.request
import uuid
from pathlib import Path
from typing import Any

import pytest

from dask_knot.digests.impurity import effect, generator_of, reason, seeds

np = pytest.importorskip("numpy")
pd = pytest.importorskip("pandas")

ALWAYS = [
    *(time.time, time.time_ns, time.strftime, datetime.datetime.now, datetime.datetime.utcnow),
    *(datetime.datetime.today, datetime.date.today, pd.Timestamp.now, pd.Timestamp.today),
    *(random.random, random.shuffle, random.randint, random.getrandbits, random.getstate),
    *(np.random.rand, np.random.normal, np.random.shuffle, np.random.get_state),
    *(uuid.uuid1, uuid.uuid4, os.urandom, random.SystemRandom, random.SystemRandom()),
    *(secrets.token_hex, secrets.choice, secrets.SystemRandom, secrets.randbelow),
    *(os.getpid, os.getcwd, os.getenv, os.environ, os.environ.get, os.uname),
    *(platform.node, socket.gethostname, input, random, np.random, secrets),
    *(urllib.request.urlopen, socket.socket, socket.create_connection),
    *(pd.DataFrame.to_csv, pd.DataFrame.to_parquet, np.save, np.savetxt, shutil.rmtree, os.remove),
]
BARE = [
    *(random.Random, random.seed, np.random.default_rng, np.random.RandomState, np.random.seed),
    *(np.random.SeedSequence, np.random.PCG64, np.random.MT19937, np.random.Philox),
    *(time.localtime, time.gmtime, time.ctime),
]
NEVER = [
    *(time.sleep, time.perf_counter, time.monotonic, time.process_time, time, datetime, os, np),
    *(datetime.datetime, datetime.date, datetime.datetime.fromisoformat, datetime.timedelta),
    *(uuid.uuid5, uuid.UUID, np.mean, np.load, pd.read_csv, pd.DataFrame, pd.Timestamp, len, open),
    *(np.random.Generator, np.random.default_rng(3).normal, random.Random(3).random, print, Path),
    *(os.path.join, os.path.exists, os.listdir, shutil.which, dict.copy, str.replace, 3, "now"),
    *(np.random.RandomState(3).rand, None, isinstance, urllib.request.Request, uuid),
    *(pd.DataFrame.sum, pd.DataFrame.rename, str.strip, hash, time.strptime, time.mktime),
]


@pytest.mark.parametrize("value", ALWAYS)
@pytest.mark.parametrize("is_bare", [True, False, None])
def test_some_are_never_the_same(value: Any, is_bare: bool | None) -> None:
    assert reason(value, is_bare)


@pytest.mark.parametrize("value", BARE)
def test_some_are_the_same_with_a_seed(value: Any) -> None:
    assert reason(value, True)
    assert reason(value, None)
    assert reason(value, False) is None


@pytest.mark.parametrize("value", NEVER)
@pytest.mark.parametrize("is_bare", [True, False, None])
def test_all_others_are_always_the_same(value: Any, is_bare: bool | None) -> None:
    assert reason(value, is_bare) is None


def test_what_asks_the_network_is_known_by_its_package() -> None:
    botocore = pytest.importorskip("botocore.session")
    exceptions = pytest.importorskip("botocore.exceptions")
    assert "network" in str(reason(botocore.get_session, True))
    assert "network" in str(reason(botocore.Session, False))
    assert reason(exceptions.ClientError, False) is None


def test_a_seed_makes_a_modules_generator_the_same() -> None:
    assert seeds(random.seed, False) == "random"
    assert seeds(np.random.seed, False) == "numpy.random"
    assert seeds(random.setstate, False) == "random"
    for value, is_bare in ((random.seed, True), (random.random, True), (len, False)):
        assert not seeds(value, is_bare)
    assert reason(random.random, True, {"random"}) is None
    assert reason(np.random.rand, False, {"numpy.random"}) is None
    assert reason(np.random.rand, False, {"random"})
    assert generator_of(random.choice) == "random"
    assert not generator_of(random.Random(3).choice)
    assert not generator_of(np.random.default_rng(3).normal)


def test_functions_of_dask_that_write_are_known() -> None:
    from dask.array.core import load_store_chunk
    from dask.bag.core import _to_textfiles_chunk
    from dask.utils import methodcaller

    for value in (load_store_chunk, _to_textfiles_chunk, methodcaller("to_csv")):
        assert "writes" in str(reason(value, False)), value
    assert reason(methodcaller("sum"), False) is None
    frames = pytest.importorskip("dask.dataframe.io.csv")
    parquet = pytest.importorskip("dask.dataframe.io.parquet.core")
    wrapper = object.__new__(parquet.ToParquetFunctionWrapper)
    assert "writes" in str(reason(wrapper, False))
    assert "writes" in str(reason(frames._write_csv, False))


EFFECTS = {
    "table.to_csv(path)": "to_csv",
    "data.to_netcdf(path)": "to_netcdf",
    "np.save(path, data)": "save",
    "open(path, 'w').write(data)": "open",
    "open(path, mode='ab').write(data)": "open",
    "path.open('x')": "open",
    "path.write_text(data)": "write_text",
    "[one.unlink() for one in data]": "unlink",
    "(lambda: shutil.rmtree(path))()": "rmtree",
    "table.sample(3)": "sample",
    "stats.norm.rvs(size=3)": "rvs",
    "h5py.File(path, 'w')": "File",
    "np.memmap(path, mode='w+', shape=3)": "memmap",
    "ZipFile(path, 'a').write(data)": "ZipFile",
    "zarr.open(path)": "zarr",
    "zarr.open_group(path, mode='r+')": "open_group",
    "joblib.dump(data, path)": "dump",
    "zarr.open(path, mode='r')": "",
    "h5py.File(path)": "",
    "xr.Dataset({'x': xr.open_dataset(path).x})": "",
    "Dataset(path, 'a')": "Dataset",
    "h5py.File(path, 'r')": "",
    "np.memmap(path, mode='r')": "",
    "open(path).read()": "",
    "open(path, 'rb').read()": "",
    "table.sample(3, random_state=1)": "",
    "random.Random(3).sample(data, 2)": "",
    "stats.norm.rvs(size=3, random_state=seed)": "",
    "table.rename(columns=dict(a='w'))": "",
    "data.remove(3)": "",
    "'to_csv save open w'": "",
}


@pytest.mark.parametrize(("text", "name"), EFFECTS.items())
def test_methods_are_known_by_their_names(text: str, name: str) -> None:
    found = effect(compile(text, "<test>", "eval"))
    assert (found is not None) is bool(name)
    assert name in str(found)


def test_a_seed_may_be_an_argument() -> None:
    def draw(table: Any, seed: int) -> Any:
        return table.sample(3, replace=seed)

    assert effect(draw.__code__) is None
