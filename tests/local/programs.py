"""Small programs for jobs: ``python -m tests.local.programs NAME ARGUMENTS...``."""

from __future__ import annotations

import atexit
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path


def exits(code: str) -> None:
    """End as ``sys.exit`` does, by way of the functions that wait for the exit."""
    atexit.register(print, "bye", flush=True)
    sys.exit(int(code))


def drops(code: str) -> None:
    """End without any of that."""
    print("about to drop", end="")
    sys.stdout.flush()
    os._exit(int(code))


def raises() -> None:
    """Fail with a traceback."""
    raise ValueError("nothing here is right")


def kills(number: str) -> None:
    """End by a signal."""
    os.kill(os.getpid(), int(number))


def waits(path: str = "") -> None:
    """Wait until somebody ends this; tell the path that it waits."""
    if path:
        Path(path).write_text(str(os.getpid()))
    threading.Event().wait()


def parents(path: str) -> None:
    """Wait, and have a child of one's own that waits too."""
    with subprocess.Popen(["sleep", "1000"]) as child:
        partial = Path(f"{path}.partial")
        partial.write_text(f"{os.getpid()} {child.pid}")
        partial.rename(path)
        child.wait()


def leaves() -> None:
    """End, and leave a process behind that does not."""
    child = subprocess.Popen(["sleep", "1000"])
    print(child.pid)
    sys.stdout.flush()
    os._exit(0)


def stubborn(path: str) -> None:
    """Wait and ignore the polite signal."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    waits(path)


def polite(path: str) -> None:
    """Wait, and write something down at the polite signal."""

    def say(*_: object) -> None:
        Path(f"{path}.said").write_text("farewell")
        os._exit(143)

    signal.signal(signal.SIGTERM, say)
    waits(path)


def grows(mebibytes: str) -> None:
    """Take memory, all of it used."""
    data = bytearray(int(mebibytes) << 20)
    data[::4096] = b"x" * len(data[::4096])
    threading.Event().wait()


def shows(*names: str) -> None:
    """Print variables of the environment."""
    print(json.dumps({name: os.environ.get(name) for name in names}))


def notes(folder: str) -> None:
    """Write when this child began and ended, under its index."""
    index = os.environ.get("AWS_BATCH_JOB_ARRAY_INDEX", "0")
    began = time.monotonic()
    name = f"{os.environ['AWS_BATCH_JOB_ID'].partition(':')[0]}-{index}"
    Path(folder, name).write_text(f"{began} {time.monotonic()}")


def fails_at(index: str) -> None:
    """Fail in one child of an array only."""
    sys.exit(int(os.environ["AWS_BATCH_JOB_ARRAY_INDEX"] == index))


def recovers(code: str) -> None:
    """Fail at the first attempt only."""
    sys.exit(int(code) if os.environ["AWS_BATCH_JOB_ATTEMPT"] == "1" else 0)


def draws() -> None:
    """Print a random number of NumPy's shared generator."""
    import numpy as np

    print(np.random.random())


def knows(module: str) -> None:
    """Print whether a module was imported before the program began, then import it."""
    print(module in sys.modules)
    __import__(module)


def tells(*modules: str) -> None:
    """Print what modules tell of their state."""
    for name in modules:
        print(importlib.import_module(name).tell())


def stores(folder: str) -> None:
    """Write an object with a library that has threads of its own, and read it back."""
    from obstore.store import LocalStore

    store = LocalStore(folder, mkdir=True)
    name = f"object-{os.getpid()}"
    store.put(name, b"x" * 100_000)
    print(len(bytes(store.get(name).bytes())))


def multiplies() -> None:
    """Use a BLAS library, which may have threads."""
    import numpy as np

    print(float((np.ones((300, 300)) @ np.ones((300, 300))).sum()))


def says(*words: str) -> None:
    """Print to both streams."""
    print(*words)
    print("on stderr", file=sys.stderr)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
