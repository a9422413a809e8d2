"""Which room may know of what: read from the imports, held for every file."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import dask_knot
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
    "extras": "errors",
    # What Dask doesn't promise.
    "internals": "collector",
    # What outlives every process, and the contract of client and job.
    "run": "errors collector internals",
    "settings": "errors run",
    # Pure: data in, data out.
    "planning": "errors plural",
    "tracking": "errors plural planning run",
    # Dollars: pure, but for the file of prices.
    "prices": "errors plural run settings planning",
    # Pure: what work will take, from a few of its tasks.
    "estimates": "errors plural planning prices",
    # In a pickle: from the client to the job.
    "task": "errors internals run",
    # In the job.
    "job": "errors collector internals run task",
    # In the client.
    "batch": "errors plural run planning tracking",
    "environment": "errors run settings",
    "image": "errors extras run settings environment",
    "local": "errors extras plural internals run settings planning batch environment image",
    "aws": "errors extras plural run settings planning prices batch environment image",
    "report": "errors settings environment image aws",
    # Files in S3 are asked for their marks with the session's credentials.
    "digests": "errors internals run settings aws",
    # Of the user's own.
    "modules": "errors run environment",
    "graphs": "errors collector internals run settings planning tracking task digests estimates",
    # What people ask of a run without a session.
    "runs": "errors plural run settings planning tracking prices batch digests aws",
    "session": "errors plural collector internals run settings planning tracking prices "
    "estimates digests modules graphs batch local environment image aws runs",
    "dashboard": "errors plural run planning tracking prices batch session",
    "cluster": "errors plural collector internals run settings planning tracking estimates "
    "digests graphs batch runs session dashboard",
    # The interface of the Cloudknot paper.
    "knot": "errors plural collector internals run settings planning tracking prices estimates "
    "digests graphs task batch runs session dashboard",
    "cli": "errors plural run settings planning prices batch environment image aws runs cluster "
    "report",
    "zarr": "errors extras run settings aws",
    "__init__": "settings cluster dashboard knot",
}
#: What nobody but these may know at all.
PURE_ROOMS = ("plural", "planning", "tracking", "estimates")


#: Rooms of which most files are.
EDGED = ("run", "digests", "graphs")
#: Files of other rooms that are as pure.
PURE_FILES = [
    *(f"batch/{name}.py" for name in ("diagnosis", "endings", "limits", "request")),
    "batch/rules.py",
    *(f"local/{name}.py" for name in ("capacity", "definitions", "descriptions", "jobgraph")),
    *(f"report/{name}.py" for name in ("facts", "redaction", "text")),
    *("local/jobs.py", "local/lanes.py", "runs/keys.py"),
    *("runs/costing.py", "runs/attendance.py", "runs/progression.py", "runs/state.py"),
    *(f"prices/{name}.py" for name in ("attempt", "bill", "budget", "money", "offers")),
    *(f"prices/{name}.py" for name in ("plancost", "tariff")),
]
#: What the fork server is made of: whatever it imports is in every job, and a thread would end it.
FORK_SERVER = (
    "boot",
    "child",
    "fitness",
    "forkserver",
    "groups",
    "origins",
    "spares",
    "warmth",
    "wire",
)


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
STORE = tuple(f"dask_knot.run.{name}" for name in ("names", "manifest", "record", "orders"))
#: What a pure room may know beside the others: of prices only what is pure as well.
BESIDE = {
    "tracking": STORE,
    "estimates": (
        "dask_knot.estimates",
        *(f"dask_knot.prices.{name}" for name in ("money", "offers", "pricelist", "tariff")),
    ),
}
OWN = ("dask_knot.planning", "dask_knot.tracking", "dask_knot.errors", "dask_knot.plural")


@cache
def parsed(file: Path) -> ast.Module:
    """Read a file once for all rules."""
    return ast.parse(file.read_text())


@cache
def imported(file: Path) -> tuple[str, ...]:
    """Name everything that a file imports, wherever in the file it stands."""
    return tuple(_imported(file))


def _imported(file: Path) -> Iterator[str]:
    for node in ast.walk(parsed(file)):
        yield from names_in(node)


def names_in(node: ast.AST) -> Iterator[str]:
    """Name what a statement imports, if it is one that does."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports here are absolute"
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


def test_pure_rooms_know_no_clock_file_or_network() -> None:
    wrong = []
    for file in PURE:
        allowed = OWN + BESIDE.get(file.parent.name, ())
        for name in imported(file):
            is_strange = is_below(name, ["dask_knot"]) and not is_below(name, allowed)
            if is_strange or is_below(name, IMPURE):
                wrong.append(f"{label(file)}: {name}")
    assert wrong == []


@pytest.mark.parametrize("name", PURE_FILES)
def test_pure_files_know_no_clock_file_or_network(name: str) -> None:
    assert not [one for one in imported(PACKAGE / name) if is_below(one, IMPURE)]


#: Rooms that are pure but for some files: what each of those knows of the world, and why.
EDGES = {
    "digests/arrays.py": ("sys", "looks up whether a library is in use"),
    "digests/code.py": ("sys", "looks up modules; reads those that are compiled"),
    "digests/bytecode.py": ("sys", "knows which Python wrote what it reads"),
    "digests/data.py": ("os sys", "reads compiled modules; looks for files beside modules"),
    "digests/patches.py": ("sys", "looks up whether a library is in use"),
    "digests/environment.py": ("os pathlib sys urllib", "looks at what is installed here"),
    "digests/texts.py": ("os pathlib sys", "looks at the files of modules that are loaded"),
    "digests/moduletext.py": ("pathlib", "reads the source of a module"),
    "digests/files.py": ("os pathlib time urllib", "looks at files, and at the clock"),
    "digests/objects.py": ("dask_knot.settings", "asks S3 as the session of AWS would"),
    "digests/places.py": ("os", "reads names of files"),
    "digests/readers.py": ("os sys", "reads names of files; numpy if it is in use"),
    "digests/zarrs.py": ("os", "reads names of files"),
    "digests/plain.py": ("os", "reads names of files"),
    "digests/impurity.py": ("os random sys", "knows what is impure when it sees it"),
    "digests/values.py": ("datetime os", "kinds of values"),
    "graphs/compaction.py": ("distributed", "packs a graph as a client of Dask does"),
    "graphs/functions.py": ("sys", "looks up the module of a function"),
    "graphs/liveness.py": ("distributed io", "knows the kinds that need a live worker; buffers"),
    "graphs/materialization.py": (
        "dask.config sys",
        "keeps Dask from fusing, for as long as it makes the tasks; locks of old Pythons",
    ),
    "graphs/mutability.py": (
        "datetime pathlib sys uuid",
        "kinds of values that never change",
    ),
    "graphs/needs.py": ("dask_knot.settings os", "words for a wrong value; texts of paths"),
    "graphs/extents.py": ("os pathlib", "looks how large the files are that tasks name"),
    "graphs/opening.py": ("distributed", "unpacks what a client of Dask has sent"),
    "graphs/shuffles.py": ("dask.config", "asks in how many branches dataframes are shuffled"),
    "graphs/weights.py": ("sys", "looks up whether numpy is in use"),
    "run/archive.py": ("uuid", "tells sessions apart that say nothing of themselves"),
    "run/address.py": ("urllib", "takes URLs apart"),
    "run/access.py": ("pathlib", "looks whether a folder is there"),
    "run/codec.py": ("distributed", "Dask's own way to pickle"),
    "run/doorbell.py": ("os pathlib sys tempfile threading", "listens at folders"),
    "run/downlink.py": ("threading", "many threads ask a store"),
    "run/exits.py": ("concurrent", "a kind of exception"),
    "run/failure.py": (
        "asyncio dask.config distributed os pathlib sys",
        "describes an exception as Dask does, up to the length that it allows; paths of callers",
    ),
    "run/folder.py": ("os pathlib urllib", "makes a folder of a URL"),
    "run/firstlook.py": (
        "datetime obstore os urllib",
        "asks a store once; variables that name region, endpoint and credentials",
    ),
    "run/frames.py": ("dask.config os pathlib", "Dask's own setting; paths of frames"),
    "run/headroom.py": ("pathlib", "reads what the kernel says of memory"),
    "run/mapping.py": ("os psutil", "maps files, and looks which file systems there are"),
    "run/objectfiles.py": ("io os pathlib shutil", "reads, maps and removes files"),
    "run/opening.py": (
        "datetime obstore os pathlib urllib",
        "opens stores, at the endpoint ",
    ),
    "run/outbox.py": ("concurrent threading", "sends beside the tasks"),
    "run/patience.py": ("threading time", "waits; its clock can be given"),
    "run/pickling.py": ("io sys", "buffers; looks up whether numpy is in use"),
    "run/receiving.py": (
        "concurrent obstore threading time",
        "receives, and looks how long it took",
    ),
    "run/run.py": ("time", "the clock of its patience, which can be given"),
    "run/scripts.py": ("distributed sys threading uuid", "knows the script that is run here"),
    "run/sending.py": ("datetime obstore threading time", "sends, and looks how long it took"),
    "run/sharedmemory.py": ("os pathlib", "looks for room, and for files"),
    "run/store.py": ("obstore os", "reads and writes objects"),
    "run/terms.py": ("threading", "many threads write to a store"),
    "run/unnamed.py": ("os", "writes files"),
    "run/uploads.py": ("obstore", "kinds of exceptions"),
    "run/uplink.py": ("threading", "many threads write to a store"),
    "run/traffic.py": ("threading", "many threads ask a store"),
    "run/trace.py": (
        "os pathlib signal sys time",
        "tells what a process does, and asks others of this machine",
    ),
    "run/trouble.py": ("obstore", "kinds of exceptions"),
    "run/versions.py": ("sys", "the version of Python, and the command line"),
}


def known_of_the_world(file: Path) -> set[str]:
    """Name what a file has of clocks, networks, configuration ..., under the names that count."""
    uses = [ast.unparse(node) for node in ast.walk(parsed(file)) if isinstance(node, ast.Attribute)]
    names = [*imported(file), *(use for use in uses if use in ("dask.config", "dask.system"))]
    kinds = [*IMPURE, "dask_knot.settings"]
    return {kind for kind in kinds if any(is_below(name, [kind]) for name in names)}


def test_runs_and_graphs_are_pure_but_for_their_edges() -> None:
    """A file that isn't listed is pure; one that is knows just what its line says."""
    known = {label(file): known_of_the_world(file) for file in FILES if room(file) in EDGED}
    expected = {name: {*EDGES[name][0].split()} if name in EDGES else set() for name in known}
    assert known == expected
    assert {*EDGES} <= {*known}
    pure = [*PURE, *(PACKAGE / name for name in PURE_FILES)]
    assert [label(file) for file in pure if known_of_the_world(file)] == []


@pytest.mark.parametrize("name", FORK_SERVER)
def test_the_fork_server_imports_the_standard_library_only(name: str) -> None:
    """A child may import what the server has imported for it, inside a function."""
    own = tuple(f"dask_knot.local.{each}" for each in FORK_SERVER)
    at_once = ast.parse((PACKAGE / "local" / f"{name}.py").read_text()).body
    for one in (name for node in at_once for name in names_in(node)):
        assert is_below(one, own) or one.partition(".")[0] in sys.stdlib_module_names


def test_the_planner_knows_nothing_of_the_tracker() -> None:
    names = {name for file in PURE if file.parent.name == "planning" for name in imported(file)}
    assert not [name for name in names if is_below(name, ["dask_knot.tracking"])]


def test_a_room_imports_what_its_line_in_the_table_says() -> None:
    wrong = []
    for file in FILES:
        own = {room_of(name) for name in imported(file) if name.startswith("dask_knot.")}
        strange = own - {room(file), *ROOMS[room(file)].split()}
        wrong += [f"{label(file)}: {name}" for name in sorted(strange)]
    assert wrong == []


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


def test_only_one_room_knows_boto3() -> None:
    others = [file for file in FILES if "aws" not in file.relative_to(PACKAGE).parts]
    knowing = [file for file in others if any(is_below(n, ["boto3"]) for n in imported(file))]
    assert knowing == []


#: What opens stores; whoever calls it makes a `Run` of what it gets.
OPENERS = (
    "aws/engine.py",
    "job/practice.py",  # one in memory, for itself
    "local/engine.py",
    "runs/depot.py",
    "session/engines.py",
)
#: What others than `run/` may know of names: ids, and for the pure tracker what they stand for.
IDS = (
    *("ManifestId", "RUN_NAME", "ShardId", "StageId", "first_plan", "session_of"),
    *("parse_shard", "parse_stage", "plan_name", "plan_number", "TWIN"),
)
#: Folders of a run.
FOLDERS = re.compile(
    r"(^|/)(packs|manifests|data|scattered|constants|orders|claims|sessions|plugins|beats|log|jobs|why|"
    r"published|profiles|asks|answers|vitals|bundles)/",
    re.ASCII,
)


def functions(tree: ast.AST) -> Iterator[tuple[str, dict[str, str]]]:
    """Name all functions, those of classes with them; and annotations of their parameters."""
    for node in ast.walk(tree):
        owner = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
        for one in ast.iter_child_nodes(node):
            if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
                taken = (*one.args.posonlyargs, *one.args.args, *one.args.kwonlyargs)
                noted = {arg.arg: ast.unparse(arg.annotation) for arg in taken if arg.annotation}
                yield f"{owner}{one.name}", noted


def takes_a_pair(parameters: dict[str, str]) -> bool:
    """Tell whether a function takes a store and the name of a run side by side."""
    has_store = any(re.search(r"\bStore\b", annotation) for annotation in parameters.values())
    return has_store and bool({"run", "run_name", "name"} & parameters.keys())


def test_only_a_run_is_made_of_a_store_and_a_name() -> None:
    taking = [
        (label(file), name)
        for file in FILES
        for name, parameters in functions(parsed(file))
        if takes_a_pair(parameters)
    ]
    assert taking == [("run/run.py", "Run.__init__")]


def test_the_test_of_pairs_would_notice() -> None:
    text = "class A:\n    async def f(self, *, store: Store | None, run: str) -> None: ..."
    ((name, parameters),) = functions(ast.parse(text))
    assert name == "A.f"
    assert takes_a_pair(parameters)


def test_only_what_opens_a_store_knows_one() -> None:
    knowing = {
        label(file)
        for file in FILES
        if room(file) != "run"
        for name in imported(file)
        if is_below(name, ["dask_knot.run.store"])
    }
    assert knowing == {*OPENERS}


def test_only_a_run_knows_what_its_objects_are_called() -> None:
    wrong = []
    for file in FILES:
        if room(file) == "run":
            continue
        known = ("Names", *IDS) if room(file) == "tracking" else IDS
        allowed = [f"dask_knot.run.names.{name}" for name in known]
        names = [name for name in imported(file) if is_below(name, ["dask_knot.run.names"])]
        wrong += [f"{label(file)}: {name}" for name in names if name not in allowed]
        texts = [node.value for node in ast.walk(parsed(file)) if isinstance(node, ast.Constant)]
        found = [text for text in texts if isinstance(text, str) and FOLDERS.search(text)]
        wrong += [f"{label(file)}: {text}" for text in found]
    assert wrong == []


def test_jobs_and_clients_do_not_know_each_other() -> None:
    """They meet in the run: each may be of another day, and on another machine."""
    client = {"graphs", "tracking", "session", "dashboard", "cluster"}
    for file in FILES:
        own = {room_of(name) for name in imported(file) if name.startswith("dask_knot.")}
        assert not (room(file) == "job" and own & client), file
        assert not (room(file) != "job" and "job" in own), file


#: Modules that are named in texts, of rooms that the naming file may not import: with the reason.
NAMED = {
    # Another process runs it.
    ("batch/request.py", "dask_knot.job"),
    ("batch/service.py", "dask_knot.job"),
    ("batch/twins.py", "dask_knot.job"),
    ("image/dockerfile.py", "dask_knot.job"),
    # The server that forks jobs imports them once for all, and doesn't use them.
    ("local/engine.py", "dask_knot.job.__main__"),
    ("local/engine.py", "dask_knot.job.practice"),
    ("local/engine.py", "dask_knot.cluster.cluster"),
}
MODULE_NAME = re.compile(r"\bdask_knot(?:\.[A-Za-z_]\w*)+", re.ASCII)


def named_in_texts(tree: ast.AST) -> Iterator[str]:
    """Name the modules of ours that stand in texts, but for those of docstrings."""
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield from MODULE_NAME.findall(node.value)


def test_modules_in_texts_are_there_and_known() -> None:
    """They are dependencies that no import shows."""
    public = {f"dask_knot.{name}" for name in dask_knot.__all__}  # words for users
    named = {(file, name) for file in FILES for name in named_in_texts(parsed(file))}
    named = {(file, name) for file, name in named if name not in public}
    assert {name for _, name in named} <= MODULES
    upward = {
        (label(file), name)
        for file, name in named
        if room_of(name) not in (room(file), *ROOMS[room(file)].split())
    }
    assert upward == NAMED


@pytest.mark.parametrize(
    "line",
    [
        "NAMES = ('dask_knot.job', 'numpy')",
        "def f(): return 'python -c \"import dask_knot.job\"'",
        "def f(code): return f'import dask_knot.job; {code}'",
    ],
)
def test_modules_in_texts_would_be_noticed(line: str) -> None:
    assert [*named_in_texts(ast.parse(line))] == ["dask_knot.job"]
    assert [*named_in_texts(ast.parse("'''See dask_knot.job.'''"))] == []


def test_bokeh_stays_optional() -> None:
    """It is imported when there is a dashboard, by `views`, and by nothing else."""
    pages = {"page.py", "parts.py", "charts.py"}
    names = [
        "bokeh",
        "distributed.dashboard",
        "dask_knot.dashboard.page",
        "dask_knot.dashboard.parts",
        "dask_knot.dashboard.charts",
    ]
    for file in FILES:
        inside = room(file) == "dashboard" and file.name in {*pages, "views.py"}
        found = [name for name in imported(file) if is_below(name, names)]
        assert not found or inside, file
        at_once = [node for node in parsed(file).body if isinstance(node, ast.ImportFrom)]
        is_at_once = any(is_below(str(node.module), names) for node in at_once)
        assert file.name in pages or not is_at_once, file


#: The one room that uses what Dask's documentation doesn't promise.
INTERNALS = PACKAGE / "internals"
#: Private names of others than Dask, by file; those of the standard library are seen by themselves.
NOT_OF_DASK = {
    "_args": "graphs/liveness.py",  # of xarray: the path that a file manager opens
    "_mask": "run/pickling.py",  # of numpy: masked arrays, as their own pickling gives them
    "_fill_value": "run/pickling.py",
    "_hardmask": "run/pickling.py",
    "_session": "aws/credentials.py",  # of boto3: the session of botocore that it is made of
    "_prompter": "aws/credentials.py",  # of botocore: what asks for a code of MFA
    "_expiry_time": "aws/credentials.py",  # of botocore: when credentials end
}
#: Names that the documentation of Python promises in spite of their underscore.
DOCUMENTED = ("_replace", "_asdict", "_fields", "_make")
#: Names of Dask without an underscore that are just as private.
UNPROMISED = ("thread_state", "threadpoolexecutor")


def is_private(name: str) -> bool:
    """Tell whether a name is for its owner only: `__init__` and `_repr_html_` are for all."""
    return name.startswith("_") and not name.endswith("_")


def defined(tree: ast.AST) -> set[str]:
    """Name what a file defines: functions, classes, variables, and attributes of `self`."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
                names.add(node.attr)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
    return names


def private_imports(tree: ast.AST) -> Iterator[str]:
    """Name what a file imports from others than us and Python that is private, wherever it is."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] in sys.stdlib_module_names:
                continue
            is_unpromised = parts[0] in ("dask", "distributed") and set(parts) & {*UNPROMISED}
            if is_unpromised or any(map(is_private, parts)):
                yield name


def imported_from_us(tree: ast.AST) -> set[str]:
    """Name what a file has from other files of the package; what these pass on is Dask's."""
    return {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("dask_knot.")
        for alias in node.names
        if node.module != "dask_knot.internals"
    }


def private_uses(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Give the private names that a file uses of something, with the text of that something.

    As attributes, in `getattr(x, "_name")` and its like, and as keywords of calls, but for those of
    our own classes.
    """
    ours = imported_from_us(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            yield node.attr, ast.unparse(node.value)
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called.rpartition(".")[2] in ("getattr", "hasattr", "setattr", "delattr"):
                name = node.args[1]
                if isinstance(name, ast.Constant) and is_private(str(name.value)):
                    yield str(name.value), ast.unparse(node.args[0])
            if called not in ours:
                yield from ((k.arg, called) for k in node.keywords if k.arg and is_private(k.arg))


def foreign_names(tree: ast.AST, inherited: set[str]) -> list[str]:
    """Name what of others a file uses though it is private.

    A name is ours if this very file defines it. On `self` it may be a base class's of ours, too:
    `inherited` are the names of the files that this one imports.
    """
    own = defined(tree)
    found = list(private_imports(tree))
    for name, owner in private_uses(tree):
        is_of_python = owner in sys.stdlib_module_names
        is_inherited = owner in ("self", "cls") and name in inherited
        if not (name in own or name in DOCUMENTED or is_of_python or is_inherited):
            found.append(f"{owner}.{name}")
    return found


def test_every_private_name_is_ours_or_in_the_one_file() -> None:
    trees = {module_of(file): parsed(file) for file in FILES}
    names = {module: defined(tree) for module, tree in trees.items()}
    wrong = []
    for file in FILES:
        if INTERNALS in file.parents:
            continue
        inherited = set().union(*(names[module] for module in all_modules_of(file)))
        found = foreign_names(trees[module_of(file)], inherited)
        wrong += [
            f"{label(file)}: {name}"
            for name in found
            if NOT_OF_DASK.get(name.rpartition(".")[2]) != label(file)
        ]
    assert wrong == []


def all_modules_of(file: Path) -> set[str]:
    """Name the modules of ours that a file imports, and those that these import."""
    paths = {module_of(one): one for one in FILES}
    found: set[str] = set()
    left = [*modules_of(file)]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += modules_of(paths[name])
    return found


@pytest.mark.parametrize(
    "line",
    [
        "from dask._task_spec import Task",
        "import dask._expr as expressions",
        "from distributed.scheduler import _cull",
        "from distributed import threadpoolexecutor",
        "from dask.context import thread_state",
        "def f(client): client._loop_runner.stop()",
        "def f(server): server._workdir = None",
        "class A(Cluster):\n    def f(self): self._log('...')",
        "def f(error): return error.tb_frame.f_locals['self']._client",
        "def f(plugin): return getattr(plugin, '_install_fn', None)",
        "def f(kind): return builtins.hasattr(kind, '_name')",
        "from dask_knot.internals import Task\nTask('a', sum, _data_producer=True)",
        "from distributed import Client\nClient(_a=1)",
        "f = client.Future._uid",
    ],
)
def test_private_names_would_be_noticed(line: str) -> None:
    assert foreign_names(ast.parse(line), set())


@pytest.mark.parametrize(
    "line",
    [
        "from os import _exit",
        "import os\nos._exit(0)",
        "class A:\n    def __init__(self): self._a = 0\n    def f(self, other): other._a",
        "class A:\n    def _f(self): pass\nclass B:\n    def __init__(self, a): a._f()",
        "class A(Base):\n    def f(self): self._inherited()",
        "def f(table): return table._repr_html_(), table.__dict__, table._replace(a=0)",
        "from dask.typing import Key",
        "from dask_knot.session.session import Session\nSession(_engine=None)",
    ],
)
def test_names_of_our_own_are_no_private_names_of_others(line: str) -> None:
    assert foreign_names(ast.parse(line), {"_inherited"}) == []


def test_every_file_says_what_its_room_is() -> None:
    assert [file for file in FILES if not ast.get_docstring(parsed(file))] == []
    assert [file for file in FILES if len(file.read_text().splitlines()) > 300] == []


def types(tree: ast.Module) -> Iterator[str]:
    """Name the classes of a file, and the aliases of types at its top, but for type variables."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield node.name.lstrip("_")
    for node in tree.body:
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        is_variable = ast.unparse(node.value).startswith(("TypeVar(", "ParamSpec("))
        for target in targets:
            # Constants are in capitals, all else at the top of a file begins with a small letter.
            name = target.id.lstrip("_") if isinstance(target, ast.Name) else ""
            if name[:1].isupper() and not name.isupper() and not is_variable:
                yield name


def test_a_type_has_its_name_for_itself() -> None:
    """One noun, one thing: private ones, too, or a reader of two rooms takes one for another."""
    places: dict[str, list[str]] = {}
    for file in FILES:
        for name in types(parsed(file)):
            places.setdefault(name, []).append(label(file))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("class _Shelf:\n    class Drawer: ...", ["Shelf", "Drawer"]),
        ("Sink = Callable[[int], None]", ["Sink"]),
        ("_Found: TypeAlias = int | str", ["Found"]),
        ("T = TypeVar('T')\nKey = TypeVar('Key')\nLOST_ONES = (1, 2)\nlogger = 1", []),
    ],
)
def test_the_test_of_types_would_notice(line: str, names: list[str]) -> None:
    assert [*types(ast.parse(line))] == names


def test_every_exception_is_in_the_tree() -> None:
    kinds = {
        name: kind
        for name, kind in vars(errors).items()
        if inspect.isclass(kind) and issubclass(kind, BaseException)
    }
    assert all(issubclass(kind, KnotError) for kind in kinds.values())
    assert errors.__doc__ is not None
    drawn = re.findall(r"^[│ ├└─]*(\w+Error)\b", errors.__doc__, re.MULTILINE)
    assert sorted(drawn) == sorted(kinds)


#: Exceptions outside of the tree, which no user meets by their name, and what becomes of each.
INTERNAL_ERRORS = {
    "digests/refusal.py: UndigestibleError": "its work runs again, and the reason is told",
    "planning/adjacency.py: CycleError": "the graph names it in a PlanningError",
    "job/outputs.py: SupersededError": "ends a second attempt, which has nothing to say",
    "session/values.py: ClosedReaderError": "ends a gathering when its cluster is closed",
    "tracking/moves.py: IllegalMoveError": "is the cause of an InternalError",
}


def exceptions(tree: ast.AST) -> Iterator[str]:
    """Name the exceptions that a file defines, by the names of their bases."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            bases = [ast.unparse(base).rpartition(".")[2] for base in node.bases]
            if any(re.search(r"(Error|Exception|Exit|Interrupt|Warning)$", one) for one in bases):
                yield node.name


def test_exceptions_outside_of_the_tree_are_internal() -> None:
    outside = {
        f"{label(file)}: {name}"
        for file in FILES
        if label(file) != "errors.py"
        for name in exceptions(parsed(file))
    }
    assert outside == {*INTERNAL_ERRORS}


def test_every_exception_is_called_an_error() -> None:
    names = {name for file in FILES for name in exceptions(parsed(file))}
    assert [name for name in names if not name.endswith("Error")] == []
    assert [*exceptions(ast.parse("class A(builtins.BaseException): ..."))] == ["A"]


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


def test_every_error_that_is_raised_by_name_is_ours_or_translated() -> None:
    """Files that raise a bare Exception tell nobody what to catch."""
    wrong = []
    for file in FILES:
        for node in ast.walk(parsed(file)):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                called = node.exc.func
                if isinstance(called, ast.Name) and called.id in ("Exception", "RuntimeError"):
                    wrong.append(f"{label(file)}:{node.lineno}")
    assert wrong == []
