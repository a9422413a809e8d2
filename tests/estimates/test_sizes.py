"""Which sizes there are, and which of them is chosen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_knot.estimates.choice import ALONE, ENOUGH, SLACK, SPARE, first_allocation, margin, needed
from dask_knot.estimates.sizes import GIB, MIB, JobSize, readable, smallest, steps
from dask_knot.planning import fargate


@pytest.mark.parametrize("cores", [1, 2, 4, 8, 16])
def test_fargate_has_the_sizes_of_its_table(cores: int) -> None:
    assert steps("fargate", cores) == [size * MIB for size in fargate.SIZES[cores]]


def test_fargate_has_nothing_larger_and_rounds_cores_up() -> None:
    assert steps("fargate", 17) == []
    assert steps("fargate", 3) == steps("fargate", 4)


def test_ec2_has_the_ratios_of_its_families_then_larger_machines() -> None:
    assert steps("ec2", 1)[:5] == [2 * GIB, 4 * GIB, 8 * GIB, 16 * GIB, 32 * GIB]
    assert steps("ec2", 4)[:3] == [8 * GIB, 16 * GIB, 32 * GIB]


def test_this_machine_has_what_it_has() -> None:
    found = steps("local", 1, most=3000 * MIB)
    assert found[:4] == [64 * MIB, 96 * MIB, 128 * MIB, 192 * MIB]
    assert found[-2:] == [2 * GIB, 3000 * MIB]


@given(st.sampled_from(["local", "ec2", "fargate"]), st.sampled_from([1, 2, 4]))
def test_sizes_ascend(platform: str, cores: int) -> None:
    found = steps(platform, cores)
    assert found == sorted(set(found))


def test_a_size_is_said_as_a_setting_takes_it() -> None:
    assert str(JobSize(1, 3 * GIB)) == "1 vCPU, 3 GiB"
    assert readable(384 * MIB) == "384 MiB"
    assert smallest(200, [100, 300, 400]) == 300
    assert smallest(500, [100, 300, 400]) is None


LADDER = [128, 192, 256, 384, 512, 768, 1024]


@pytest.mark.parametrize(
    ("peaks", "size"),
    [
        ([100, 100, 100], 128),
        ([120, 121, 119], 192),  # less than an eighth of 128 would be to spare
        ([200, 240, 340], 512),  # another may be as far above as the least is below
        ([100], 192),  # half as much again: one says nothing of others
        ([100, 700], None),
        ([120] * ENOUGH, 128),
        ([250] * 10, 384),  # 250 and a little more is above 256
        ([100] * 99 + [700], 128),  # one of a hundred runs again, in the largest
        ([100] * 3 + [110, 700, 720], 768),  # a third would run again
    ],
)
def test_the_size_that_is_chosen(peaks: list[int], size: int | None) -> None:
    assert needed(peaks, [1.0] * len(peaks), LADDER) == size


@pytest.mark.parametrize(
    ("long", "sizes", "size"),
    [
        (1.0, [128, 384, 512, 768], 128),
        (9.0, [384, 512, 768], 384),
        (9.0, [512, 768], 768),  # 0.537 against 0.556 of what would be done without loss
        (500.0, [384, 512, 768], 768),
    ],
)
def test_what_is_rare_but_long_is_no_reason_for_small_jobs(
    long: float, sizes: list[int], size: int
) -> None:
    assert first_allocation([100] * 9 + [700], [1.0] * 9 + [long], sizes) == size


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=20))
def test_few_samples_fit_with_room_to_spare_and_no_smaller_size_does(peaks: list[int]) -> None:
    ladder = [*range(10, 2001, 10)]
    size = needed(peaks, [1.0] * len(peaks), ladder)
    assert size is not None
    if len(peaks) < ENOUGH:
        assert size >= int(max(peaks) * margin(peaks)) > size - 10
    else:
        assert int(min(peaks) * SLACK) <= size


@pytest.mark.parametrize(
    ("peaks", "places", "factor"),
    [
        ([100], [1.0], ALONE),
        ([100, 101, 99], [], SPARE),
        ([100, 50, 60], [], 1.5),  # nothing shows which is large: another may be larger
        ([100, 50, 75], [2.0, 0.0, 1.0], SPARE),  # on a line: the largest was tried
        ([100, 50, 95], [2.0, 0.0, 1.0], 1.2),  # 20 off it
        ([100, 50], [2.0, 0.0], 1.5),  # a line goes through any two
        ([100, 50, 75], [1.0, 1.0, 1.0], 1.5),
        ([100, 50, 75], [1.0, 0.0], 1.5),  # of one it isn't known
    ],
)
def test_others_may_need_more_than_those_that_were_tried(
    peaks: list[int], places: list[float], factor: float
) -> None:
    assert margin(peaks, places) == pytest.approx(factor)


def test_what_whole_runs_had_fits_with_a_little_to_spare() -> None:
    assert needed([110], [1.0], LADDER, SPARE) == 128
    assert needed([110], [1.0], LADDER) == 192
