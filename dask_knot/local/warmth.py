"""The modules that the fork server imports so that its children need not: it learns them."""

from __future__ import annotations

import contextlib
import gc
import importlib
import itertools
import os
import sys
import threading
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

from dask_knot.local.origins import installed_folders

# A pipe takes up to this many bytes at once (POSIX guarantees 512): reports of children that end
# at the same moment must not be mixed.
_ATOMIC_WRITE = 512
#: Threads that mind forks: pyarrow's jemalloc, which pandas brings along, takes its locks before a
#: fork and makes the thread anew in the child (`pthread_atfork`).
MINDFUL_THREADS = frozenset({"jemalloc_bg_thd"})


def new_installed_modules(known: int) -> list[str]:
    """Return the installed modules after the first ``known`` ones, in the order of their import.

    Modules elsewhere are the user's own: a child must read them anew, as they may have changed.
    """
    # From the end: to touch a module that the server has imported copies its page, and to touch
    # all of them takes a child longer than its start.
    names = list(itertools.islice(reversed(sys.modules), max(0, len(sys.modules) - known)))
    folders = installed_folders() if names else ()
    return [name for name in reversed(names) if _origin(name).startswith(folders)]


def _origin(name: str) -> str:
    spec = getattr(sys.modules[name], "__dict__", {}).get("__spec__")
    return str(getattr(spec, "origin", ""))


def report(descriptor: int, names: Iterable[str]) -> None:
    """Write module names into the pipe to the server, a line each, never a part of a line."""
    for piece in _pieces(f"{name}\n".encode() for name in names):
        try:
            os.write(descriptor, piece)
        except OSError:
            # The pipe is full while the server is busy: another child will tell it.
            return


def _pieces(lines: Iterable[bytes]) -> Iterator[bytes]:
    piece = b""
    for line in lines:
        if len(piece) + len(line) > _ATOMIC_WRITE:
            yield piece
            piece = b""
        if len(line) <= _ATOMIC_WRITE:
            piece += line
    yield piece


class Warmth:
    """Imports modules into the server, and notices one that leaves a thread behind.

    Parameters
    ----------
    forbidden
        Modules that are never imported here, nor what is inside them.
    """

    def __init__(self, forbidden: Iterable[str] = ()) -> None:
        self._forbidden = tuple(forbidden)
        self._tried: set[str] = set()

    def take(self, names: Iterable[str]) -> str | None:
        """Import modules; return the first after which a fork is no longer safe, if any."""
        try:
            for name in names:
                if not self.should_import(name):
                    continue
                self._tried.add(name)
                _import(name)
                if not is_safe_to_fork():
                    return name
            return None
        finally:
            gc.collect()
            # The collector writes into every object it visits, which would copy shared pages.
            gc.freeze()

    def forbid(self, name: str) -> None:
        """Never import a module, nor what is inside it."""
        self._forbidden = (*self._forbidden, name)

    def should_import(self, name: str) -> bool:
        """Tell whether a module is still to be imported."""
        if name in self._tried or name in sys.modules:
            return False
        return not any(name == bad or name.startswith(f"{bad}.") for bad in self._forbidden)


def _import(name: str) -> None:
    try:
        importlib.import_module(name)
    except (Exception, SystemExit):
        # The child that needs this module will say what is wrong with it.
        return


def is_safe_to_fork() -> bool:
    """Return whether this process has one thread only, or only such as end by themselves at a fork.

    A fork copies the calling thread alone: locks that others hold would stay locked for ever.
    """
    if threading.active_count() > 1:
        return False
    # BLAS libraries end their threads when a fork begins and start them again on demand.
    return _count_threads() == 1 or _count_threads_after_fork() == 1


def _count_threads() -> int:
    return 1 + sum(name not in MINDFUL_THREADS for name in _other_threads())


def _other_threads() -> Iterator[str]:
    try:
        threads = os.listdir("/proc/self/task")
    except OSError:
        return
    for thread in threads:
        # It may have ended meanwhile.
        with contextlib.suppress(OSError):
            if int(thread) != os.getpid():
                yield Path(f"/proc/self/task/{thread}/comm").read_text().strip()


def _count_threads_after_fork() -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return _count_threads()
