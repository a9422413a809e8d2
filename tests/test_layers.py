"""Which room may know of what: read from the imports, held for every file."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dask_knot import errors
from dask_knot.errors import KnotError

PACKAGE = Path(errors.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))

#: Whose process a room's lines run in: which rooms it may import. A room imports only rooms that
#: stand above it here, so that there is no circle. Files beside the rooms are rooms, too.
ROOMS = {
    "errors": "",
    "plural": "",
    "collector": "",
    # What outlives every process, and the contract of client and job.
    "run": "errors",
    "settings": "errors run",
    # Pure: data in, data out.
    "planning": "errors plural",
    "tracking": "errors planning run",
    # In a pickle: from the client to the job.
    "task": "errors run",
    # In the job.
    "job": "errors collector run task",
    # In the client.
    "graphs": "errors collector run settings planning tracking task",
    "batch": "errors plural run planning tracking",
    "local": "errors plural run settings planning batch",
    "image": "errors run settings",
    "aws": "errors plural run settings planning batch image",
    "session": "errors plural collector run settings planning tracking graphs batch local image "
    "aws",
    "dashboard": "errors plural run planning tracking session",
    "cluster": "errors plural run settings planning tracking graphs batch session dashboard",
    "cli": "errors plural run settings image aws",
    "zarr": "errors run settings aws",
    "__init__": "settings cluster dashboard",
}
#: What nobody but these may know at all.
PURE_ROOMS = ("plural", "planning", "tracking")


def room_of(name: str) -> str:
    """Name the room of a file of the package, or of a module."""
    return name.removeprefix("dask_knot.").partition(".")[0]


def room(file: Path) -> str:
    """Name the room that a file is in."""
    return file.relative_to(PACKAGE).with_suffix("").parts[0]


PURE = [file for file in FILES if room(file) in PURE_ROOMS]
#: Clocks, files, networks, threads, processes and the environment.
IMPURE = [
    "time",
    "datetime",
    "os",
    "sys",
    "socket",
    "ssl",
    "asyncio",
    "threading",
    "_thread",
    "concurrent",
    "multiprocessing",
    "pathlib",
    "io",
    "tempfile",
    "shutil",
    "subprocess",
    "signal",
    "random",
    "secrets",
    "uuid",
    "urllib",
    "http",
    "boto3",
    "botocore",
    "obstore",
    "distributed",
    "dask.config",
    "dask.system",
    "psutil",
    "yaml",
]
#: What the tracker may know of a run: names, and what is in manifests.
STORE = ("dask_knot.run.names", "dask_knot.run.manifest")
OWN = ("dask_knot.planning", "dask_knot.tracking", "dask_knot.errors", "dask_knot.plural")


def imported(file: Path) -> Iterator[str]:
    """Name everything that a file imports, wherever in the file it stands."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports here are absolute"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_of(file: Path) -> str:
    """Name the module that a file is."""
    parts = ("dask_knot", *file.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(part for part in parts if part != "__init__")


MODULES = {module_of(file) for file in FILES}


def modules_of(file: Path) -> Iterator[str]:
    """Name the modules of the package that a file imports."""
    for name in imported(file):
        found = name if name in MODULES else name.rpartition(".")[0]
        if found in MODULES and found not in (module_of(file), "dask_knot"):
            yield found


def is_below(name: str, modules: tuple[str, ...] | list[str]) -> bool:
    """Tell whether a name is one of the modules, or in one."""
    return any(f"{name}.".startswith(f"{module}.") for module in modules)


def label(file: Path) -> str:
    return str(file.relative_to(PACKAGE))


def test_there_are_pure_rooms() -> None:
    assert len(PURE) > 15


@pytest.mark.parametrize("file", PURE, ids=label)
def test_pure_rooms_know_no_clock_file_or_network(file: Path) -> None:
    names = list(imported(file))
    assert [name for name in names if is_below(name, IMPURE)] == []
    own = [name for name in names if is_below(name, ["dask_knot"])]
    allowed = OWN + (STORE if file.parent.name == "tracking" else ())
    assert [name for name in own if not is_below(name, allowed)] == []


def test_the_planner_knows_nothing_of_the_tracker() -> None:
    names = {name for file in PURE if file.parent.name == "planning" for name in imported(file)}
    assert not [name for name in names if is_below(name, ["dask_knot.tracking"])]


@pytest.mark.parametrize("file", FILES, ids=label)
def test_a_room_imports_what_its_line_in_the_table_says(file: Path) -> None:
    own = {room_of(name) for name in imported(file) if name.startswith("dask_knot.")}
    assert own - {room(file)} <= set(ROOMS[room(file)].split())


def test_the_table_has_no_circle_and_no_line_too_many() -> None:
    assert set(ROOMS) == {room(file) for file in FILES}
    above: set[str] = set()
    for name, below in ROOMS.items():
        assert set(below.split()) <= above, name
        above.add(name)


def test_no_two_files_import_each_other() -> None:
    graph = {module_of(file): set(modules_of(file)) for file in FILES}
    while leaves := {name for name, below in graph.items() if not below & graph.keys()}:
        graph = {name: below for name, below in graph.items() if name not in leaves}
    assert not graph


@pytest.mark.parametrize("name", ["time", "dask.config.get", "os.environ", "distributed.Client"])
def test_the_test_would_notice(name: str, tmp_path: Path) -> None:
    file = tmp_path / "file.py"
    module, _, attribute = name.rpartition(".")
    statement = f"from {module} import {attribute}" if module else f"import {name}"
    file.write_text(f"def f():\n    {statement}\n")
    (found,) = imported(file)
    assert is_below(found, IMPURE)


@pytest.mark.parametrize("file", FILES, ids=label)
def test_only_one_room_knows_boto3(file: Path) -> None:
    if "aws" not in file.relative_to(PACKAGE).parts:
        assert not [name for name in imported(file) if is_below(name, ["boto3"])]


@pytest.mark.parametrize("file", FILES, ids=label)
def test_bokeh_stays_optional(file: Path) -> None:
    """It is imported when there is a dashboard, by `show`, and by nothing else."""
    pages = {"page.py", "charts.py"}
    inside = room(file) == "dashboard" and file.name in {*pages, "show.py"}
    names = [
        "bokeh",
        "distributed.dashboard",
        "dask_knot.dashboard.page",
        "dask_knot.dashboard.charts",
    ]
    found = [name for name in imported(file) if is_below(name, names)]
    assert not found or inside
    at_once = [
        node for node in ast.parse(file.read_text()).body if isinstance(node, ast.ImportFrom)
    ]
    assert file.name in pages or not any(is_below(str(node.module), names) for node in at_once)


@pytest.mark.parametrize("file", FILES, ids=label)
def test_only_one_file_a_side_knows_private_names_of_distributed(file: Path) -> None:
    private = [name for name in imported(file) if re.match(r"distributed\..*\b_", name)]
    assert not private or label(file) in ("graphs/opening.py", "task/context.py")  # client, job


@pytest.mark.parametrize("file", FILES, ids=label)
def test_every_file_says_what_its_room_is(file: Path) -> None:
    text = file.read_text()
    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) <= 300


def test_every_exception_is_in_the_tree() -> None:
    kinds = {
        name: kind
        for name, kind in vars(errors).items()
        if inspect.isclass(kind) and issubclass(kind, BaseException)
    }
    assert sorted(kinds) == sorted(errors.__all__) == errors.__all__
    assert all(issubclass(kind, KnotError) for kind in kinds.values())
    assert errors.__doc__ is not None
    drawn = re.findall(r"^[│ ├└─]*(\w+Error)\b", errors.__doc__, re.MULTILINE)
    assert sorted(drawn) == errors.__all__


def test_the_tree_is_drawn_as_it_is() -> None:
    assert errors.__doc__ is not None
    above: list[str] = []
    for line in errors.__doc__.splitlines():
        match = re.match(r"([│ ├└─]*)(\w+Error)\b(?: \((\w+)\))?", line)
        if match is None:
            continue
        branches, name, builtin = match.groups()
        depth = len(branches) // 4
        kind = getattr(errors, name)
        bases = {base.__name__ for base in kind.__bases__}
        expected = {above[depth - 1] if depth else "Exception"} | ({builtin} if builtin else set())
        assert bases == expected, name
        above[depth:] = [name]
    assert len(above) > 1


@pytest.mark.parametrize("file", FILES, ids=label)
def test_every_error_that_is_raised_by_name_is_ours_or_translated(file: Path) -> None:
    """Files that raise a bare Exception tell nobody what to catch."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            called = node.exc.func
            assert not (isinstance(called, ast.Name) and called.id in ("Exception", "RuntimeError"))
