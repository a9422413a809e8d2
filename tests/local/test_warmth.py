"""The fork server learns what children import, and stays safe to fork from."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from dask_knot.local import warmth
from dask_knot.local.fork import ForkLauncher
from dask_knot.local.origins import installed_folders
from tests.local.conftest import THREADS
from tests.local.desk import Desk, wait_until

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the local engine forks")

Open = Callable[..., Desk]


@pytest.fixture
def open_desk(tmp_path: Path) -> Iterator[Open]:
    opened = []

    def open_with(preload: Sequence[str] = (), **environment: str) -> Desk:
        launcher = ForkLauncher(preload=preload, environment={**THREADS, **environment})
        opened.append(Desk(launcher, tmp_path))
        opened[-1].define()
        return opened[-1]

    yield open_with
    for desk in opened:
        desk.batch.close()


def knows(desk: Desk, module: str) -> bool:
    """Run a child; return whether it found the module imported."""
    return desk.printed(desk.run("knows", module))[0] == "True"


def test_what_a_child_imports_the_next_ones_have(open_desk: Open) -> None:
    desk = open_desk()
    assert not knows(desk, "networkx")
    wait_until(lambda: knows(desk, "networkx"))


def test_the_server_learns_while_a_child_runs_that_never_ends(
    open_desk: Open, tmp_path: Path
) -> None:
    """No child ends, and there is always one: only a moment of quiet lets the server learn."""
    desk = open_desk(["json", "networkx"])
    waits = desk.run("waits", str(tmp_path / "pid"))  # asked for before the server is up
    launcher: Any = desk.launcher
    wait_until(lambda: "networkx" in launcher._learned)
    assert knows(desk, "networkx")
    assert desk.status(waits) == "RUNNING"


def test_the_server_learns_from_a_child_while_others_run(open_desk: Open, tmp_path: Path) -> None:
    desk = open_desk()
    waits = desk.run("waits", str(tmp_path / "pid"))
    wait_until((tmp_path / "pid").exists)
    assert not knows(desk, "networkx")
    wait_until(lambda: knows(desk, "networkx"))
    assert desk.status(waits) == "RUNNING"


def test_pandas_and_what_it_brings_are_known_to_the_next_ones(open_desk: Open) -> None:
    """pyarrow starts a thread when it is imported, one that minds forks."""
    desk = open_desk()
    assert not knows(desk, "pyarrow.dataset")
    wait_until(lambda: knows(desk, "pyarrow.dataset"))


def test_packages_below_a_virtual_environment_are_installed_too(
    open_desk: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = tmp_path / "site-packages"
    below.mkdir()
    (below / "from_below.py").touch()
    monkeypatch.syspath_prepend(str(below))
    desk = open_desk()
    assert not knows(desk, "from_below")
    wait_until(lambda: knows(desk, "from_below"))


def test_the_users_own_modules_are_read_anew(
    open_desk: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text("print('version 1')")
    monkeypatch.syspath_prepend(str(tmp_path))
    desk = open_desk()
    assert desk.printed(desk.run("knows", "mine")) == ["False", "version 1"]
    (tmp_path / "mine.py").write_text("print('version two')")
    assert desk.printed(desk.run("knows", "mine")) == ["False", "version two"]


def test_a_module_with_threads_is_left_to_the_children(
    open_desk: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "threaded.py").write_text(
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    desk = open_desk(["threaded", "numpy"])
    assert not knows(desk, "threaded")
    assert knows(desk, "numpy")


def test_modules_that_can_not_be_imported_are_left_out(open_desk: Open) -> None:
    desk = open_desk(["no_such_module", "numpy.no_such_module", "antigravity.x", "numpy"])
    wait_until(lambda: knows(desk, "numpy"))  # only the first is imported before any child


@pytest.mark.parametrize("threads", ["1", "2"])
def test_libraries_with_threads_of_their_own_work_after_the_fork(
    open_desk: Open, tmp_path: Path, threads: str
) -> None:
    environment = dict.fromkeys(THREADS, threads)
    modules = ["obstore", "numpy", "pandas", "xarray", "distributed"]
    desk = open_desk(modules, **environment)
    assert all(knows(desk, module) for module in modules)
    stored = desk.run("stores", str(tmp_path / "store"), size=4)
    product = desk.run("multiplies", size=4)
    assert desk.end(stored)["status"] == "SUCCEEDED"
    assert desk.end(product)["status"] == "SUCCEEDED"
    assert desk.printed(f"{stored}:3") == ["100000"]
    assert desk.printed(f"{product}:3") == [str(300.0**3)]


def test_installed_modules_are_told_from_others() -> None:
    folders = installed_folders()
    assert os.path.join(sysconfig.get_paths()["purelib"], "") in folders
    names = warmth.new_installed_modules(0)
    assert "pytest" in names
    assert "json" not in names
    assert __name__ not in names
    assert warmth.new_installed_modules(len(sys.modules)) == []


def test_reports_are_whole_lines() -> None:
    reading, writing = os.pipe()
    names = [f"package.module_{number}" for number in range(300)]
    warmth.report(writing, [*names, "x" * 1000])
    os.close(writing)
    with os.fdopen(reading) as pipe:
        assert pipe.read().split() == names


def test_a_full_pipe_is_no_error() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    warmth.report(writing, ["a" * 100] * 10_000)
    os.close(reading)
    os.close(writing)


#: What packages do when they are imported: of a process of its own, each of these differs.
OWN = {
    "random": "import random\nSTATE = random.Random()\ndef tell(): return STATE.random()",
    "shared": "import random\nSTATE = random.getrandbits(64)\ndef tell(): return STATE",
    "generator": "from numpy.random import default_rng as r\nSTATE = r()\n"
    "def tell(): return float(STATE.random())",
    "uuid": "import uuid\nSTATE = str(uuid.uuid4())\ndef tell(): return STATE",
    "secret": "import secrets\nSTATE = secrets.token_hex()\ndef tell(): return STATE",
    "pid": "import os\nSTATE = os.getpid()\ndef tell(): return STATE",
    "folder": "import tempfile\nSTATE = tempfile.mkdtemp()\ndef tell(): return STATE",
}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder of installed packages."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder


def test_what_must_differ_between_processes_does(open_desk: Open, installed: Path) -> None:
    for name, text in OWN.items():
        (installed / f"own_{name}.py").write_text(text)
    (installed / "around_random.py").write_text("from own_random import tell")
    (installed / "harmless.py").write_text("import random\nRESULT = random.__name__")
    names = [f"own_{name}" for name in OWN] + ["around_random"]
    desk = open_desk(["distributed.protocol.numpy", *names, "harmless"])
    wait_until(lambda: knows(desk, "harmless"))  # the last one: all have been looked at
    told = [desk.printed(desk.run("tells", *names)) for _ in range(2)]
    for name, *values in zip(names, *told, strict=True):
        assert len(set(values)) == 2, name


def test_a_module_that_ends_or_changes_the_process_is_left_to_the_children(
    open_desk: Open, installed: Path
) -> None:
    (installed / "ends.py").write_text("import os\nos._exit(3)")
    (installed / "changes.py").write_text("import os\nos.environ['CHANGED'] = 'yes'")
    (installed / "harmless.py").touch()
    desk = open_desk(["distributed.protocol.numpy", "ends", "changes", "harmless"])
    wait_until(lambda: knows(desk, "harmless"))
    assert not knows(desk, "changes")
    job = desk.run("knows", "ends")
    assert desk.end(job)["container"]["exitCode"] == 3


def has_ended(pid: int) -> bool:
    """Tell whether a process is gone, or only remembered."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_nothing_stays_of_imports_that_were_looked_at(
    open_desk: Open, installed: Path, tmp_path: Path
) -> None:
    left, temporary = tmp_path / "left", tmp_path / "temporary"
    temporary.mkdir()
    (installed / "starts.py").write_text(
        "import subprocess, tempfile\n"
        "sleeps = subprocess.Popen(['sleep', '1000'])\n"
        "tempfile.mkdtemp()\n"
        f"open({str(left)!r}, 'a').write(f'{{sleeps.pid}}\\n')"
    )
    (installed / "harmless.py").touch()
    desk = open_desk(["distributed.protocol.numpy", "starts", "harmless"], TMPDIR=str(temporary))
    wait_until(lambda: knows(desk, "harmless"))
    (started,) = map(int, left.read_text().split())
    wait_until(lambda: has_ended(started))
    assert not list(temporary.iterdir())


def test_variables_that_a_shared_import_sets_are_set(open_desk: Open) -> None:
    """joblib sets one for libraries that it loads later."""
    desk = open_desk(["distributed.protocol.numpy", "joblib"])
    wait_until(lambda: knows(desk, "joblib"))
    shown = desk.printed(desk.run("shows", "KMP_INIT_AT_FORK"))
    assert shown == ['{"KMP_INIT_AT_FORK": "FALSE"}']
