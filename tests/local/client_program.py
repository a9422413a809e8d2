"""A client that starts jobs and then waits to be killed: ``python client_program.py FOLDER``."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from dask_knot.local.fork import ForkLauncher
from tests.local.desk import Desk

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    desk = Desk(ForkLauncher(), folder)
    desk.define()
    desk.run("parents", str(folder / "first"))
    desk.run("stubborn", str(folder / "second"))
    threading.Event().wait()
