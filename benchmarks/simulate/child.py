"""What `dask_knot.job` does in a child, without values: reads, runs, commits, obeys orders."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from dask.typing import Key
from dask.utils import key_split

from benchmarks.simulate import timetable
from benchmarks.simulate.fleet import Child
from benchmarks.simulate.network import Traffic, read_seconds, write_seconds
from benchmarks.simulate.numbers import Numbers
from benchmarks.simulate.objects import SimulatedRun
from benchmarks.simulate.sources import Fetch, fetch
from benchmarks.simulate.timetable import Reads
from benchmarks.simulate.world import Workload
from dask_knot.job import parts as job_parts
from dask_knot.run.manifest import (
    INLINE_BYTES,
    INSIDE,
    Handed,
    Kind,
    Manifest,
    Output,
    Place,
    Work,
)
from dask_knot.run.names import ManifestId, ShardId, StageId
from dask_knot.run.orders import Claimant
from dask_knot.run.work import ShardWork


@dataclass(slots=True, eq=False)
class Site:
    """What all children of a session share.

    Attributes
    ----------
    run : SimulatedRun
        Where packs and manifests are.
    truth : Workload
        What tasks take, and how large values are.
    traffic : Traffic
        Counts what children ask of S3.
    tasks : int
        Tasks that ran.
    at_work : dict of StageId to dict of ShardProgram to None
        The children that run now.
    """

    run: SimulatedRun
    truth: Workload
    traffic: Traffic
    tasks: int = 0
    at_work: dict[StageId, dict[ShardProgram, None]] = field(default_factory=dict)

    def heed(self, stage: StageId) -> None:
        """Let the children of a stage know that there are orders: they will see when they look."""
        for program in list(self.at_work.get(stage, ())):
            program.expect_orders()

    @property
    def numbers(self) -> Numbers:
        """What everything takes."""
        return self.run.numbers


class ShardProgram:
    """Runs one shard.

    Parameters
    ----------
    site : Site
        What it shares with others.
    shard : ShardId
        Which shard.
    first_attempt : int
        The number of the child's first attempt: that of a twin is another one.
    """

    def __init__(self, site: Site, shard: ShardId, first_attempt: int = 1) -> None:
        self._site = site
        self._shard = shard
        self._first_attempt = first_attempt
        self._version = 0  # of what is scheduled: older calls count no more

    # What the fleet calls.

    def start(self, child: Child) -> None:
        """Read the pack, what was committed before, and the inputs; and begin."""
        site, shard = self._site, self._shard
        self._child = child
        self._now = child.clock.time
        pack = site.run.packs[shard.stage]
        self._work = pack.works[shard.index]
        self._keys: Sequence[Key] = [node.key for node in self._work.tasks]
        self._reads = Reads.of(self._work)
        positions = {key: n for n, key in enumerate(self._keys)}
        self._outputs = [positions[key] for key in self._work.outputs]
        self._ordinals = {position: n for n, position in enumerate(self._outputs)}
        self._attempt = self._first_attempt + child.attempt - 1
        site.traffic.get(pack.nbytes[shard.index], requests=2)
        self._begin = self._now() + 2 * read_seconds(
            site.numbers, pack.nbytes[shard.index] / 2
        )
        self._begin_empty()
        if self._attempt > 1 and not self._recover():
            self._leave()
            return
        gone = set(self._handed.outputs) if self._handed else set()
        wanted = [p for n, p in enumerate(self._outputs) if n not in gone]
        self._there |= {self._outputs[one.ordinal] for one in self._committed}
        todo = timetable.needed(self._reads, wanted, self._there)
        self._fetched = fetch(site.run, site.traffic, self._work, site.truth, self._begin)
        self._set_out(todo)
        site.at_work.setdefault(shard.stage, {})[self] = None
        self.expect_orders()

    def stop(self, child: Child) -> None:
        """Commit what is done, as at SIGTERM."""
        self._version += 1
        self._take_done(self._now())
        if self._pending:
            self._commit_part(None)
        self._forget()
        self._child.fleet.used += self._used_of_running()

    def expect_orders(self) -> None:
        """See to it that orders are looked at when it looks next."""
        if not self._orders():
            return
        first, longest = self._work.options.part_seconds, job_parts.LONGEST
        look = timetable.next_look(first, longest, self._now() - self._begin)
        self._at(self._begin + look, self._obey)
