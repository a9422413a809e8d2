"""What the maps of a run are told to be, from objects that no cluster has written."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from dask_knot.knot.ledger import MapLedger
from dask_knot.run.maps import MapRecord
from dask_knot.run.names import ShardId, StageId
from dask_knot.run.run import Run
from dask_knot.runs.presence import Observer
from dask_knot.runs.reading import RunView, read_run
from tests.runs.stores import MadeRun


class Source:
    """A session that reads what somebody else has made."""

    def __init__(self, made: MadeRun) -> None:
        self.run: Run = made.run
        self._info = made.info

    def view(self) -> RunView:
        """Read the run as others see it."""
        return read_run(self.run, self._info, Observer(lambda line: pytest.fail(line)))


@pytest.mark.parametrize(("is_alive", "rest"), [(True, "RUNNING"), (False, "FAILED")])
def test_items_count_as_soon_as_a_part_tells_of_them(
    tmp_path: Path, is_alive: bool, rest: str
) -> None:
    made = MadeRun(tmp_path)
    plan = made.planned(made.open(is_alive=is_alive), [["done", "begun", "erred", "waits"]])
    (stage,) = plan.stages
    wide = replace(stage, outputs=[1, 2, 2, 1], sizes=[1, 2, 2, 1])
    record = made.run.record.maps.claim(MapRecord("double", 0, 1.0, items=6))
    keys = [(record.name, number) for number in range(6)]
    whole = replace(plan, stages=[wide], keys=keys, digests=b"." * 16 * 6, wanted=range(6))
    made.run.record.append(whole, 0)
    shards = [ShardId(StageId(plan.number, 0), index) for index in range(4)]
    made.finish(shards[0])
    made.part(shards[1], 0, values=[1])
    made.part(shards[2], 0, failures=[0])
    ledger = MapLedger(Source(made))
    (there,) = ledger.maps
    assert ledger.counts(there) == Counter({"SUCCEEDED": 2, "FAILED": 1}) + Counter({rest: 3})
    found = ledger.find(there)
    assert (sorted(found.places), sorted(found.failures)) == ([0, 2], [3])
