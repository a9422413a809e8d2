"""A heart beats through all trouble of the store, and stops with the run."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dask_knot.errors import JobTerminatedError, KnotError, RunDeletedError, StoreError
from dask_knot.run.presence import Presence, RunInfo
from dask_knot.run.run import Run
from dask_knot.run.store import Store
from dask_knot.session import virtual
from dask_knot.session.heart import Heart
from dask_knot.session.virtual import VirtualLoop

INTERVAL = 15.0


class Patient:
    """A heart in virtual time."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.store = Store("memory://")
        self.run = Run(self.store, "run")
        self.run.record.found(RunInfo(0.0, "me", "aws", "1"))
        self.ends: list[KnotError] = []
        record = self.run.record
        clockwork = loop.clockwork()
        self.heart = Heart(record, 3, INTERVAL, clockwork, self.ends.append, lambda: None)
        self.beating = asyncio.ensure_future(self.heart.beat_on())

    @property
    def count(self) -> int:
        """The number of beats that came."""
        beat = self.run.record.read_beat(3)
        assert beat is not None
        return beat.count

    async def leave(self) -> None:
        """Stop, and say so."""
        self.beating.cancel()
        await asyncio.gather(self.beating, return_exceptions=True)
        self.heart.leave()


def play(scene: Any) -> None:
    async def main(loop: VirtualLoop) -> None:
        await scene(Patient(loop))

    virtual.run(main)


def test_it_beats_at_its_interval_and_says_when_it_leaves() -> None:
    async def scene(patient: Patient) -> None:
        await asyncio.sleep(10 * INTERVAL + 1)
        beat = patient.run.record.read_beat(3)
        assert beat is not None
        assert (beat.count, beat.state, beat.interval) == (10, Presence.OPEN, INTERVAL)
        await patient.leave()
        beat = patient.run.record.read_beat(3)
        assert beat is not None
        assert beat.state is Presence.LEFT
        assert patient.ends == []

    play(scene)


@pytest.mark.parametrize("error", [StoreError("away"), OSError("no route"), ValueError("odd")])
def test_trouble_of_the_store_does_not_end_it(error: Exception) -> None:
    async def scene(patient: Patient) -> None:
        def fail(*arguments: Any) -> None:
            raise error

        await asyncio.sleep(1)
        patient.store.put = fail  # type: ignore[method-assign]
        await asyncio.sleep(100 * INTERVAL)
        assert patient.count == 0
        del patient.store.put  # type: ignore[method-assign]
        await asyncio.sleep(INTERVAL)
        assert patient.count == 1
        patient.store.put = fail  # type: ignore[method-assign]
        await patient.leave()
        assert patient.ends == []

    play(scene)


def test_the_end_of_the_run_is_told_once() -> None:
    async def scene(patient: Patient) -> None:
        await asyncio.sleep(1)
        patient.run.delete_all()
        await asyncio.sleep(100 * INTERVAL)
        assert [type(error) for error in patient.ends] == [RunDeletedError]
        await patient.leave()
        assert patient.store.list("run/") == []  # nothing of it comes back

    play(scene)


def test_whoever_ends_all_jobs_is_told_of_each_time() -> None:
    async def scene(patient: Patient) -> None:
        await asyncio.sleep(1)
        for _ in range(2):
            patient.run.record.end("somebody@somewhere")
            await asyncio.sleep(3 * INTERVAL)
        assert [type(error) for error in patient.ends] == [JobTerminatedError] * 2
        assert "somebody@somewhere" in str(patient.ends[0])
        await patient.leave()

    play(scene)


def test_an_end_of_long_ago_is_none_of_ours() -> None:
    async def main(loop: VirtualLoop) -> None:
        patient = Patient(loop)
        patient.run.record.end("somebody@somewhere")  # before the first beat
        await asyncio.sleep(3 * INTERVAL)
        assert patient.ends == []
        await patient.leave()

    virtual.run(main)
