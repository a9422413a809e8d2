"""Stores of runs that no cluster has made: records and manifests are written directly."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dask_knot.run import codec
from dask_knot.run.failure import fail
from dask_knot.run.manifest import INSIDE, Handed, Kind, Manifest, Output, Place, Work
from dask_knot.run.names import ManifestId, ShardId, StageId
from dask_knot.run.obituary import Obituary
from dask_knot.run.orders import Claimant
from dask_knot.run.presence import Beat, Presence, RunInfo, SessionInfo
from dask_knot.run.record import PlanRecord, RecordedStage
from dask_knot.run.run import Run
from dask_knot.run.store import Store
from dask_knot.runs.machine import machine_id, process_start

ELSEWHERE = "another machine"


def digest(text: str) -> bytes:
    """Make a digest that can be told from others in a failing test."""
    return text.encode().ljust(16, b".")


@dataclass
class MadeRun:
    """A run in a folder or store, written piece by piece."""

    place: Path | Store
    name: str = "climate"
    engine: str = "local"
    entries: int = 0
    run: Run = field(init=False)

    def __post_init__(self) -> None:
        store = self.place if isinstance(self.place, Store) else Store(self.place)
        self.run = Run(store, self.name)
        self.info = RunInfo(time.time() - 3 * 3600, "ada@laptop", self.engine, "0.1")
        self.run.record.found(self.info)

    def open(self, is_alive: bool = False, machine: str = ELSEWHERE, has_left: bool = True) -> int:
        """Open a session, which is that of this very process if it is alive."""
        pid = os.getpid()
        who = SessionInfo(
            "ada",
            "laptop",
            machine_id() if is_alive else machine,
            pid,
            process_start(pid) or 0.0 if is_alive else 0.0,
            self.engine,
            time.time() - 3600,
        )
        first = self.run.claim_session(who)
        number = first // 1_000_000
        state = Presence.OPEN if is_alive or not has_left else Presence.LEFT
        self.run.record.beat(number, Beat(0, state, 0.2))
        return first

    def plan(
        self,
        number: int,
        keys: Sequence[Sequence[str]],
        digests: bytes | None = None,
        sizes: int = 5,
    ) -> PlanRecord:
        """Record a plan of one stage after another, with so many shards of one output each."""
        record = self.planned(number, keys, digests, sizes)
        assert self.run.record.append(record, self.entries)
        self.entries += 1
        return record

    def planned(
        self,
        number: int,
        keys: Sequence[Sequence[str]],
        digests: bytes | None = None,
        sizes: int = 5,
    ) -> PlanRecord:
        """Make a plan of one stage after another, with so many shards of one output each."""
        stages = [
            RecordedStage(
                [StageId(number, one - 1)] if one else [],
                {names[0].partition("-")[0]: sizes * len(names)},
                1.0,
                2**30,
                0,
                [1] * len(names),
                [sizes] * len(names),
            )
            for one, names in enumerate(keys)
        ]
        outputs = [key for names in keys for key in names]
        return PlanRecord(
            number,
            time.time() - 1800,
            stages,
            outputs,
            digests if digests is not None else b"".join(map(digest, outputs)),
            [len(outputs) - 1],
        )

    def finish(self, shard: ShardId, prefix: str = "load") -> None:
        """Commit a shard."""
        value = b"".join(codec.frame(codec.pickled(1)))
        output = Output(0, Kind.FINISHED, Place(INSIDE, 0, len(value)), 28, 0, 1.0, 2.0)
        done = Manifest(True, 1, [output], [(b"", "int")], {prefix: Work(5, 1.0)})
        assert self.run.write_manifest(ManifestId(shard, None), done, [value])

    def hand_over(
        self, shard: ShardId, tasks: int, claimant: Claimant | None, part: int | None = None
    ) -> None:
        """Commit a shard, or a part of it, that was to hand over so many tasks."""
        if claimant is not None:
            assert self.run.claim(shard, claimant) is claimant
        is_given = part is not None or claimant is Claimant.CLIENT
        handed = Handed((1,), {"load": tasks}) if is_given else None
        work = {"load": Work(5 - tasks, 1.0)}
        done = Manifest(part is None, 1, [], [], work, handed=handed)
        assert self.run.write_manifest(ManifestId(shard, part), done, []) is not None

    def part(
        self,
        shard: ShardId,
        number: int,
        tasks: int = 0,
        values: Sequence[int] = (),
        failures: Sequence[int] = (),
    ) -> None:
        """Commit a part of a shard, in which so many tasks are done, with some of its outputs."""
        data = [b"".join(codec.frame(codec.pickled(ordinal))) for ordinal in values]
        data += [fail(ZeroDivisionError("division by zero"), "load-1").encode() for _ in failures]
        kinds = [(n, Kind.FINISHED) for n in values] + [(n, Kind.ERRED) for n in failures]
        outputs, start = [], 0
        for (ordinal, kind), one in zip(kinds, data, strict=True):
            outputs.append(Output(ordinal, kind, Place(INSIDE, start, len(one)), 28, 0, 1.0, 2.0))
            start += len(one)
        work = {"load": Work(tasks, 1.0)} if tasks else {}
        part = Manifest(False, 1, outputs, [(b"", "int")], work)
        assert self.run.write_manifest(ManifestId(shard, number), part, data) is not None

    def err(self, shard: ShardId, key: str = "load-1") -> None:
        """Commit a shard whose task raised."""
        data = fail(ZeroDivisionError("division by zero"), key).encode()
        output = Output(0, Kind.ERRED, Place(INSIDE, 0, len(data)), 0, 0, 1.0, 2.0)
        self.run.note_erred(shard)
        done = Manifest(True, 1, [output], [], {"load": Work(5, 1.0, erred=1)})
        assert self.run.write_manifest(ManifestId(shard, None), done, [data])

    def lose(self, shard: ShardId) -> None:
        """Write the obituary of a child."""
        text = "job job-1 used more memory than allowed\nThe last lines of its log:\n  out"
        log = ("reading a.nc", "out")
        end = Obituary("MEMORY", "JobMemoryError", text, "job-1", "OutOfMemory", log)
        assert self.run.record.write_obituary(shard, end)
