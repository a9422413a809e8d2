"""Every name can be read back, and sorts as listings need it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_knot.run.asks import Answer, Asks, Vitals
from dask_knot.run.inquiries import Inquiries
from dask_knot.run.names import (
    PLANS_PER_SESSION,
    RUN_NAME,
    Names,
    ShardId,
    StageId,
    first_plan,
    parse_pack,
    parse_shard,
    parse_stage,
    session_of,
)
from dask_knot.run.store import Store

NAMES = Names("run")
RUNS = st.from_regex(RUN_NAME, fullmatch=True)
STAGES = st.builds(StageId, st.integers(0, 999_999), st.integers(0, 99_999))
SHARDS = st.builds(ShardId, STAGES, st.integers(0, 9_999))
PARTS = st.none() | st.integers(0, 99_999)


@given(RUNS, SHARDS, PARTS)
def test_manifests_are_read_back(run: str, shard: ShardId, part: int | None) -> None:
    lost = Names(run).manifest(shard, is_lost=True)
    assert Names(run).parse_manifest(lost) == (shard, None, True)
    name = Names(run).manifest(shard, part)
    assert name.startswith(Names(run).manifests)
    assert Names(run).parse_manifest(name) == (shard, part, False)


@given(RUNS, STAGES, st.sampled_from(["file:///a folder/b", "s3://bucket", "s3://bucket/a/packs"]))
def test_packs_are_read_back(run: str, stage: StageId, root: str) -> None:
    assert parse_pack(f"{root}/{Names(run).pack(stage)}") == (root, run, stage)


@given(RUNS, SHARDS, PARTS, st.integers(0, 999_999))
def test_the_offset_splits_plans(run: str, shard: ShardId, part: int | None, plan: int) -> None:
    is_listed = Names(run).manifest(shard, part) > Names(run).before_plan(plan)
    assert is_listed == (shard.stage.plan >= plan)


@given(st.lists(st.tuples(SHARDS, PARTS, st.integers(1, 10)), unique=True))
def test_no_two_objects_share_a_name(what: list[tuple[ShardId, int | None, int]]) -> None:
    manifests = [NAMES.manifest(shard, part) for shard, part, _ in what]
    assert len(set(manifests)) == len({(shard, part) for shard, part, _ in what})
    data = {NAMES.data(shard, part or 0, attempt) for shard, part, attempt in what}
    assert len(data) == len({(shard, part or 0, attempt) for shard, part, attempt in what})
    packs = {NAMES.pack(shard.stage) for shard, _, _ in what}
    assert len(packs) == len({shard.stage for shard, _, _ in what})


def asked() -> list[str]:
    """Name the objects of what people ask, which `Inquiries` keeps to itself."""
    store, shard = Store("memory://"), ShardId(StageId(1, 2), 3)
    inquiries = Inquiries(store, NAMES)
    inquiries.tell(shard.stage, Asks(watch="1"))
    inquiries.answer("1", shard, Answer("job", "1", "host", 1, "/"))
    inquiries.tell_vitals(shard, Vitals("1", 0, "job", "host", 1, 0.5, 1, 2))
    return store.list("")


def test_all_objects_of_a_run_are_below_its_name() -> None:
    shard = ShardId(StageId(1, 2), 3)
    found = [
        NAMES.pack(shard.stage),
        NAMES.manifest(shard),
        NAMES.manifest(shard, is_lost=True),
        NAMES.erred(shard),
        NAMES.data(shard, 0, 1),
        NAMES.constants(shard.stage),
        NAMES.orders(shard.stage),
        NAMES.claim(shard),
        NAMES.plugins("digest"),
        NAMES.bundle("digest"),
        NAMES.scattered(5),
        NAMES.session(5),
        NAMES.beat(5),
        NAMES.profile(5),
        NAMES.entry(5),
        NAMES.jobs(5),
        NAMES.why(5),
        NAMES.published("name"),
        NAMES.map(5),
        NAMES.taken(5),
    ]
    assert len({*found}) == len(found)
    assert {"/".join(name.split("/")[:2]) for name in (*found, *asked())} == {*NAMES.folders}
    assert {name.rpartition("/")[0] for name in (NAMES.info, NAMES.probe)} == {"run"}


@given(st.lists(st.integers(0, 99_999), unique=True))
def test_numbers_are_read_back_whatever_stands_beside_them(numbers: list[int]) -> None:
    strange = ["run/log/1", "run/sessions/00001", "run/log/x", "run/log/0000000001.tmp", "x/0001.y"]
    sessions = [NAMES.session(number) for number in numbers]
    assert NAMES.parse_sessions([*strange, *sessions]) == sorted(numbers)
    assert NAMES.parse_entries([*strange, *map(NAMES.entry, numbers)]) == sorted(numbers)
    entries = sorted(map(NAMES.entry, numbers))
    assert entries == [NAMES.entry(number) for number in sorted(numbers)], "listings have an offset"


@given(st.integers(0, 9_999), st.integers(0, PLANS_PER_SESSION - 1))
def test_a_plan_knows_its_session(session: int, number: int) -> None:
    assert session_of(first_plan(session) + number) == session


@given(st.text(st.characters()), st.text(st.characters()))
def test_any_text_names_a_dataset(one: str, other: str) -> None:
    first, second = NAMES.published(one), NAMES.published(other)
    assert re.fullmatch("run/published/[a-z0-9_=-]{1,200}", first)
    assert (first.casefold() == second.casefold()) == (one == other)
    assert NAMES.parse_published(first) == (None if "=long-" in first else one)


def test_a_long_text_names_a_dataset_but_cannot_be_read_back() -> None:
    names = [NAMES.published("x" * length) for length in (180, 181, 10_000)]
    assert [NAMES.parse_published(name) for name in names] == ["x" * 180, None, None]
    assert max(map(len, names)) < 200


@pytest.mark.parametrize(
    "name", ["run/published/A", "run/published/=4", "run/published/=zz", "run/published/", "run/x"]
)
def test_what_is_no_dataset_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a published dataset of run 'run'"):
        NAMES.parse_published(name)


def test_data_is_spread_over_prefixes() -> None:
    shards = [ShardId(StageId(0, 0), index) for index in range(1000)]
    prefixes = {NAMES.data(shard, 0, 1).split("/")[2] for shard in shards}
    assert len(prefixes) > 200


@pytest.mark.parametrize(
    "name",
    [
        "run/manifests/0000000001-001/00000.pxx",
        "run/manifests/0000000001-001/00000",
        "run/manifests/1-1/0.end",
        "run/manifests/0000000001-0001/00000.end",
        "run/manifests/0000000001-001/00000.p0001",
        "run/manifests/000000000\u0661-001/00000.end",
        "run/manifests/0000000001-001/00000.end.tmp",
        "run/manifests/0000000001-001/00000.lost.tmp",
        "run/manifests/0000000001-001/00000.erred",
        "run/packs/0000000001-001",
        "run2/manifests/0000000001-001/00000.end",
        "",
    ],
)
def test_what_is_no_manifest_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a manifest of run 'run'"):
        NAMES.parse_manifest(name)


@pytest.mark.parametrize(
    "url", ["", "x", "s3://bucket/run/data/0000000001-001", "s3://b/run/packs/one-two", "a/packs/1"]
)
def test_what_is_no_pack_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="RUN/packs/PLAN-STAGE"):
        parse_pack(url)


@pytest.mark.parametrize(
    ("text", "stage"),
    [
        ("1.2", StageId(1, 2)),
        ("stage 1.2", StageId(1, 2)),
        ("stage1.2", StageId(1, 2)),
        ("Stage 4.1.2", StageId(4_000_001, 2)),
        ("1", None),
        ("load-1.2", None),
        ("1.2:7", None),
    ],
)
def test_a_stage_as_people_name_it(text: str, stage: StageId | None) -> None:
    assert parse_stage(text) == stage


@pytest.mark.parametrize(
    ("text", "shard"),
    [
        ("1.2:7", ShardId(StageId(1, 2), 7)),
        ("stage 1.2:7", ShardId(StageId(1, 2), 7)),
        ("shard 7 of stage 1.2", ShardId(StageId(1, 2), 7)),
        ("job7ofstage4.1.2", ShardId(StageId(4_000_001, 2), 7)),
        ("1.2", None),
        ("shard 7 of stage 1.2:7", None),
    ],
)
def test_a_shard_as_people_name_it(text: str, shard: ShardId | None) -> None:
    assert parse_shard(text) == shard


@given(st.integers(0, 40_000_000), st.integers(0, 99), st.integers(0, 9_999))
def test_what_is_printed_is_understood_and_has_no_zeros_in_front(
    plan: int, stage: int, index: int
) -> None:
    shard = ShardId(StageId(plan, stage), index)
    assert (parse_stage(str(shard.stage)), parse_shard(str(shard))) == (shard.stage, shard)
    assert not re.search(r"\b0\d", str(shard))
