"""What stands in a task is that task's own, however the plan puts tasks together."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).with_name("own_arguments.py")
#: What the first call gives, where that isn't 1.
FIRST = {"delayed list": 2, "retried inside": [2] * 12, "drawn": 508_082_495}


@pytest.mark.parametrize(
    "options",
    [{"jobs": 1}, {"jobs": 1, "cores": 3}, {"jobs": 1, "cores": 2, "processes": True}],
    ids=["one after another", "threads", "processes"],
)
def test_every_task_is_the_first(tmp_path: Path, options: dict[str, Any], project: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(tmp_path), json.dumps(options)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    for name, values in json.loads(done.stdout).items():
        assert set(map(str, values)) == {str(FIRST.get(name, values[0]))}, (name, values)
        assert name in FIRST or values[0] == 1, (name, values)
