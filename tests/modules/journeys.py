"""A journey of modules in one process: a client that has them, and a job that has but a bundle."""

from __future__ import annotations

import importlib
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import cloudpickle
import pytest

from dask_knot.job.bundles import own_modules
from dask_knot.modules import OwnModules
from dask_knot.run import bundle as format
from dask_knot.run.bundle import Bundle


class Journey:
    """A folder of the user's, which this process imports from, and jobs that don't have it."""

    def __init__(self, home: Path, patch: pytest.MonkeyPatch) -> None:
        self.home = home
        self.said: list[str] = []
        self.modules: dict[str, ModuleType] = {}
        self._patch = patch
        self._before = set(sys.modules)
        self._path = list(sys.path)
        patch.setattr(sys, "path", [str(home), *sys.path])
        patch.setattr(sys, "dont_write_bytecode", True)
        self.own = OwnModules(self.modules, self.said.append)

    def write(self, name: str, text: str | bytes = "") -> Path:
        """Write a file."""
        file = self.home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        importlib.invalidate_caches()
        return file

    def take(self, name: str) -> Any:
        """Import a module in the client."""
        module = importlib.import_module(name)
        self.modules.update({one: sys.modules[one] for one in set(sys.modules) - self._before})
        return module

    def forget(self, top: str) -> None:
        """Let a package not be imported yet."""
        for name in [name for name in sys.modules if name.partition(".")[0] == top]:
            self._before.discard(name)
            self._patch.delitem(sys.modules, name)

    def script(self, text: str = "", **variables: Any) -> ModuleType:
        """Let a script be what runs in the client."""
        main = ModuleType("__main__")
        if text:
            main.__file__ = str(self.write("the_script.py", text))
        vars(main).update(variables)
        self.modules["__main__"] = main
        return main

    def bundle(self) -> Bundle:
        """Take the modules along, as they are now, through the bytes of their object."""
        snapshot = self.own.look()
        assert snapshot is not None
        return format.decode(b"".join(format.encode(self.own.read(snapshot))))

    def names(self) -> set[str]:
        """Name the files that are taken, without the folder of the bundle that they are in."""
        return {file.name.partition("/")[2] for file in self.bundle().files}

    def run(self, function: Any, *arguments: Any) -> Any:
        """Call a function in a job, and give what the client gets back."""
        sent, bundle = cloudpickle.dumps((function, arguments)), self.bundle()
        with self._job(), own_modules(bundle):
            called, given = pickle.loads(sent)
            returned = cloudpickle.dumps(called(*given))
        return pickle.loads(returned)

    def _job(self) -> _InJob:
        return _InJob(self._path, self._before)


class _InJob:
    """While it is entered, nothing of the client's modules is here."""

    def __init__(self, path: list[str], before: set[str]) -> None:
        self._path, self._before = path, before
        self._kept: dict[str, ModuleType] = {}
        self._kept_path: list[str] = []

    def __enter__(self) -> None:
        self._kept = {name: sys.modules.pop(name) for name in set(sys.modules) - self._before}
        self._kept_path, sys.path[:] = list(sys.path), self._path

    def __exit__(self, *exception: object) -> None:
        for name in set(sys.modules) - self._before:
            del sys.modules[name]
        sys.modules.update(self._kept)
        sys.path[:] = self._kept_path


def journey_in(home: Path) -> Iterator[Journey]:
    """Let a client import from a folder, and forget that afterwards."""
    before = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        yield Journey(home, patch)
    for name in set(sys.modules) - before:
        del sys.modules[name]
    importlib.invalidate_caches()
