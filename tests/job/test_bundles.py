"""A job imports the user's own modules from their bundle, before its tasks are unpickled."""

from __future__ import annotations

import importlib
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import pytest

from dask_knot.errors import MissingObjectError, NotLoadedError
from dask_knot.job import program as job
from dask_knot.job.bundles import extended, own_modules
from dask_knot.run import exits
from dask_knot.run.bundle import Bundle, BundledFile, PathEntry, Precedence, built_for
from dask_knot.run.names import ShardId
from dask_knot.run.work import Options

from .runs import FIRST, Rehearsal, shard, task

ID = ShardId(FIRST, 0)
ENTRY = PathEntry("0", Precedence.PYTHON)
SOURCE = b"from pathlib import Path\ndef where(x): return x, str(Path(__file__).parent)\n"


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget what jobs import."""
    modules = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in set(sys.modules) - modules:
        if name.startswith("knot_own_"):
            del sys.modules[name]


@pytest.fixture
def where(tmp_path: Path) -> Any:
    """Give a function of a module that nobody but the client has."""
    (tmp_path / "knot_own_a.py").write_bytes(SOURCE)
    sys.path.insert(0, str(tmp_path))
    found = importlib.import_module("knot_own_a").where
    sys.path.remove(str(tmp_path))
    return found


def publish(run: Rehearsal, *files: BundledFile, platform: str = "") -> str:
    return run.supplies.publish_bundle(Bundle([ENTRY], files, platform))


OWN = BundledFile("0/knot_own_a.py", SOURCE)


@pytest.mark.parametrize("options", [Options(), Options(cores=2, processes=True)])
def test_a_task_is_of_a_module_of_the_users(run: Rehearsal, where: Any, options: Options) -> None:
    content = shard([task(key, where, key) for key in "xy"], options=options)
    run.write_pack(FIRST, [content], bundle=publish(run, OWN))
    del sys.modules["knot_own_a"]
    before = list(sys.path)
    run.start(ID)
    found = run.read(content, ID)
    assert {found[key][0] for key in "xy"} == {"x", "y"}
    folder = Path(found["x"][1])
    assert folder.name == "0"
    assert not folder.exists()
    assert sys.path == before


def test_without_a_bundle_nothing_is_asked_for(run: Rehearsal) -> None:
    content = shard([task("x", int, 1)])
    run.write(content)
    before = run.store.requests["get"]
    run.start(ID)
    without = run.store.requests["get"] - before
    run.write_pack(FIRST, [content], bundle=publish(run, OWN))
    before = run.store.requests["get"]
    run.start(ID)
    # One for the bundle, and one for the manifest that is there already.
    assert run.store.requests["get"] - before == without + 2


def test_a_bundle_that_is_gone(run: Rehearsal) -> None:
    digest = publish(run, OWN)
    run.write_pack(FIRST, [shard([task("x", int, 1)])], bundle=digest)
    run.delete([run.names.bundle(digest)])
    with pytest.raises(MissingObjectError, match="bundles"):
        run.start(ID)


def test_no_room_for_it(
    run: Rehearsal,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    run.write_pack(FIRST, [shard([task("x", int, 1)])], bundle=publish(run, OWN))
    with dask.config.set({"temporary-directory": str(tmp_path / "nowhere")}):
        assert job.main([run.url_of(FIRST)], {}) == exits.NOT_LOADED
    assert "can't store your own modules" in capsys.readouterr().err
    file, below = BundledFile("0/a", b""), BundledFile("0/a/b", b"")
    with (
        pytest.raises(NotLoadedError, match="can't store your own modules"),
        own_modules(Bundle([ENTRY], [file, below])),
    ):
        pass


@pytest.mark.parametrize("is_same", [True, False])
def test_what_was_compiled_elsewhere_is_left_out(
    capsys: pytest.CaptureFixture[str], is_same: bool
) -> None:
    files = [OWN, BundledFile("0/knot_own_c.so", b"\0")]
    with own_modules(Bundle([ENTRY], files, built_for() if is_same else "darwin arm64")):
        (folder,) = [Path(one) for one in sys.path if "dask-knot-modules" in one]
        names = {file.name for file in folder.iterdir()}
    said = capsys.readouterr().err
    assert ("knot_own_c.so" in names) == is_same
    assert ("knot_own_c.so: built for darwin arm64" in said) != is_same


@pytest.mark.parametrize(
    ("path", "entries", "expected"),
    [
        (["", "lib"], [("0", "python")], ["F/0", "", "lib"]),
        (
            ["lib", "lib/site-packages", "x"],
            [("0", "installed")],
            ["lib", "F/0", "lib/site-packages", "x"],
        ),
        (
            ["lib"],
            [("0", "nothing"), ("1", "python"), ("2", "nothing")],
            ["F/1", "lib", "F/0", "F/2"],
        ),
        (["lib"], [("0", "installed")], ["lib", "F/0"]),
        (["lib"], [("0", "python", "app.zip/deep")], ["F/0/app.zip/deep", "lib"]),
    ],
)
def test_the_place_on_the_import_path(
    path: list[str], entries: list[tuple[str, ...]], expected: list[str]
) -> None:
    made = [PathEntry(one[0], Precedence(one[1]), *one[2:]) for one in entries]
    assert extended(path, made, Path("F")) == expected


def test_pickles_are_by_name(where: Any) -> None:
    assert SOURCE.splitlines()[0] not in pickle.dumps(where)
