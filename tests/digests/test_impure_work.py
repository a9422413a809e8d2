"""Work that isn't the same twice has no digest, however it comes by what makes it so."""

from __future__ import annotations

import logging
import os
import random
import secrets
import time
import uuid
from collections.abc import Callable
from datetime import date, datetime
from functools import partial
from typing import Any

import dask
import pytest
from dask.core import flatten

from dask_knot.digests import Digester
from dask_knot.internals import finalized, materialized

#: It remembers what is installed, which takes a while to find out.
DIGESTER = Digester()

np = pytest.importorskip("numpy")
da = pytest.importorskip("dask.array")
pd = pytest.importorskip("pandas")


def digest(collection: Any) -> bytes | None:
    """Digest what a collection is computed as."""
    expr = finalized([collection])
    found = DIGESTER.of_graph(materialized(expr)[0], lambda key: None)
    wanted = [found.digests.get(key) for key in flatten(expr.__dask_keys__())]
    assert (None in wanted) is bool(found.refusals)
    return None if None in wanted else b"".join(one for one in wanted if one is not None)


def call(function: Callable[..., Any], *arguments: Any) -> bytes | None:
    return digest(dask.delayed(function, pure=True)(*arguments))


def importing() -> Any:
    import numpy

    return numpy.random.normal()


def importing_a_name() -> Any:
    from time import time as now

    return now()


def capturing() -> Callable[[], Any]:
    import random as inner

    return lambda: inner.random()


def capturing_a_module_of_modules() -> Callable[[], Any]:
    import numpy as inner

    def draw() -> Any:
        return inner.random.rand()

    return draw


def deep() -> Any:
    return helper()


def helper() -> Any:
    return [one() for one in (lambda: uuid.uuid4().hex,)]


def alias() -> Any:
    draw = random
    return draw.random()


def seeded_elsewhere(number: int) -> Any:
    return np.random.rand(number)


def default(now: Callable[[], float] = time.time) -> float:
    return now()


class Model:
    def __init__(self) -> None:
        self.kind = "model"

    def fit(self) -> Any:
        return random.gauss(0, 1)


class Saved:
    """An object that can write itself, which most tasks don't ask for."""

    def __init__(self) -> None:
        self.number = 3

    def save(self, path: str) -> int:
        with open(path, "w") as file:
            return file.write("3")

    def shown(self) -> int:
        return self.number


def save(number: int = 3) -> int:
    return number


IMPURE: list[Callable[[], Any]] = [
    *(importing, importing_a_name, capturing(), capturing_a_module_of_modules(), deep, alias),
    *(default, Model().fit, partial(np.random.normal, 3), partial(random.choice, [1, 2])),
    *(time.time, uuid.uuid4, random.random, np.random.rand, np.random.default_rng, os.getpid),
    lambda: np.random.default_rng().normal(),
    lambda: np.random.default_rng(None).normal(),
    lambda: np.random.RandomState().rand(),
    lambda: random.Random().random(),
    lambda: datetime.now().year,
    lambda: date.today(),
    lambda: secrets.token_hex(),
    lambda: os.environ["HOME"],
    lambda: os.environ.get("HOME"),
    lambda: os.getenv("HOME"),
    lambda: pd.Timestamp.now(),
    lambda: pd.DataFrame({"a": [1]}).sample(1),
    lambda: seeded_elsewhere(3),
    lambda: [np.random.rand() for _ in range(3)],
    lambda: map(random.random, [1]),
    *(Saved().save, save, partial(save, 3), lambda: Saved().save("a"), lambda: save()),
]


@pytest.mark.parametrize("function", IMPURE, ids=lambda one: getattr(one, "__name__", "partial"))
def test_impure_work_has_none(function: Callable[[], Any]) -> None:
    assert call(function) is None


def seeding() -> Any:
    np.random.seed(3)
    random.seed(4)
    return np.random.rand(), random.random()


def measuring() -> Any:
    start = time.perf_counter()
    time.sleep(0)
    logging.debug("%s", time.monotonic() - start)
    return 3


PURE: list[Callable[[], Any]] = [
    *(seeding, measuring, partial(np.random.default_rng, 3)),
    lambda: np.random.default_rng(3).normal(),
    lambda: np.random.RandomState(seed=3).rand(),
    lambda: random.Random(3).random(),
    lambda: datetime(2020, 1, 1).isoformat(),
    lambda: pd.DataFrame({"a": [1]}).sample(1, random_state=3),
    lambda: uuid.uuid5(uuid.NAMESPACE_DNS, "name"),
    lambda: np.random.default_rng,
    *(Saved().shown, lambda: Saved().shown(), partial(len, [Saved()])),
    lambda: isinstance(3, np.random.Generator),
]


@pytest.mark.parametrize("function", PURE, ids=lambda one: getattr(one, "__name__", "partial"))
def test_pure_work_has_one(function: Callable[[], Any]) -> None:
    assert call(function) is not None
    assert call(function) == call(function)


def test_the_seed_of_a_generator_counts() -> None:
    generators = [np.random.default_rng(number) for number in (3, 3, 4)]
    found = [call(lambda rng: rng.normal(), one) for one in generators]
    assert found[0] == found[1] != found[2]
    assert call(lambda rng: rng.normal(), np.random.default_rng()) not in (None, *found)


def test_random_arrays_are_the_same_with_a_seed() -> None:
    """Seeds stand in the graph: those that nobody gave are other ones each time."""
    seeded = [da.random.default_rng(3).random(6, chunks=3) for _ in range(2)]
    assert digest(seeded[0]) == digest(seeded[1]) is not None
    assert digest(da.random.random(6, chunks=3)) != digest(da.random.random(6, chunks=3))
    states = [da.random.RandomState(3).normal(size=6, chunks=3) for _ in range(2)]
    assert digest(states[0]) == digest(states[1]) is not None


def test_random_bags_are_the_same_with_a_seed() -> None:
    db = pytest.importorskip("dask.bag")
    whole = db.from_sequence(range(8), npartitions=2)
    seeded = [digest(whole.random_sample(0.5, 3)) for _ in range(2)]
    assert seeded[0] == seeded[1] is not None
    unseeded = [digest(whole.random_sample(0.5)) for _ in range(2)]
    assert None in unseeded or unseeded[0] != unseeded[1]


def test_a_name_by_chance_is_no_reason() -> None:
    found = [digest(dask.delayed(abs)(-3)) for _ in range(2)]
    assert found[0] == found[1] is not None


@pytest.mark.parametrize("is_seeded", [True, False])
def test_samples_of_frames_are_the_same_with_a_seed(is_seeded: bool) -> None:
    dd = pytest.importorskip("dask.dataframe")
    frame = dd.from_pandas(pd.DataFrame({"a": range(8)}), npartitions=2)
    found = [digest(frame.sample(frac=0.5, random_state=3 if is_seeded else None)) for _ in "ab"]
    assert (found[0] == found[1] is not None) is is_seeded


@pytest.mark.parametrize("name", ["store", "to_zarr", "to_parquet", "to_csv", "textfiles", "npy"])
def test_what_writes_has_none(name: str, tmp_path: Any, recwarn: Any) -> None:
    array = da.ones(6, chunks=3)
    path = str(tmp_path / "target")
    if name == "store":
        zarr = pytest.importorskip("zarr")
        target = zarr.open_array(path, mode="w", shape=(6,), chunks=(3,), dtype="f8")
        made = da.store(array, target, compute=False)
    elif name == "to_zarr":
        pytest.importorskip("zarr")
        made = da.to_zarr(array, path, compute=False)
    elif name == "textfiles":
        db = pytest.importorskip("dask.bag")
        made = db.from_sequence("ab").to_textfiles(path, compute=False)[0]
    elif name == "npy":
        made = dask.delayed(np.save)(path, array)
    else:
        dd = pytest.importorskip("dask.dataframe")
        frame = dd.from_pandas(pd.DataFrame({"a": range(8)}), npartitions=2)
        made = getattr(frame, name)(path, compute=False)
        made = made[0] if isinstance(made, list) else made
    assert digest(made) is None
