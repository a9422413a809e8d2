"""A child that runs a shard: what `dask_knot.job` does, without values and in virtual time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import NamedTuple

from dask.typing import Key

from benchmarks.simulate import timetable
from benchmarks.simulate.jobs import Child
from benchmarks.simulate.ledger import Ledger
from benchmarks.simulate.network import read_seconds
from benchmarks.simulate.site import Site
from benchmarks.simulate.sources import fetch
from benchmarks.simulate.timetable import Reads
from dask_knot.job.attempts import TWIN
from dask_knot.job.parts import LONGEST, SHORTEST_INTERVAL
from dask_knot.run.manifest import Manifest
from dask_knot.run.names import ShardId
from dask_knot.run.orders import Claimant
from dask_knot.run.work import ShardWork


class Turn(NamedTuple):
    """A task of a shard, by its position, and when it runs."""

    position: int
    start: float
    end: float


class ShardProgram:
    """Runs one shard, as the program of a child.

    Parameters
    ----------
    site : Site
        What it shares with others.
    shard : ShardId
        Which shard.
    is_twin : bool
        Whether another child runs it, too: then all that it commits is the last manifest.
    """

    def __init__(self, site: Site, shard: ShardId, is_twin: bool = False) -> None:
        self._site = site
        self._shard = shard
        self._is_twin = is_twin
        self._next = 0  # number of what is scheduled next: what was scheduled before counts no more
        self._looks_at = 0.0  # when orders are looked at next
        self._is_over = False
        self._lost: dict[int, tuple[str, ...]] = {}
        self._ran: dict[int, tuple[float, float]] = {}

    # What the fleet calls.

    def start(self, child: Child) -> None:
        """Read the pack and what was committed before, fetch inputs, and begin."""
        self._child, self._clock = child, child.clock
        site, shard = self._site, self._shard
        pack = site.run.packs[shard.stage]
        nbytes = pack.nbytes[shard.index]
        site.traffic.get(nbytes, requests=2)
        self._begin = self._clock.time() + 2 * read_seconds(site.run.numbers, nbytes / 2)
        self._take(pack.works[shard.index], child.attempt + (TWIN if self._is_twin else 0))
        if self._attempt > 1 and not self._recover():
            self._leave()
            return
        site.at_work.setdefault(shard.stage, {})[self] = None
        self._fetched = fetch(site.run, site.traffic, self._work, site.truth.nbytes, self._begin)
        self._plan(self._todo(), self._fetched.begin)
        self._go_on()
        self.expect_orders()

    def stop(self, child: Child) -> None:
        """Commit what is done, as at SIGTERM."""
        if self._is_over:
            return
        self._note_done()
        if self._ledger.is_waiting and not self._is_twin:
            self._ledger.commit(is_final=False)
        if self._order:
            lasted = self._clock.time() - self._order[0].start
            most = self._site.truth.seconds.get(self._keys[self._order[0].position], 0.0)
            child.fleet.used += max(0.0, min(lasted, most))
        self._end()

    def expect_orders(self) -> None:
        """Look at the orders when it looks next, if they concern it."""
        now, first = self._clock.time(), self._work.options.part_seconds
        if self._orders() and self._looks_at <= now:
            look = timetable.next_look(first, LONGEST * first, now - self._begin)
            self._looks_at = self._begin + look
            self._clock.call_later(self._looks_at - now, self._obey)

    # The beginning.

    def _take(self, work: ShardWork, attempt: int) -> None:
        site = self._site
        self._work, self._attempt = work, attempt
        self._keys: Sequence[Key] = [node.key for node in work.tasks]
        self._reads = Reads.of(work)
        positions = {key: number for number, key in enumerate(self._keys)}
        self._outputs = [positions[key] for key in work.outputs]
        ordinals = {key: number for number, key in enumerate(work.outputs)}
        sizes = site.truth.nbytes
        self._ledger = Ledger(site.run, site.traffic, self._shard, ordinals, sizes, attempt)

    def _recover(self) -> bool:
        """Take over what earlier attempts have committed; tell whether anything is left to do."""
        run, parts = self._site.run, list[tuple[int, Manifest]]()
        self._site.traffic.requests["list"] += 1
        for id in run.manifests_of(self._shard.stage):
            if id.shard == self._shard:
                if id.part is None:
                    return False
                commit, nbytes = run.manifest_of(id)
                self._site.traffic.get(nbytes)
                parts.append((id.part, commit.manifest))
        self._ledger.recover(parts)
        self._begin += read_seconds(run.numbers, 0, 1 + len(parts))
        return True

    def _todo(self) -> list[int]:
        """Name the tasks that are to run: for outputs that are neither committed nor given up."""
        handed, there = self._ledger.handed, {*self._ran}
        own = len(self._outputs)
        there |= {self._outputs[o.ordinal] for o in self._ledger.committed if o.ordinal < own}
        wanted = self._outputs
        if handed is not None:
            gone, extra = set(handed.outputs), set(handed.extra)
            wanted = [place for number, place in enumerate(wanted) if number not in gone]
            wanted += [place for place, key in enumerate(self._keys) if key in extra]
        return timetable.needed(self._reads, wanted, there)

    def _plan(self, positions: Iterable[int], begin: float) -> None:
        """Tell when tasks will run, one after another."""
        self._order: deque[Turn] = deque()
        now = begin
        for position in positions:
            outside = self._reads.outside[position]
            if lost := self._loss(position):
                self._lost[position] = lost
            start = max([now, *(self._fetched.there.get(key, 0.0) for key in outside)])
            now = start
            if not lost:
                now += self._site.seconds(self._keys[position], self._fetched, outside)
            self._order.append(Turn(position, start, now))

    def _loss(self, position: int) -> tuple[str, ...]:
        """Name the lost objects for want of which a task can't run."""
        lost = self._fetched.lost
        for key in self._work.tasks[position].dependencies if lost else ():
            if key in lost:
                return lost[key]
        for read in self._reads.inside[position] if self._lost else ():
            if read in self._lost:
                return self._lost[read]
        return ()

    # What goes on beside the tasks.

    def _go_on(self) -> None:
        """See to the next part, or to the end."""
        now = self._clock.time()
        end = self._order[-1].end if self._order else now
        tick = None if self._is_twin else self._next_part()
        if tick is None or tick >= end:
            self._at(end, self._finish)
        else:
            self._at(tick, self._commit_part)

    def _next_part(self) -> float | None:
        """Tell when something is committed next: at the first tick behind the end of an output."""
        interval = max(self._work.options.part_seconds, SHORTEST_INTERVAL)
        if self._ledger.is_waiting:
            return timetable.next_tick(self._begin, interval, self._clock.time())
        for turn in self._order:
            if self._keys[turn.position] in self._ledger:
                return timetable.next_tick(self._begin, interval, turn.end)
        return None

    def _commit_part(self) -> None:
        self._note_done()
        self._at(self._clock.time() + self._ledger.commit_seconds(), self._write_part)

    def _write_part(self) -> None:
        if self._ledger.commit(is_final=False):
            self._go_on()
        else:
            self._leave()

    def _finish(self) -> None:
        """Commit what is left; what was given up and nobody has claimed is taken back."""
        self._note_done(is_end=True)
        if self._is_unclaimed():
            self._ledger.take_back()
            self._plan(self._todo(), self._clock.time())
            if self._order:
                self._go_on()
                return
        self._at(self._clock.time() + self._ledger.commit_seconds(), self._write_last)

    def _is_unclaimed(self) -> bool:
        """Tell whether it has given up tasks that no client has claimed by now."""
        if self._ledger.handed is None or self._is_twin:
            return False
        return self._site.run.claim(self._shard, Claimant.CHILD) is Claimant.CHILD

    def _write_last(self) -> None:
        if not (self._is_twin and self._has_handed_over()):
            self._ledger.commit(is_final=True)
        self._leave()

    def _has_handed_over(self) -> bool:
        """Tell whether the shard has handed over since its twin began."""
        run = self._site.run
        ids = (id for id in run.manifests_of(self._shard.stage) if id.shard == self._shard)
        has_handed = any(run.manifest_of(id)[0].manifest.handed is not None for id in ids)
        return has_handed and self._ledger.handed is None

    def _note_done(self, is_end: bool = False) -> None:
        """Take the tasks that have ended by now into the ledger; all, if this is the end."""
        site = self._site
        # An event loop may call a moment early, by the resolution of its clock.
        now = inf if is_end else self._clock.time() + 1e-6
        while self._order and self._order[0].end <= now:
            position, start, end = self._order.popleft()
            key = self._keys[position]
            self._ran[position] = (start, end)
            self._ledger.note(key, start, end, self._lost.get(position, ()))
            site.tasks += position not in self._lost
            if key in site.truth.reads:
                site.traffic.get(site.truth.reads[key])
            self._child.fleet.used += site.truth.seconds.get(key, 0.0)

    # Orders.

    def _orders(self) -> Callable[[], None] | None:
        """Tell what orders there are for it now."""
        orders, index = self._site.run.orders_for(self._shard.stage), self._shard.index
        if index in orders.unneeded:
            return self._leave
        is_free = self._ledger.handed is None and not self._is_twin
        return self._hand_over if index in orders.asked and is_free else None

    def _obey(self) -> None:
        order = None if self._is_over else self._orders()
        if order is not None:
            order()

    def _hand_over(self) -> None:
        """Give up what hasn't begun, and commit that at once."""
        self._note_done()
        running, unbegun = list(self._order)[:1], [turn.position for turn in self._order][1:]
        blocked = {*self._lost, *(turn.position for turn in running)}
        given = timetable.given_up(self._reads, unbegun, blocked)
        gone = set(given)
        outputs = [number for number, place in enumerate(self._outputs) if place in gone]
        if not outputs:
            return
        extra = timetable.extras(self._reads, given, {*self._outputs})
        keys = self._keys
        self._ledger.give_up(outputs, [keys[n] for n in given], [keys[n] for n in extra])
        for position in extra:
            if position in self._ran:
                self._ledger.add(keys[position], *self._ran[position])
        self._plan([n for n in unbegun if n not in gone], running[-1].end)
        self._order.extendleft(running)
        self._at(self._clock.time() + self._ledger.commit_seconds(), self._write_part)

    # The end.

    def _at(self, moment: float, call: Callable[[], object]) -> None:
        """Do something at a moment instead of whatever was to be done."""
        self._next += 1
        seconds = max(0.0, moment - self._clock.time())
        self._clock.call_later(seconds, self._do, self._next, call)

    def _do(self, number: int, call: Callable[[], object]) -> None:
        if number == self._next and not self._is_over:
            call()

    def _leave(self) -> None:
        self._end()
        self._child.exit()

    def _end(self) -> None:
        """Be over; the looks for orders that it has made are counted now."""
        self._is_over = True
        self._site.at_work.get(self._shard.stage, {}).pop(self, None)
        elapsed = max(0.0, self._clock.time() - self._begin)
        first = self._work.options.part_seconds
        looks = timetable.count_looks(first, LONGEST * first, elapsed)
        self._site.traffic.requests["get"] += looks
