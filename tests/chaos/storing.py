"""Faults of the store: objects are harmed, and requests are refused or take long."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from random import Random

from tests.chaos.edge import Damage, Refuse, Rule, Slow, harmed, kind_of
from tests.chaos.fault import Fault, Scene

#: What the client brings, and no task makes: it can't be made again.
BROUGHT = ("scattered",)
#: The kind of graph that has them nearly always.
HAVE = {"constants": "array", "data": "delayed", "scattered": "futures", "plugins": "futures"}
#: Seconds for which the store is away, or full: less than patience, and more than that.
BRIEFLY, LONG = (0.2, 2.0), (5.0, 6.0)
#: Size of the disk that is filled, or can only be read for a while.
DISK = "64m"


class Harm(Fault):
    """Objects are flipped, cut or deleted before anybody reads them."""

    def __init__(self, how: str, objects: str) -> None:
        super().__init__(f"{how} {objects}")
        self._how = how
        self._objects = objects
        self.heals = objects not in BROUGHT
        self.graph = HAVE.get(objects)
        if objects == "parts":
            self.part_interval, self.nap = 0.1, 0.05

    def rule(self, random: Random) -> Rule:
        """Harm one or two."""
        return Damage(self._how, self._objects, random.randrange(10**6), random.randint(1, 2))


class HarmHeld(Fault):
    """Objects that were read, and are held for later, are flipped, cut or deleted on the disk."""

    def __init__(self, how: str, objects: str) -> None:
        super().__init__(f"{how} held {objects}")
        self._how = how
        self._objects = objects
        self.heals = objects not in BROUGHT
        self.graph = HAVE.get(objects)

    def between(self, scene: Scene) -> None:
        """Harm one or two."""
        found = sorted(name for name in _objects(scene.store) if kind_of(name) == self._objects)
        for name in scene.random.sample(found, min(len(found), scene.random.randint(1, 2))):
            with suppress(FileNotFoundError):  # nobody needs it any more
                _harm(scene.store / name, self._how, scene.random.randrange(2**32))
                scene.journal.claim(2)


def _objects(store: Path) -> list[str]:
    """Name the objects of a store, some of which are deleted just now."""
    folders = os.walk(store)
    return [
        (Path(top) / file).relative_to(store).as_posix() for top, _, fs in folders for file in fs
    ]


def _harm(path: Path, how: str, draw: int) -> None:
    data = harmed(path.read_bytes(), how, draw)
    if data is None:
        path.resolve().unlink()  # be it that it lies in shared memory
        path.unlink(missing_ok=True)
    else:
        path.write_bytes(data)


class StoreTrouble(Fault):
    """The store refuses what it is asked, for less than patience or for longer."""

    def __init__(self, name: str, error: int, operations: tuple[str, ...], is_long: bool) -> None:
        super().__init__(f"{name} {'long' if is_long else 'briefly'}")
        self._error = error
        self._operations = operations
        self._seconds = LONG if is_long else BRIEFLY
        self.heals = not is_long
        self.leaves_objects = is_long
        self.patience = 1.5 if is_long else Fault.patience

    def rule(self, random: Random) -> Rule:
        """Refuse from one of the first requests on."""
        begin, seconds = random.randint(1, 25), random.uniform(*self._seconds)
        return Refuse(self._error, self._operations, begin, seconds)


class SlowStore(Fault):
    """Every second request takes up to 150 ms."""

    def rule(self, random: Random) -> Rule:
        """Let them wait."""
        return Slow(random.randrange(10**6), 0.15)


class Disk(Fault):
    """A disk of its own, for those who may mount one, which is full or read-only for a while."""

    nap = 0.03

    def __init__(self, name: str, is_filled: bool) -> None:
        super().__init__(name)
        self._is_filled = is_filled

    def place(self, store: Path) -> None:
        """Mount it."""
        super().place(store)
        if os.geteuid() == 0:
            _command("mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(store))

    def remove(self, store: Path) -> None:
        """Unmount it."""
        if os.path.ismount(store):
            _command("umount", "--lazy", str(store))

    def begin(self, scene: Scene) -> None:
        """Choose the moment."""
        if os.path.ismount(scene.store):
            scene.later(scene.random.uniform(0.0, 1.0), self._strike, scene)

    def _strike(self, scene: Scene) -> None:
        pause = scene.random.uniform(*BRIEFLY)
        if self._is_filled:
            _fill(scene.store / "filler")
        elif not _remount(scene.store, "ro"):
            return
        scene.journal.claim(1)
        time.sleep(pause)
        self.end(scene)

    def end(self, scene: Scene) -> None:
        """Let there be room."""
        if self._is_filled:
            (scene.store / "filler").unlink(missing_ok=True)
        elif os.path.ismount(scene.store):
            _remount(scene.store, "rw")


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as filler:
        for size in (2**20, 4096):
            try:
                while filler.write(bytes(size)) == size:
                    continue
            except OSError:  # now it is full
                continue


def _remount(folder: Path, how: str) -> bool:
    """Mount it in another way; it may be busy, as somebody just writes."""
    commands = (_command("mount", "-o", f"remount,{how}", str(folder)) for _ in range(200))
    return any(code == 0 for code in commands)


def _command(*command: str) -> int:
    return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode
