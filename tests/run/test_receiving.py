"""Ranges from S3: into memory of one's own, large ones in parts; what goes wrong in the midst."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dask_knot.errors import (
    CorruptObjectError,
    MissingObjectError,
    StoreAccessError,
    StoreAwayError,
)
from dask_knot.run import receiving
from dask_knot.run.receiving import OWN_MEMORY, blank
from dask_knot.run.store import Store
from tests.run.fakes3 import Asked, FakeS3, Reply, holding, refusal, serving

MIB = 2**20
CONTENT = "".join(chr(32 + number % 95) for number in range(8 * MIB))


@pytest.fixture
def parted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what is larger than 4 MiB go in parts of 1 MiB."""
    monkeypatch.setattr(receiving, "WHOLE_BYTES", 4 * MIB)
    monkeypatch.setattr(receiving, "SMALLEST_PART", MIB)
    monkeypatch.setattr(receiving, "LARGEST_PART", MIB)


@pytest.mark.parametrize("length", [1, OWN_MEMORY - 1, OWN_MEMORY, OWN_MEMORY + 1])
def test_blank_memory_may_be_written_to(length: int) -> None:
    memory = blank(length)
    assert (memory.nbytes, memory.readonly) == (length, False)
    memory[-1] = 7
    assert memory[-1] == 7


@pytest.mark.parametrize("where", ["s3_url", "seaweed_url"])
def test_what_comes_in_parts_is_what_was_written(
    where: str, parted: None, request: pytest.FixtureRequest
) -> None:
    store = Store(request.getfixturevalue(where))
    data = bytes(range(251)) * (9 * MIB // 251)
    store.put("large", [data])
    store.requests.clear()
    found = store.get_range("large", 11, 8 * MIB)
    assert found == data[11:][: 8 * MIB]
    assert not found.readonly
    assert store.requests == {"get": 8}
    assert store.moved["read"] == 8 * MIB


def test_a_range_that_is_not_large_is_one_request(s3_url: str) -> None:
    store = Store(s3_url)
    store.put("a", [bytes(3 * MIB)])
    store.requests.clear()
    assert store.get_range("a", 0, 3 * MIB) == bytes(3 * MIB)
    assert store.requests == {"get": 1}


def test_what_ends_in_the_midst_of_a_part_was_cut_off(s3_url: str, parted: None) -> None:
    store = Store(s3_url)
    store.put("a", [bytes(6 * MIB + 5)])
    with pytest.raises(CorruptObjectError, match=r"a in .* is shorter than \d+ bytes"):
        store.get_range("a", 0, 8 * MIB)


@pytest.fixture
def fake(parted: None) -> Iterator[FakeS3]:
    """Serve an S3 that holds 8 MiB under each name."""
    with serving() as found:
        found.reply = holding(CONTENT)
        yield found


def store_at(fake: FakeS3, **options: Any) -> Store:
    """Open a store there."""
    return Store(
        "s3://data/knot",
        region="eu-west-1",
        endpoint=fake.url,
        access_key_id="AKIDEXAMPLE",
        secret_access_key="secret",
        client_options={"allow_http": True},
        **options,
    )


def gets(fake: FakeS3) -> list[str]:
    """Name the ranges that were asked for."""
    return [one.headers["range"] for one in fake.asked if one.method == "GET"]


def later(fake: FakeS3, count: int, reply: Reply, times: int = 1000) -> None:
    """From one request on, answer some as never before."""
    usual, number = fake.reply, itertools.count(1)

    def answer(asked: Asked) -> Reply | None:
        is_late = asked.method == "GET" and count < next(number) <= count + times
        return reply if is_late else usual(asked)

    fake.reply = answer


def test_what_vanishes_in_the_midst_is_missing(fake: FakeS3) -> None:
    later(fake, 3, refusal("NoSuchKey", "gone", 404))
    with pytest.raises(MissingObjectError, match="a is not in the store"):
        store_at(fake).get_range("a", 0, 8 * MIB)
    assert len(gets(fake)) < 20  # nobody asks again


@pytest.mark.parametrize("cuts", [1, 5])
def test_a_connection_that_is_cut_goes_on_where_it_was(fake: FakeS3, cuts: int) -> None:
    fake.cuts = cuts
    store = store_at(fake)
    assert store.get_range("a", 0, 8 * MIB) == CONTENT.encode()
    assert store.moved == {"read": 8 * MIB}
    ranges = gets(fake)
    assert len(ranges) == 8 + cuts
    assert sum(not one.partition("=")[2].startswith(str(MIB)) for one in ranges)


def test_a_server_that_is_busy_is_asked_again_for_what_it_refused(fake: FakeS3) -> None:
    later(fake, 2, refusal("SlowDown", "slow down", 503), times=3)
    assert store_at(fake).get_range("a", 0, 8 * MIB) == CONTENT.encode()
    assert len(gets(fake)) == 11


def test_credentials_that_end_in_the_midst_are_renewed(fake: FakeS3) -> None:
    """Each part is asked for again by itself, not all of them."""
    later(fake, 3, refusal("ExpiredToken", "expired", 400), times=2)
    renewed: list[bool] = []
    store = store_at(fake, renew=lambda: renewed.append(True))
    store.be_patient(30)
    assert store.get_range("a", 0, 8 * MIB) == CONTENT.encode()
    assert len(renewed) == 2
    assert len(gets(fake)) == 10


def test_credentials_that_stay_away_are_an_error_of_their_own(fake: FakeS3) -> None:
    later(fake, 3, refusal("ExpiredToken", "expired", 400))
    with pytest.raises(StoreAwayError, match="ExpiredToken"):
        store_at(fake).get_range("a", 0, 8 * MIB)


def test_a_permission_that_is_taken_away_is_an_error_of_its_own(fake: FakeS3) -> None:
    later(fake, 3, refusal("AccessDenied", "no identity-based policy allows it"))
    store = store_at(fake)
    store.be_patient(30)
    with pytest.raises(StoreAccessError, match="AccessDenied"):
        store.get_range("a", 0, 8 * MIB)


def test_while_others_fill_the_line_a_large_range_is_one_request(fake: FakeS3) -> None:
    """More would gain nothing, and each has its price."""
    store = store_at(fake)
    line = store._receiver._line
    assert line is not None
    others = [line.begin(0) for _ in range(line.width - 1)]
    store.get_range("a", 0, 8 * MIB)
    assert len(gets(fake)) == 1
    for one in others:
        line.end(one, 0, 1)
    store.get_range("a", 0, 8 * MIB)
    assert len(gets(fake)) == 9


def test_what_the_line_does_not_take_waits(fake: FakeS3) -> None:
    store, most = store_at(fake), 0
    line = store._receiver._line
    assert line is not None
    usual = fake.reply

    def answer(asked: Asked) -> Reply | None:
        nonlocal most
        most = max(most, line.under_way)
        return usual(asked)

    fake.reply = answer
    assert store.reads_at_once > line.width
    with ThreadPoolExecutor(store.reads_at_once) as pool:
        found = list(pool.map(lambda n: store.get_range("a", n, 1000), range(100)))
    assert [len(one) for one in found] == [1000] * 100
    assert 1 <= most < store.reads_at_once


def test_a_buffer_that_there_is_no_memory_for_is_an_error_of_memory() -> None:
    with pytest.raises(MemoryError, match=r"there is no memory for \d+ bytes"):
        blank(2**60)
