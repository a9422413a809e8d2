"""Starts jobs and then waits to be killed: ``python client_program.py FOLDER GRACE``."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from dask_knot.local.capacity import Capacity
from dask_knot.local.fork import ForkLauncher
from tests.local.desk import Desk

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    launcher = ForkLauncher(grace=float(sys.argv[2]))
    desk = Desk(launcher, folder, Capacity(3, 3000))
    desk.define()
    desk.run("parents", str(folder / "first"))
    desk.run("stubborn", str(folder / "second"))
    desk.run("polite", str(folder / "third"))
    threading.Event().wait()
