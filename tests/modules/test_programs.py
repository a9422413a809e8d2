"""Programs of users, started in all ways, and what they take along: run by a job that has no more.

Each program is a process of its own, as is the one job.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
#: What stands at the end of each program.
SEND = """
import os, pickle, cloudpickle
from dask_knot.modules import OwnModules
from dask_knot.run import bundle
own = OwnModules()
data = b"".join(bundle.encode(own.read(own.look())))
with open(os.environ["KNOT_SENT"], "wb") as file:
    pickle.dump((data, cloudpickle.dumps(task)), file)
"""
JOB = """
import pickle, sys
from dask_knot.job.bundles import own_modules
from dask_knot.run import bundle
found = {}
for name in sys.argv[2:]:
    with open(name, "rb") as file:
        data, sent = pickle.load(file)
    with own_modules(bundle.decode(data)):
        task = pickle.loads(sent)
        found[name] = task()
with open(sys.argv[1], "wb") as file:
    pickle.dump(found, file)
"""


def write(folder: Path, **files: str) -> Path:
    """Write modules into a folder; `_0_` is a slash."""
    for name, text in files.items():
        file = folder / f"{name.replace('_0_', '/')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


def python(*arguments: str | Path, cwd: Path, **variables: str) -> subprocess.Popen[bytes]:
    """Start Python; it finds dask_knot, and no tests."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.Popen(command, cwd=cwd, env=environment | variables)


Started = subprocess.Popen[bytes]


def a_module_of_a_package(folder: Path, sent: str) -> Started:
    task = "from .near import near\ndef task():\n  from .lazy import far\n  return near() + far()\n"
    write(
        folder,
        knot_m_0___init__="",
        knot_m_0_main=task + SEND,
        knot_m_0_near="def near(): return 40\n",
        knot_m_0_lazy="def far(): return 2\n",
    )
    return python("-m", "knot_m.main", cwd=folder, KNOT_SENT=sent)


def a_zipped_app(folder: Path, sent: str) -> Started:
    with zipfile.ZipFile(folder / "app.pyz", "w") as app:
        app.writestr("__main__.py", "def task():\n  from knot_z import f\n  return f()\n" + SEND)
        app.writestr("knot_z.py", "def f(): return 42\n")
    return python(folder / "app.pyz", cwd=Path("/"), KNOT_SENT=sent)


def a_script_from_another_folder(folder: Path, sent: str) -> Started:
    text = "import knot_o\ndef task(): return knot_o.f()\n"
    write(folder, scripts_0_run=text + SEND, scripts_0_knot_o="def f(): return 42\n")
    (folder / "elsewhere").mkdir()
    return python("../scripts/run.py", cwd=folder / "elsewhere", KNOT_SENT=sent)


def a_src_layout(folder: Path, sent: str) -> Started:
    text = "from knot_s.f import f\ndef task(): return f()\n"
    write(folder, run=text + SEND, src_0_knot_s_0_f="def f(): return 42\n")
    path = f"src{os.pathsep}{ROOT}"
    return python("run.py", cwd=folder, KNOT_SENT=sent, PYTHONPATH=path)


def a_pth_file(folder: Path, sent: str) -> Started:
    text = "import site; site.addsitedir('lib')\nimport knot_p\ndef task(): return knot_p.f()\n"
    write(folder, run=text + SEND, code_0_knot_p="def f(): return 42\n")
    (folder / "lib").mkdir()
    (folder / "lib" / "mine.pth").write_text(f"{folder / 'code'}\n")
    return python("run.py", cwd=folder, KNOT_SENT=sent)


def a_test_of_pytest(folder: Path, sent: str) -> Started:
    text = "from knot_t import f\ndef task(): return f()\n"
    body = "".join(f"    {line}\n" for line in SEND.splitlines())
    write(folder, tests_0_conftest="", tests_0_knot_t="def f(): return 42\n")
    write(folder, tests_0_test_knot=f"{text}def test_it():\n{body}")
    return python("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=folder, KNOT_SENT=sent)


def a_command_line(folder: Path, sent: str) -> Started:
    write(folder, knot_c="def f(): return 42\n")
    text = "def task():\n  import knot_c\n  return knot_c.f()\n"
    return python("-c", text + SEND, cwd=folder, KNOT_SENT=sent)


def a_script_that_is_linked(folder: Path, sent: str) -> Started:
    text = "import knot_l\ndef task(): return knot_l.f()\n"
    write(folder, real_0_run=text + SEND, real_0_knot_l="def f(): return 42\n")
    (folder / "link").symlink_to(folder / "real")
    return python("link/run.py", cwd=folder, KNOT_SENT=sent)


def a_script_that_is_a_module_too(folder: Path, sent: str) -> Started:
    text = "import knot_n\nX = 42\ndef task(): return knot_n.f()\n"
    helper = "def f():\n  from knot_run import X\n  return X\n"
    write(folder, knot_run=text + f"if __name__ == '__main__':\n  exec({SEND!r})\n", knot_n=helper)
    return python("knot_run.py", cwd=folder, KNOT_SENT=sent)


def a_prompt_of_ipython(folder: Path, sent: str) -> Started:
    write(folder, knot_i="def f(): return 42\n")
    text = "def task():\n  import knot_i\n  return knot_i.f()\n"
    settings = {"IPYTHONDIR": str(folder / "ipython"), "KNOT_SENT": sent}
    return python("-m", "IPython", "--quick", "-c", text + SEND, cwd=folder, **settings)


WAYS = [
    a_module_of_a_package,
    a_zipped_app,
    a_script_from_another_folder,
    a_src_layout,
    a_pth_file,
    a_test_of_pytest,
    a_command_line,
    a_script_that_is_linked,
    a_script_that_is_a_module_too,
    a_prompt_of_ipython,
]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Start all programs, then one job for the work of all of them."""
    folder = tmp_path_factory.mktemp("programs")
    started = []
    for way in WAYS:
        (folder / way.__name__).mkdir()
        started.append(way(folder / way.__name__, str(folder / f"{way.__name__}.sent")))
    for process in started:
        process.wait()
    names = [str(folder / f"{way.__name__}.sent") for way in WAYS]
    sent = [name for name in names if os.path.exists(name)]
    (folder / "empty").mkdir()
    out = folder / "found"
    python("-c", JOB, out, *sent, cwd=folder / "empty").wait()
    values: dict[str, Any] = pickle.loads(out.read_bytes())
    return {Path(name).stem: value for name, value in values.items()}


@pytest.mark.parametrize("way", WAYS)
def test_a_way_to_start(way: Any, found: dict[str, Any]) -> None:
    assert found.get(way.__name__) == 42
