"""Between the store and its disk, in the client as in jobs: here objects are harmed, and refused.

`Edge` stands where the store has obstore, and in front of the files of a folder. An
object that is to be flipped, cut or deleted "before it is read" is harmed while it is written, so
that no reader can ever be faster.
What struck is noted in a folder that all processes share.
"""

from __future__ import annotations

import json
import os
import signal
import time
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

import obstore

from dask_knot.run import receiving, sending
from dask_knot.run import store as room
from dask_knot.run.filewriter import FileWriter
from dask_knot.run.objectfiles import ObjectFiles

#: The variable that tells jobs of the rule.
VARIABLE = "KNOT_CHAOS"
#: What asks obstore.
_ASKING = (room, sending, receiving)
#: Of these objects every graph has many, so that the first of them needn't be harmed.
MANY = ("packs", "manifests", "parts", "data")


@dataclass(frozen=True, slots=True)
class Journal:
    """What struck so far: files in a folder, since many processes write it."""

    folder: Path

    def claim(self, times: int) -> bool:
        """Take one of so many strikes; False if there is none left."""
        for number in range(times):
            try:
                os.close(os.open(self.folder / f"struck.{number}", os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                continue
            return True
        return False

    @property
    def struck(self) -> int:
        """How often it struck."""
        return sum(1 for _ in self.folder.glob("struck.*"))

    def count(self) -> int:
        """Count one more request of any process; tell which one it is, from 1."""
        descriptor = os.open(self.folder / "requests", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        try:
            os.write(descriptor, b".")
            return os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)

    def begin(self) -> float:
        """Give the time at which this was called first."""
        path = self.folder / "struck.since"
        with suppress(FileExistsError), path.open("x"):
            pass
        return path.stat().st_mtime


class Rule:
    """What happens at the edge; by default nothing."""

    def before(self, journal: Journal, operation: str, name: str, in_job: bool) -> None:
        """Let a request begin: sleep, raise, or end the process."""

    def written(self, journal: Journal, name: str, data: bytes) -> bytes | None:
        """Give what is written in the place of `data`; None: nothing, though nobody is told."""
        return data

    def after(self, journal: Journal, operation: str, name: str, in_job: bool) -> None:
        """Let a request end."""


@dataclass(frozen=True, slots=True)
class Damage(Rule):
    """Objects of one kind are written with a flipped bit, cut, or not at all."""

    how: str
    objects: str
    seed: int
    times: int

    def written(self, journal: Journal, name: str, data: bytes) -> bytes | None:
        """Harm some of the objects of that kind; those of which there are few always."""
        draw = _draw(self.seed, name)
        is_spared = self.objects in MANY and draw % 3 == 0
        if kind_of(name) != self.objects or is_spared or not journal.claim(self.times):
            return data
        return harmed(data, self.how, draw // 3)


@dataclass(frozen=True, slots=True)
class Refuse(Rule):
    """From one request on, and for some seconds, requests fail as an operating system says it."""

    error: int
    operations: tuple[str, ...]
    begin: int
    seconds: float

    def before(self, journal: Journal, operation: str, name: str, in_job: bool) -> None:
        """Refuse it if its time has come."""
        if journal.count() < self.begin or operation not in self.operations:
            return
        if time.time() - journal.begin() < self.seconds:
            raise OSError(self.error, os.strerror(self.error), name)


@dataclass(frozen=True, slots=True)
class Slow(Rule):
    """Requests take long, as on a network file system that is busy."""

    seed: int
    longest: float

    def before(self, journal: Journal, operation: str, name: str, in_job: bool) -> None:
        """Let some wait."""
        draw = _draw(self.seed, operation + name)
        if draw % 2:
            journal.begin()
            time.sleep(draw % 1000 / 1000 * self.longest)


@dataclass(frozen=True, slots=True)
class Die(Rule):
    """A job, or the server that forked it, is killed right before or after a request."""

    whom: str
    operation: str
    objects: str
    is_after: bool
    times: int

    def before(self, journal: Journal, operation: str, name: str, in_job: bool) -> None:
        """Die before it."""
        if not self.is_after:
            self._die(journal, operation, name, in_job)

    def after(self, journal: Journal, operation: str, name: str, in_job: bool) -> None:
        """Die after it."""
        if self.is_after:
            self._die(journal, operation, name, in_job)

    def _die(self, journal: Journal, operation: str, name: str, in_job: bool) -> None:
        is_here = in_job and operation == self.operation and kind_of(name) == self.objects
        if is_here and journal.claim(self.times):
            whom = os.getpid() if self.whom == "job" else os.getppid()
            os.kill(whom, signal.SIGKILL)


class Edge:
    """obstore, with a rule on the way.

    Parameters
    ----------
    journal : Journal
        Where strikes are noted.
    rule : Rule
        What happens.
    in_job : bool
        Whether this process is a job.
    """

    def __init__(self, journal: Journal, rule: Rule, in_job: bool) -> None:
        self._journal = journal
        self._rule = rule
        self._in_job = in_job

    def __getattr__(self, name: str) -> Any:
        return getattr(obstore, name)

    def put(self, store: Any, name: str, data: Any, **options: Any) -> Any:
        """Write an object, or what the rule makes of it."""
        self._before("put", name)
        whole = data if isinstance(data, bytes) else b"".join(data)
        written = self._rule.written(self._journal, name, whole)
        result = None if written is None else obstore.put(store, name, written, **options)
        self._after("put", name)
        return result

    def get(self, store: Any, name: str, **options: Any) -> Any:
        """Read an object."""
        self._before("get", name)
        result = obstore.get(store, name, **options)
        self._after("get", name)
        return result

    def get_range(self, store: Any, name: str, **options: Any) -> Any:
        """Read a part of an object."""
        self._before("get", name)
        result = obstore.get_range(store, name, **options)
        self._after("get", name)
        return result

    def list(self, store: Any, **options: Any) -> Any:
        """List objects."""
        self._before("list", options.get("prefix", ""))
        return obstore.list(store, **options)

    def delete(self, store: Any, names: Any) -> Any:
        """Delete objects."""
        self._before("delete", names if isinstance(names, str) else names[0])
        return obstore.delete(store, names)

    def _before(self, operation: str, name: str) -> None:
        self._rule.before(self._journal, operation, name, self._in_job)

    def _after(self, operation: str, name: str) -> None:
        self._rule.after(self._journal, operation, name, self._in_job)


class EdgeFiles(ObjectFiles):
    """The files of a folder, with a rule on the way: `install` says which."""

    edge: Edge | None = None

    def read_range(self, name: str, offset: int, length: int) -> memoryview | None:
        """Read a part of an object."""
        assert self.edge is not None
        self.edge._before("get", name)
        found = super().read_range(name, offset, length)
        self.edge._after("get", name)
        return found

    def delete(self, names: Iterable[str]) -> None:
        """Delete objects."""
        assert self.edge is not None
        wanted = [*names]
        self.edge._before("delete", wanted[0])
        super().delete(wanted)


class EdgeWriter(FileWriter):
    """A writer of files, with a rule on the way: what it makes of an object is there at the end."""

    def __init__(self, files: ObjectFiles, name: str, *given: Any) -> None:
        super().__init__(files, name, *given)
        self._edge, self._at = EdgeFiles.edge, (files, name)

    def _appear(self) -> bool:
        assert self._edge is not None
        files, name = self._at
        self._edge._before("put", name)
        super()._appear()
        path = Path(files.path(name))
        whole = path.read_bytes()
        written = self._edge._rule.written(self._edge._journal, name, whole)
        if written is None:
            ObjectFiles.delete(files, [name])
        elif written != whole:
            path.write_bytes(written)
        self._edge._after("put", name)
        return True


def kind_of(name: str) -> str:
    """Tell what an object is: the folder below its run, and of manifests those of parts."""
    folder = [*name.split("/"), ""][1]
    return "parts" if folder == "manifests" and not name.endswith(".end") else folder


def harmed(data: bytes, how: str, draw: int) -> bytes | None:
    """Flip a bit of an object, cut it, or delete it."""
    if how == "delete" or not data:
        return None
    if how == "cut":
        return data[: draw % len(data)]
    place = draw % len(data)
    return data[:place] + bytes([data[place] ^ (1 << draw % 8)]) + data[place + 1 :]


def install(journal: Journal, rule: Rule, in_job: bool = False) -> None:
    """Put the edge in its place, in this process."""
    edge = EdgeFiles.edge = Edge(journal, rule, in_job)
    for module in _ASKING:
        module.obstore = edge  # type: ignore[attr-defined]
    room.ObjectFiles, room.FileWriter = EdgeFiles, EdgeWriter  # type: ignore[misc]


def remove() -> None:
    """Put obstore back."""
    for module in _ASKING:
        module.obstore = obstore  # type: ignore[attr-defined]
    room.ObjectFiles, room.FileWriter = ObjectFiles, FileWriter  # type: ignore[misc]


def tell(journal: Journal, rule: Rule) -> dict[str, str]:
    """Make the variable that tells jobs of a rule."""
    fields = asdict(rule) if is_dataclass(rule) else {}
    told = {"folder": str(journal.folder), "rule": type(rule).__name__, "fields": fields}
    return {VARIABLE: json.dumps(told)}


def install_as_told(environment: Mapping[str, str]) -> None:
    """Put the edge in its place, in a job."""
    told = json.loads(environment[VARIABLE])
    kinds: dict[str, type[Rule]] = {kind.__name__: kind for kind in (Damage, Refuse, Slow, Die)}
    if told["rule"] in kinds:
        rule = kinds[told["rule"]](**told["fields"])
        install(Journal(Path(told["folder"])), rule, in_job=True)


def _draw(seed: int, name: str) -> int:
    """Draw a number for an object: the same one for the same seed, whatever its run is called."""
    return zlib.crc32(f"{seed} {name.partition('/')[2]}".encode())
