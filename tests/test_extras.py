"""A plain installation computes here; what needs more says what to install."""

from __future__ import annotations

import ast
import configparser
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import dask_knot
from dask_knot.errors import KnotError, MissingExtraError
from dask_knot.extras import MODULES, USES, extra

ROOT = Path(dask_knot.__file__).parent.parent
#: Begins every Python process, those of jobs too, as if none of the extras were installed.
WITHOUT = f"""\
import sys


class Nothing:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in {sorted(MODULES)!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)


sys.meta_path.insert(0, Nothing)
"""


@pytest.fixture
def without(tmp_path: Path) -> dict[str, str]:
    """Give the environment of a process that has no extra."""
    (tmp_path / "sitecustomize.py").write_text(WITHOUT)
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    return {
        **os.environ,
        "PYTHONPATH": path,
        "XDG_DATA_HOME": str(tmp_path),
        "DASK_KNOT__DASHBOARD_ADDRESS": ":0",
    }


def run(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *words]
    return subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=100
    )


def test_the_local_engine_needs_no_extra(without: dict[str, str]) -> None:
    done = run(without, "examples/pi.py", "--tasks", "4")
    assert done.returncode == 0, done.stderr
    assert "pi ≈ 3.1" in done.stdout


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("up", "aws"),
        ("doctor", "aws"),
        ("policy --user", "aws"),
        ("status", "aws"),
        ("image examples/pi.py", "aws"),
        ("image --local examples/pi.py", "docker"),
    ],
)
def test_a_command_says_which_extra_it_lacks(
    words: str, name: str, without: dict[str, str]
) -> None:
    done = run(without, "-m", "dask", "knot", *words.split())
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    assert f"pip install 'dask_knot[{name}]'" in done.stderr


def bare_imports(body: list[ast.stmt]) -> Iterator[str]:
    """Give what a module imports of the extras at its top, outside of `extra`."""
    for line in body:
        match line:
            case ast.Import():
                yield from (alias.name for alias in line.names)
            case ast.ImportFrom(level=0, module=str(module)):
                yield module
            case ast.Try():
                yield from bare_imports(line.body)


@pytest.mark.parametrize("path", sorted((ROOT / "dask_knot").rglob("*.py")), ids=lambda p: p.stem)
def test_a_module_imports_extras_where_the_lack_is_explained(path: Path) -> None:
    found = bare_imports(ast.parse(path.read_text("utf-8")).body)
    assert not [name for name in found if name.partition(".")[0] in MODULES]


@pytest.mark.parametrize(
    "words", ["--help", "up --help", "runs", "prices", "image --show x.py", "doctor --report"]
)
def test_other_commands_need_no_extra(words: str, without: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text("import dask\n")
    done = run(without, "-m", "dask", "knot", *words.replace("x.py", f"{tmp_path}/x.py").split())
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("engine", "name"), [("aws", "aws"), ("docker", "docker")])
def test_an_engine_says_which_extra_it_lacks(
    engine: str, name: str, without: dict[str, str]
) -> None:
    program = (
        "from dask_knot import KnotCluster\nfrom dask_knot.errors import MissingExtraError\n"
        f"try:\n    KnotCluster(engine={engine!r})\nexcept MissingExtraError as error:\n"
        "    print(error)\n"
    )
    done = run(without, "-c", program)
    assert f"pip install 'dask_knot[{name}]'" in done.stdout, done.stderr


#: What a cluster promises of its dashboard, a line each: the last is what a browser gets.
PROMISES = """\
import urllib.request
from dask.distributed import Client
from dask_knot import KnotCluster

if __name__ == "__main__":
    with KnotCluster() as cluster, Client(cluster) as client:
        for words in (repr(cluster), cluster.dashboard_link, client.dashboard_link):
            print(words)
        for html in (cluster._repr_html_(), client._repr_html_()):
            print(html.replace("\\n", " "))
        port = cluster.scheduler.http_server.port
        print(urllib.request.urlopen(f"http://127.0.0.1:{port}/status").read().decode())
"""


def test_without_the_dashboard_each_place_says_how_to_install_it(
    without: dict[str, str], tmp_path: Path
) -> None:
    site = tmp_path / "sitecustomize.py"
    site.write_text(site.read_text().replace("in [", "in ['bokeh', "))
    (tmp_path / "promises.py").write_text(PROMISES)
    done = run(without, str(tmp_path / "promises.py"))
    lines = done.stdout.splitlines()
    assert len(lines) == 6, done.stdout + done.stderr
    for line in lines:
        assert "the dashboard isn't installed: pip install 'dask_knot[dashboard]'" in line
        assert "href" not in line, "a link would be dead"
    assert not done.stderr


def test_importing_the_package_imports_no_extra() -> None:
    program = "import sys, dask_knot, dask_knot.cli; print(*sys.modules)"
    done = run(dict(os.environ), "-c", program)
    modules = {name.partition(".")[0] for name in done.stdout.split()}
    assert "dask_knot" in modules
    assert not modules & MODULES.keys()


def test_what_is_missing_beside_the_extras_is_not_taken_for_one() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_module") as caught, extra():
        import no_such_module  # type: ignore[import-not-found]  # noqa: F401
    assert not isinstance(caught.value, KnotError)


def test_the_error_is_an_import_error_too() -> None:
    with pytest.raises(ImportError) as caught, extra():
        raise ModuleNotFoundError("No module named 'boto3.session'", name="boto3.session")
    assert isinstance(caught.value, MissingExtraError)


def declared() -> dict[str, list[Requirement]]:
    """Give the lines of setup.cfg: of a plain installation, and of each extra."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    lines = {"": config["options"]["install_requires"], **config["options.extras_require"]}
    return {
        name: [Requirement(line) for line in text.split("\n") if line]
        for name, text in lines.items()
    }


def extras() -> dict[str, set[str]]:
    """Give the names of the packages that each extra brings; those of none without a name."""
    lines = declared()
    return {name: {canonicalize_name(one.name) for one in lines[name]} for name in lines}


def test_an_extra_brings_what_is_imported_for_it() -> None:
    brought = extras()
    for module in MODULES.keys() - {"s3transfer"}:  # comes with boto3
        assert module in brought[MODULES[module]] - brought[""]
    assert USES.keys() <= brought.keys()


def test_the_tests_have_all_extras_that_they_need() -> None:
    brought = extras()
    assert brought["aws"] | brought["docker"] | brought["dashboard"] - {"jinja2"} <= brought["test"]


def test_no_line_excludes_a_newer_release() -> None:
    """Else an installation would take down what is there: Jupyter, or somebody's numpy."""
    operators = {
        (one.name, part.operator)
        for lines in declared().values()
        for one in lines
        for part in one.specifier
        if part.operator != ">="
    }
    assert operators == set()


def test_a_plain_installation_is_small() -> None:
    names = extras()[""]
    assert len(names) < 13
    assert not names & {"numpy", "pandas", "bokeh", "ipython", "jupyter", "boto3", "docker"}


def test_the_readmes_commands_install_what_they_use() -> None:
    """π is computed with the dashboard that it names, and tests with all extras."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    first, second = re.findall(r"^.*pip install.*--editable '\.\[(.*?)\]' &&.*$", text, re.M)
    brought = extras()
    installed = set().union(*(brought[name] for name in first.split(",")))
    assert installed >= {"numpy", "bokeh"}
    everything = brought["aws"] | brought["docker"] | {"bokeh"}
    assert set().union(*(brought[name] for name in second.split(","))) >= everything
