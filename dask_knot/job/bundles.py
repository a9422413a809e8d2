"""The user's own modules inside a job: unpacked once, and importable before anything is unpickled.

They stand on the import path where they stood in the client: what hid a module there hides it here.
"""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import dask

from dask_knot.errors import NotLoadedError
from dask_knot.job.console import say
from dask_knot.run.bundle import Bundle, PathEntry, Precedence, built_for, is_compiled

_SITES = ("site-packages", "dist-packages")


@contextmanager
def own_modules(bundle: Bundle | None) -> Iterator[None]:
    """Let the user's own modules be imported here, in this process and in those that it spawns.

    Raises
    ------
    NotLoadedError
        If there is no place for them.
    """
    if bundle is None:
        yield
        return
    folder = _folder()
    try:
        unpack(_fitting(bundle), folder)
        sys.path[:] = extended(sys.path, bundle.entries, folder)
        del bundle  # tasks may need its memory
        importlib.invalidate_caches()
        yield
    finally:
        sys.path[:] = [entry for entry in sys.path if not entry.startswith(str(folder))]
        shutil.rmtree(folder, ignore_errors=True)


def _folder() -> Path:
    parent = dask.config.get("temporary-directory", None)
    try:
        return Path(tempfile.mkdtemp(prefix="dask-knot-modules-", dir=parent))
    except OSError as error:
        raise _unplaced(error) from error


def unpack(bundle: Bundle, folder: Path) -> None:
    """Write the files of a bundle into a folder.

    Raises
    ------
    NotLoadedError
        If that can't be done.
    """
    try:
        for entry in bundle.entries:
            (folder / entry.folder).mkdir(exist_ok=True)
        for name, data, is_executable in bundle.files:
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
            if is_executable:
                file.chmod(0o755)
    except OSError as error:
        raise _unplaced(error) from error


def extended(path: Sequence[str], entries: Sequence[PathEntry], folder: Path) -> list[str]:
    """Put the entries of a bundle onto an import path, each before what it stood before."""
    placed: dict[Precedence, list[str]] = {before: [] for before in Precedence}
    for entry in entries:
        placed[entry.precedence].append(str(folder / entry.folder / entry.archive).rstrip(os.sep))
    sites = (n for n, one in enumerate(path) if os.path.basename(one.rstrip(os.sep)) in _SITES)
    first = next(sites, len(path))
    before, behind = placed[Precedence.PYTHON], placed[Precedence.NOTHING]
    return [*before, *path[:first], *placed[Precedence.INSTALLED], *path[first:], *behind]


def _fitting(bundle: Bundle) -> Bundle:
    """Leave out what was compiled for another platform, and say so."""
    if bundle.platform in ("", built_for()):
        return bundle
    foreign = [file.name.partition("/")[2] for file in bundle.files if is_compiled(file.name)]
    say(
        f"{', '.join(foreign)}: built for {bundle.platform}, and this job runs on "
        f"{built_for()}: left out. Install it in the image as a package built for that "
        "platform, or run jobs on the platform of the client"
    )
    return Bundle(bundle.entries, [one for one in bundle.files if not is_compiled(one.name)])


def _unplaced(error: OSError) -> NotLoadedError:
    return NotLoadedError(f"this job can't store your own modules: {error}")
