"""xarray's own tests of Dask clusters, as they are in its wheel, pass with KnotCluster."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import pytest
import xarray

from tests.end_to_end.xarrays_cluster import SKIPPED

#: What xarray itself skips: a test of other schedulers.
SKIPPED_BY_XARRAY = {r"test_open_mfdataset_multiple_files_parallel\[True\]": "Flaky in CI."}


def run(project: Path, report: Path) -> ElementTree.Element:
    """Run the tests in a process of their own, with our plugin and without our settings."""
    file = Path(xarray.__file__).parent / "tests" / "test_distributed.py"
    options = ["-p", "tests.end_to_end.xarrays_cluster", "-p", "no:cacheprovider"]
    options += ["-c", "/dev/null", "--rootdir", str(file.parent), f"--junitxml={report}"]
    command = [sys.executable, "-m", "pytest", *options, str(file)]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=280)
    assert report.exists(), done.stdout + done.stderr
    return ElementTree.parse(report).getroot()


def is_named(name: str, reason: str, names: Mapping[str, str]) -> bool:
    return any(re.match(known, name) and names[known] in reason for known in names)


@pytest.mark.timeout(300)
def test_xarrays_own_tests_of_dask_clusters(project: Path, tmp_path: Path) -> None:
    passed, others = [], []
    for case in run(project, tmp_path / "report.xml").iter("testcase"):
        name = case.get("name", "")
        ending = next(iter(case), None)
        if ending is None or ending.tag not in ("skipped", "failure", "error"):
            passed.append(name)
        elif not (
            ending.tag == "skipped"
            and is_named(name, ending.get("message", ""), {**SKIPPED, **SKIPPED_BY_XARRAY})
        ):
            others.append(f"{name}: {ending.tag}: {ending.get('message')}\n{ending.text}")
    assert others == []
    assert len(passed) >= 15
