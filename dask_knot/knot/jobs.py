"""KnotJob: a map of a run, of this session or of an earlier one, as Cloudknot's jobs are."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from dask_knot.errors import ConfigurationError, JobError, KnotError
from dask_knot.knot.future import MapFuture
from dask_knot.knot.ledger import MapLedger
from dask_knot.plural import many
from dask_knot.run.maps import MapRecord
from dask_knot.runs.state import ShardCondition

#: Seconds between two looks at a job of another session.
PAUSE = 2.0
_STATUS = {
    ShardCondition.DONE: "SUCCEEDED",
    ShardCondition.ERRED: "SUCCEEDED",  # as a job; what its tasks raised is with the items
    ShardCondition.RUNNING: "RUNNING",
}


@dataclass(slots=True, eq=False, repr=False)
class KnotJob:
    """One map of a knot, of this session or an earlier one. `Knot.jobs` lists them.

    Attributes
    ----------
    record : MapRecord
        What the run keeps about the map.
    """

    record: MapRecord
    _ledger: MapLedger
    _renew: Callable[[], MapLedger]
    _future: MapFuture | None
    _read_logs: Callable[[list[str]], Mapping[str, str]]

    def __repr__(self) -> str:
        count = "items" if self.items is None else many("item", self.items)
        function = self.record.function or "a function"
        try:
            state = str(self.status["status"])
        except KnotError:  # the store can't be asked
            state = "unknown"
        return f"<KnotJob {self.name}: {function}, {count}, {state}>"

    @property
    def name(self) -> str:
        """The name of the map. The keys of its items begin with it."""
        return self.record.name

    @property
    def items(self) -> int | None:
        """The number of items, or None if they were never read to the end."""
        return self.record.items

    @property
    def made(self) -> datetime:
        """When the map was submitted."""
        return datetime.fromtimestamp(self.record.made, timezone.utc)

    @property
    def starmap(self) -> bool:
        """Whether each item is a tuple of arguments."""
        return self.record.starmap

    @property
    def array_job(self) -> bool:
        """True if it has more than one item, so that it may be array jobs of Batch."""
        return self.record.items != 1

    @property
    def environment_variables(self) -> list[str]:
        """The names of the environment variables that were set for it."""
        return list(self.record.variables)

    @property
    def job_ids(self) -> list[str]:
        """The Batch ids of its jobs, as far as they were recorded."""
        return list(self._ledger.job_ids(self.record).values())

    @property
    def job_id(self) -> str:
        """The Batch id of its first job; empty if there is none yet."""
        return next(iter(self.job_ids), "")

    @property
    def status(self) -> dict[str, Any]:
        """The state in Batch's words, with status, statusReason and arrayProperties."""
        counts = self._ledger.counts(self.record)
        size = self.record.items
        word, reason = self._word(dict(counts))
        properties = {"size": size, "statusSummary": dict(counts)}
        return {"status": word, "statusReason": reason, "arrayProperties": properties}

    @property
    def done(self) -> bool:
        """True if there is nothing to wait for, as all is done or nothing computes the rest."""
        if self._future is not None:
            return self._future.done()
        return self.status["status"] in ("SUCCEEDED", "FAILED")

    def result(self, timeout: float | None = None) -> list[Any]:
        """Wait for all values and return them in the order of the items.

        Parameters
        ----------
        timeout : float, optional
            How many seconds to wait at most.

        Raises
        ------
        Exception
            What the function raised for the first item that failed.
        TimeoutError
            If the values aren't there in time.
        JobError
            If the map ended early, or nothing computes the missing values. `values` returns the
            others.
        """
        if self._future is not None:
            return self._future.result(timeout)
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            found = self._ledger.find(self.record)
            size = self.record.items
            there = len(found.places) + len(found.failures)
            if self.record.error:
                raise JobError(f"{self.name} ended early: {self.record.error}", self.job_id)
            if size is not None and there == size:
                break
            if self.done:
                raise JobError(self._missing(there), self.job_id)
            left = PAUSE if deadline is None else deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"{there:,} of {size or '?'} items of {self.name} are there")
            time.sleep(min(PAUSE, left))
            self._look_again()
        if found.failures:
            raise self._ledger.read_failure(found.failures[min(found.failures)])
        values = self._ledger.read(self.name, found.places)
        return [values[number] for number in range(size)]

    def values(self) -> dict[int, Any]:
        """Return the values that are there, by the number of the item."""
        found = self._ledger.find(self.record)
        return self._ledger.read(self.name, dict(sorted(found.places.items())))

    def logs(self) -> dict[str, str]:
        """Return the last lines of its jobs' logs, by the id of the job that wrote them."""
        return dict(self._read_logs(self.job_ids))

    def terminate(self, reason: str = "") -> None:
        """Stop what is still running. Finished values are kept.

        Raises
        ------
        ConfigurationError
            If the map belongs to another session.
        """
        if self.done:
            return
        if self._future is None:
            raise ConfigurationError(
                f"{self.name} belongs to another session: `dask knot cancel "
                f"{self._ledger.run.name}` stops all jobs of the knot"
            )
        self._future.cancel()

    def children(self) -> list[tuple[str, str]]:
        """List its Batch child jobs, as pairs of id and state."""
        ids = self._ledger.job_ids(self.record)
        shards = self._ledger.shards_of(self.record)
        sizes = {
            stage: len(s.conditions)
            for p in self._ledger.plans
            for s in p.stages
            if (stage := s.id) in ids
        }
        return [
            (
                ids[id.stage] if sizes[id.stage] == 1 else f"{ids[id.stage]}:{id.index}",
                _STATUS.get(condition, "FAILED"),
            )
            for id, condition in shards.items()
            if id.stage in ids
        ]

    def _word(self, counts: Mapping[str, int]) -> tuple[str, str]:
        size, there = self.record.items, sum(counts.values())
        under_way = ("RUNNING" if there else "PENDING"), ""
        if self._future is not None and not self._future.done():
            return under_way
        if self.record.error:
            return "FAILED", self.record.error
        if counts.get("RUNNING"):
            return under_way
        if counts.get("SUCCEEDED", 0) == size:
            return "SUCCEEDED", ""
        # Its session may not have submitted all of it yet.
        if self._future is None and there != size and self._ledger.is_held(self.record):
            return under_way
        return "FAILED", self._why(counts)

    def _why(self, counts: Mapping[str, int]) -> str:
        done, size = counts.get("SUCCEEDED", 0), self.record.items
        of = "an unknown number of items" if size is None else many("item", size)
        return f"{done:,} of {of} have a value"

    def _missing(self, there: int) -> str:
        size = self.record.items
        of = "an unknown number of" if size is None else f"{size:,}"
        return (
            f"{there:,} of {of} items of {self.name} are done, and nothing computes the "
            f"rest: its client is gone. Knot({self._ledger.run.name!r}, func).map(the same "
            "items) computes only what is missing; values() gives the finished ones"
        )

    def _look_again(self) -> None:
        self._ledger = self._renew()
        self.record = next((r for r in self._ledger.maps if r.name == self.name), self.record)
