"""What stages wait for, as tables."""

from __future__ import annotations

import pytest

from dask_knot.planning import Dependency, DependencyType, EarlierStage
from dask_knot.planning.dependencies import Reading, link_stages

WHOLE, PAIRED = False, True


def pair(stage: int) -> Dependency:
    return Dependency(stage, DependencyType.N_TO_N)


@pytest.mark.parametrize(
    ("readings", "last"),
    [
        ([Reading(4), Reading(4, {0: WHOLE})], (Dependency(0),)),
        ([Reading(4), Reading(4, {0: PAIRED})], (pair(0),)),
        ([Reading(4), Reading(3, {0: PAIRED})], (Dependency(0),)),
        ([Reading(1), Reading(1, {0: PAIRED})], (Dependency(0),)),
        # 2 waits for the whole of 1, which waited for the whole of 0.
        ([Reading(4), Reading(4, {0: WHOLE}), Reading(4, {0: WHOLE, 1: WHOLE})], (Dependency(1),)),
        # Child i of 1 started after the whole of 0.
        ([Reading(4), Reading(4, {0: WHOLE}), Reading(4, {0: WHOLE, 1: PAIRED})], (pair(1),)),
        # Child i of 1 waited for child i of 0 only.
        (
            [Reading(4), Reading(4, {0: PAIRED}), Reading(4, {0: WHOLE, 1: PAIRED})],
            (Dependency(0), pair(1)),
        ),
        (
            [Reading(2), Reading(2, {0: PAIRED}), Reading(2, {1: PAIRED}), Reading(2, {0: WHOLE})],
            (Dependency(0),),
        ),
        ([Reading(2, external={"a": None})], (Dependency(EarlierStage("a")),)),
        # The stage before has waited for it already.
        (
            [Reading(2, external={"a": None}), Reading(1, {0: WHOLE}, {"a": None, "b": None})],
            (Dependency(0), Dependency(EarlierStage("b"))),
        ),
    ],
)
def test_last_stage_waits(readings: list[Reading], last: tuple[Dependency, ...]) -> None:
    assert link_stages(readings)[-1] == last


def test_a_pair_does_not_stand_for_the_whole_array() -> None:
    ladder = [
        Reading(2),
        Reading(2, {0: PAIRED}),
        Reading(2, {1: PAIRED}),
        Reading(2, {0: PAIRED, 2: PAIRED}),
        Reading(1, {2: WHOLE, 0: WHOLE}),
    ]
    linked = link_stages(ladder)
    assert linked[3] == (pair(0), pair(2))
    assert linked[4] == (Dependency(0), Dependency(2))


def test_pairs_are_kept_while_one_shard_keeps_to_them() -> None:
    reading = Reading(2)
    reading.add(0, True)
    reading.add(0, False)
    reading.add(0, True)
    assert reading.upstream == {0: WHOLE}
