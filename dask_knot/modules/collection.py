"""Collects the user's own modules: what is imported, what that mentions, what lies beside it."""

from __future__ import annotations

import glob
import itertools
import logging
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from dask_knot.modules import mentions, trees
from dask_knot.modules.locations import ModulePlace, locate, precedence
from dask_knot.modules.ownership import Ownership, entries
from dask_knot.modules.script import mentioned_by_script
from dask_knot.modules.trees import FoundFile
from dask_knot.run.bundle import Bundle, BundledFile, PathEntry, built_for, is_compiled

logger = logging.getLogger(__name__)

#: So many bytes travel at most; more belongs into the image, or into the store.
MOST_BYTES = 100 * 2**20
#: So many files are looked at, each time that work is submitted.
MOST_FILES = 20_000
#: Times of files tick so seldom, on some disks: what is younger may change and keep its time.
TICK = 2_000_000_000
#: So many names of what is left out are told.
_TOLD = 5


@dataclass(frozen=True, slots=True)
class ModuleSnapshot:
    """The files of the user's own modules as they are at one moment.

    Two are equal if nothing has changed, unless the older one `is_young`: a file may have been
    changed right after it was looked at.
    """

    entries: tuple[PathEntry, ...]
    files: tuple[FoundFile, ...]

    def is_young(self, now: int) -> bool:
        """Tell whether one of the files is so young that its time can't tell versions apart."""
        return any(file.changed > now - TICK for file in self.files)


class _Mentions(NamedTuple):
    modules: frozenset[str]
    files: frozenset[str]


class OwnModules:
    """The modules of the user's own that this process has imported, or may import.

    For one thread at a time.

    Parameters
    ----------
    modules : mapping of str to module, optional
        What is imported: that of this process.
    say : callable
        Told, once each, what can't be taken.
    most_bytes : int
        So much is taken at most.
    """

    def __init__(
        self,
        modules: Mapping[str, Any] = sys.modules,
        say: Callable[[str], object] = logger.warning,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._modules = modules
        self._say_to = say
        self._most_bytes = most_bytes
        self._owners = Ownership()
        self._foreign: dict[str, int] = {}  # by name: which module it was
        self._missing: set[str] = set()
        self._looked_in: tuple[object, ...] = ()
        self._listed: dict[ModulePlace, list[FoundFile]] = {}  # in this look
        self._secret: list[str] = []  # in this look
        self._said: set[str] = set()

    def look(self) -> ModuleSnapshot | None:
        """Look which files there are now; None if there is nothing of the user's own."""
        self._listed.clear()
        self._secret.clear()
        self._forget_missing()
        found = self._found()
        if not found:
            return None
        path = [os.path.realpath(entry) for entry in entries()]
        roots = {one.root: precedence(one.root, path) for one in found}
        ordered = sorted(roots, key=lambda root: (roots[root][0], root))
        names = {root: str(number) for number, root in enumerate(ordered)}
        archives = {one.root: _inside(one) for one in found if one.archive}
        listed = tuple(
            PathEntry(names[root], roots[root][1], archives.get(root, "")) for root in ordered
        )
        files = {one.name: one for place in found for one in self._files(place, names[place.root])}
        if self._secret:
            self._say(f"{_first_of(self._secret)}: looks like a secret, so it isn't sent to jobs")
        return ModuleSnapshot(listed, tuple(self._bounded(files.values())))

    def read(self, snapshot: ModuleSnapshot) -> Bundle:
        """Read the files of a snapshot."""
        files = []
        for file in snapshot.files:
            try:
                data = Path(file.path).read_bytes()
            except OSError as error:
                self._say(f"{file.path} can't be read, so jobs won't have it: {error.strerror}")
                continue
            files.append(BundledFile(file.name, data, file.is_executable))
        is_built = any(is_compiled(file.name) for file in files)
        return Bundle(snapshot.entries, files, built_for() if is_built else "")

    def _found(self) -> list[ModulePlace]:
        """Find all modules, beginning with those that are imported."""
        imported = [name for name in list(self._modules) if "." not in name]
        left = dict.fromkeys((*imported, *mentioned_by_script(self._modules)))
        seen: set[str] = set(left)
        found: list[ModulePlace] = []
        while left:
            top, _ = left.popitem()
            for place in self._located(top):
                if not os.path.exists(place.path):
                    self._say(f"{top} was imported from {place.path}, which is gone: {_GONE}")
                    continue
                found.append(place)
                more = {one for source in self._texts(place) for one in source.modules}
                left.update(dict.fromkeys(sorted(more - seen)))
                seen |= more
        return sorted(set(found))

    def _located(self, top: str) -> list[ModulePlace]:
        module = self._modules.get(top)
        identity = id(module)
        if self._foreign.get(top) == identity or (module is None and top in self._missing):
            return []
        places = locate(top, module, self._owners)
        if places == []:
            self._foreign[top] = identity
        elif places is None:
            self._missing.add(top)
        return places or []

    def _forget_missing(self) -> None:
        """Look again for what wasn't there, if there is something new in a folder."""
        found = tuple((entry, _changed(entry)) for entry in entries())
        is_young = any(changed > time.time_ns() - TICK for _, changed in found)
        if found != self._looked_in or is_young:
            self._missing.clear()
        self._looked_in = found

    def _texts(self, place: ModulePlace) -> Iterator[_Mentions]:
        if place.archive:
            return
        for file in self._own_files(place):
            if file.name.endswith(".py"):
                yield _mentioned(file.path, file.size, file.changed)

    def _files(self, place: ModulePlace, folder: str) -> Iterator[FoundFile]:
        """Give the files of a module, and those beside it that its source names."""
        beside: set[str] = set()
        for own in self._own_files(place):
            file = own._replace(name=f"{folder}/{own.name}")
            if trees.is_secret(os.path.basename(file.path)):
                self._secret.append(file.path)
                continue
            yield file
            if file.name.endswith(".py"):
                beside |= _mentioned(file.path, file.size, file.changed).files
        here = _names(place.root) if beside else frozenset[str]()
        for text in sorted(beside):
            first = text.partition("/")[0]
            if first in here or not _MAGIC.isdisjoint(first):
                yield from self._beside(place, text, folder)

    def _own_files(self, place: ModulePlace) -> list[FoundFile]:
        if place not in self._listed:
            self._listed[place] = self._list(place)
        return self._listed[place]

    def _list(self, place: ModulePlace) -> list[FoundFile]:
        if place.is_doubtful:
            near = itertools.islice(trees.tree(place.path, place.top), MOST_FILES)
            return [file for file in near if file.is_code]
        if os.path.isdir(place.path):
            return self._few(place.path, trees.tree(place.path, place.top))
        ending = "".join(os.path.basename(place.path).partition(".")[1:])
        name = os.path.basename(place.path) if place.archive else f"{place.top}{ending}"
        one = trees.file(place.path, name)
        return [] if one is None else [one]

    def _beside(self, place: ModulePlace, text: str, folder: str) -> Iterator[FoundFile]:
        """Give what a text of a source names; a package has its folders inside of it.

        No part of another package: it would hide the whole one.
        """
        if any(trees.is_left(part) or trees.is_secret(part) for part in text.split("/")):
            return
        path, is_package = os.path.join(place.root, text), os.path.isdir(place.path)
        pattern = os.path.join(glob.escape(place.root), text)
        for one in glob.glob(pattern) if glob.has_magic(text) and not is_package else [path]:
            name = f"{folder}/{os.path.relpath(one, place.root)}".replace(os.sep, "/")
            if os.path.isdir(one) and not is_package:
                few = self._few(one, trees.tree(one, name))
                kept = (f for f in few if not trees.is_secret(os.path.basename(f.path)))
                yield from (f for f in kept if not f.is_code)
            elif (file := trees.file(one, name)) and not (file.is_code and "/" in text):
                yield file

    def _few(self, folder: str, found: Iterator[FoundFile]) -> list[FoundFile]:
        few = list(itertools.islice(found, MOST_FILES + 1))
        if len(few) > MOST_FILES:
            self._say(
                f"{folder} holds more than {MOST_FILES:,} files: only the modules among the "
                f"first {MOST_FILES:,} are sent to jobs. {_INSTEAD}"
            )
            return [file for file in few if file.is_code]
        return few

    def _bounded(self, files: Iterable[FoundFile]) -> list[FoundFile]:
        """Take modules first, then what is small, as long as there is room."""
        room, taken, left = self._most_bytes, [], []
        for file in sorted(files, key=lambda one: (not one.is_code, one.size, one.name)):
            if file.size <= room:
                room -= file.size
                taken.append(file)
            else:
                left.append(file.path)
        if left:
            self._say(
                f"jobs won't have {_first_of(left[::-1])}: at most "
                f"{self._most_bytes / 2**20:.4g} MiB of your own modules are sent along "
                f"(modules-limit). {_INSTEAD}"
            )
        return sorted(taken)

    def _say(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            self._say_to(line)


#: Of patterns of names.
_MAGIC = frozenset("*?[")
_INSTEAD = "Read large data from the store or a bucket, or put it into the image"
_GONE = "jobs can't import it. Restore the file, or restart Python"


@lru_cache(maxsize=10_000)  # of all clusters of this process
def _mentioned(path: str, size: int, changed: int) -> _Mentions:
    """Read what a source mentions, when it is so large and was changed at that time."""
    try:
        text = mentions.decoded(Path(path).read_bytes())
    except OSError:
        text = ""
    return _Mentions(frozenset(mentions.modules(text)), frozenset(mentions.files(text)))


def _first_of(paths: Sequence[str]) -> str:
    """Name the first of many."""
    more = f" and {len(paths) - _TOLD} more" if len(paths) > _TOLD else ""
    return f"{', '.join(paths[:_TOLD])}{more}"


def _changed(folder: str) -> int:
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return 0


def _names(folder: str) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder))
    except OSError:  # in an archive
        return frozenset()


def _inside(place: ModulePlace) -> str:
    """Name what is put onto the import path of a folder with an archive."""
    inside = place.root.removeprefix(place.path).replace(os.sep, "/")
    return os.path.basename(place.path) + inside
