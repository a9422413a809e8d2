"""What ends clusters asks for nothing that only some systems have."""

from __future__ import annotations

import subprocess
import sys

#: Windows has none of these; other packages know that.
PROGRAM = """
import os, sys
import bokeh, distributed, obstore, rich.console

for module in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[module] = None
for name in ("fork", "register_at_fork", "getuid", "getgid", "killpg", "setsid", "getpgid"):
    delattr(os, name)
import dask_knot.cli
import dask_knot.cluster
"""


def test_a_client_can_be_imported_on_windows() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
