"""Which tests are slow, and how they are dealt out when several workers run them (`-n 3`).

The tests of a file share what is dear (a cluster, a server, a container), so they stay together.
The longest files begin first, for no worker to end long after the others. Workers that run tests
in the emulated AWS start one of their own, which they change as if nobody else were there.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parent

#: Files whose tests use the emulated AWS, which takes half a minute to start and to build an image
#: in: for two workers, each with one of its own.
IN_RIG = {
    "end_to_end/test_containers.py": "containers",
    "end_to_end/test_containers_calls.py": "containers",
    "end_to_end/test_containers_closing.py": "containers",
    "end_to_end/test_containers_cost.py": "containers",
    "end_to_end/test_containers_environments.py": "containers",
    "end_to_end/test_containers_examples.py": "accounts",
    "end_to_end/test_containers_images.py": "containers",
    "end_to_end/test_containers_knot.py": "containers",
    "end_to_end/test_containers_left.py": "accounts",
    "end_to_end/test_containers_live.py": "containers",
    "end_to_end/test_containers_mending.py": "containers",
    "end_to_end/test_containers_mishaps.py": "containers",
    "end_to_end/test_containers_modules.py": "containers",
    "end_to_end/test_containers_notebooks.py": "containers",
    "end_to_end/test_containers_pages.py": "containers",
    "end_to_end/test_containers_platforms.py": "containers",
    "end_to_end/test_containers_runs.py": "containers",
    "aws/test_policy.py": "accounts",
    "chaos/test_containers_chaos.py": "accounts",
    "end_to_end/test_new_user.py": "accounts",
    "end_to_end/test_operator_policy.py": "accounts",
    "end_to_end/test_user_policy.py": "accounts",
    "aws/test_builds_in_rig.py": "accounts",
    "aws/test_images_in_rig.py": "accounts",
    "image/test_image_in_rig.py": "accounts",
    "image/test_secrets_in_rig.py": "accounts",
    "rig/test_rig.py": "accounts",
}
#: What takes long, the longest first: these begin before all others.
LONGEST = (
    *IN_RIG,
    "end_to_end/test_xarrays_own_tests.py",
    "end_to_end/test_left_behind.py",
    "end_to_end/test_graphs_of_every_kind.py",
    "end_to_end/test_other_processes.py",
    "end_to_end/test_closing.py",
    "end_to_end/test_two_clients.py",
    "test_examples.py",
    "test_notebooks.py",
    "test_blocks.py",
    "test_readme.py",
    "test_page_notebooks.py",
    "aws/test_template.py",
    "end_to_end",
    "chaos",
)
#: What the fast loop (`-m "not slow"`) leaves out: files and rooms that start processes, servers or
#: containers, or try thousands of cases.
SLOW = (
    "aws",
    "chaos",
    "cli/test_cli.py",
    "cli/test_files.py",
    "cluster/test_process.py",
    *(f"digests/test_{name}.py" for name in ("code", "edits", "objects", "readers")),
    "end_to_end",
    "environment",
    "image",
    "modules/test_programs.py",
    *(f"job/test_{name}.py" for name in ("exit", "flipped", "installs", "program", "shard")),
    *(f"knot/test_{name}.py" for name in ("knot", "paper")),
    *(f"local/test_{name}.py" for name in ("batch", "containers", "docker", "engine", "fork")),
    *(
        f"local/test_{name}.py"
        for name in ("guard", "mistakes", "orphans", "scratch", "spares", "warmth")
    ),
    "rig",
    *(
        f"run/test_{name}.py"
        for name in ("answers", "gone", "notes", "patience", "run", "sending", "slow_down", "store")
    ),
    "settings/test_home.py",
    "test_benchmarks.py",
    "test_blocks.py",
    "test_conformance.py",
    "test_distribution.py",
    "test_examples.py",
    "test_notebooks.py",
    "test_page_notebooks.py",
    "test_readme.py",
    "test_site.py",
    "test_zarr.py",
    "tracking/test_size.py",
)
#: What gives a test real threads and processes where its file doesn't say so.
REAL = ("threads_client", "in_rig")
#: The one way from end to end that the fast loop goes, with a cluster and its jobs.
QUICK = ("end_to_end/test_futures.py",)


def is_slow(path: Path) -> bool:
    """Tell whether a file is none of the fast loop's."""
    return _place(path, SLOW) is not None and _place(path, QUICK) is None


def sort_and_mark(items: list[pytest.Item]) -> None:
    """Put the longest files first, and mark what is slow.

    Before a merge (`.ci/run` sets `SECOND_TRY`) what runs real processes gets a second try: three
    workers on two busy cores now and then starve one. Each is named at the end of the run.
    """
    second_try = pytest.mark.flaky(reruns=1) if os.environ.get("SECOND_TRY") else None
    for item in items:
        if " at 0x" in item.nodeid:  # of all workers, each would have tests of its own
            raise pytest.UsageError(f"a name that is new in each process: {item.nodeid}")
        if is_slow(item.path):
            item.add_marker(pytest.mark.slow)
        if second_try and (is_slow(item.path) or not set(REAL).isdisjoint(_fixtures(item))):
            item.add_marker(second_try)
    items.sort(key=lambda item: _rank(item.path))


def dealer(config: pytest.Config, log: Any) -> object:
    """Make what deals out tests to workers: by files, in the order of `sort_and_mark`."""
    from xdist.scheduler import LoadFileScheduling

    class Dealer(LoadFileScheduling):  # type: ignore[misc]
        """Deals out files, those with an emulated AWS together."""

        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return IN_RIG.get(file.removeprefix(f"{TESTS.name}/"), file)

    config.option.loadscopereorder = False
    return Dealer(config, log)


def _fixtures(item: pytest.Item) -> Iterable[str]:
    names: Iterable[str] = getattr(item, "fixturenames", ())
    return names


def _rank(path: Path) -> int:
    place = _place(path, LONGEST)
    return len(LONGEST) if place is None else place


def _place(path: Path, listed: Iterable[str]) -> int | None:
    """Find the line that names a file, or a folder that it is in."""
    own = path.relative_to(TESTS)
    above = {own.as_posix(), *(folder.as_posix() for folder in own.parents)}
    return next((place for place, name in enumerate(listed) if name in above), None)
