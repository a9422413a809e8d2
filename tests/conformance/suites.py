"""Which of Dask's tests are run, and where they are found."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import dask
import distributed

REPOSITORY = "https://github.com/dask/distributed"
#: What needs other hardware or services than a cluster, whatever cluster it is.
ELSEWHERE = ("test_cupy_*", "test_s3.py", "test_http.py", "test_sql.py")
#: Files in `dask/tests` that compute something with a scheduler of the caller's choice.
BASE = [
    "test_base.py",
    "test_composite_expr.py",
    "test_context.py",
    "test_datasets.py",
    "test_distributed.py",
    "test_expr.py",
    "test_graph_manipulation.py",
    "test_highgraph.py",
    "test_hlgexpr.py",
    "test_layers.py",
    "test_ml.py",
    "test_traceback.py",
]
#: Files of distributed that have tests of what a client does, or of what it shares by name.
CLIENT = [
    "test_as_completed.py",
    "test_client.py",
    "test_client_executor.py",
    "test_collections.py",
    "test_dask_collections.py",
    "test_event_logging.py",
    "test_events.py",
    "test_locks.py",
    "test_multi_locks.py",
    "test_publish.py",
    "test_queues.py",
    "test_reschedule.py",
    "test_resources.py",
    "test_semaphore.py",
    "test_spans.py",
    "test_variable.py",
    "test_worker_client.py",
]


@dataclass(frozen=True)
class Suite:
    """A part of Dask's tests: it runs in one process, on one cluster."""

    name: str
    #: What the names of tests are relative to.
    root: Path
    files: list[Path]


class NoTestsError(Exception):
    """The tests of a suite aren't on this machine."""


def installed() -> list[Suite]:
    """Return the suites in Dask's wheel."""
    home = Path(dask.__file__).parent

    def below(*folders: str) -> list[Path]:
        found = {path for folder in folders for path in (home / folder).rglob("test_*.py")}
        return sorted(
            path for path in found if not any(path.match(pattern) for pattern in ELSEWHERE)
        )

    tests = home / "tests"
    files = {
        "array": below("array"),
        "bag": below("bag", "bytes"),
        "dataframe": below("dataframe"),
        "delayed": [tests / "test_delayed.py"],
        "base": [tests / name for name in BASE if (tests / name).exists()],
    }
    return [Suite(name, home.parent, paths) for name, paths in files.items()]


def client(checkout: Path | None, scratch: Path) -> Suite:
    """Return the suite of distributed's tests that need only a client.

    Parameters
    ----------
    checkout : Path, optional
        A checkout of distributed's repository: neither its wheel nor its sdist has the tests.
        Without one, the tag of the installed version is cloned.
    scratch : Path
        Folder for a copy of the tests, without the package beside them: the installed one is run.

    Raises
    ------
    NoTestsError
        If the tests can't be had.
    """
    source = checkout or clone(scratch / "checkout")
    if not (source / "distributed" / "tests" / "test_client.py").is_file():
        raise NoTestsError(f"{source} is no checkout of {REPOSITORY}")
    root = scratch / "client"
    tests = root / "distributed" / "tests"
    shutil.copytree(source / "distributed" / "tests", tests, dirs_exist_ok=True)
    return Suite("client", root, [tests / name for name in CLIENT if (tests / name).exists()])


def clone(target: Path) -> Path:
    """Clone distributed at the version that is installed."""
    tag = ["--branch", distributed.__version__, "--depth", "1"]
    command = ["git", "clone", "--quiet", *tag, REPOSITORY, str(target)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise NoTestsError(
            f"distributed's tests are only in its repository, and {' '.join(command)} failed: "
            f"{ended.stderr.strip()}. Name a checkout with --distributed FOLDER."
        )
    return target
