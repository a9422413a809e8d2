"""What is sent to S3: in the parts that the line takes, with the headers that the bucket wants."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_knot.errors import ReadOnlyStoreError, StoreAwayError
from dask_knot.run import opening, sending, uplink
from dask_knot.run.address import VARIABLE, BucketAddress
from dask_knot.run.store import Store
from dask_knot.run.terms import Terms
from dask_knot.run.uplink import AT_ONCE, MOST_PARTS, PART_BYTES, SMALLEST_PART, Uplink
from tests.run.fakes3 import Asked, FakeS3, Reply, refusal, serving

MIB = 2**20


@pytest.fixture
def fake() -> Iterator[FakeS3]:
    """Serve an S3."""
    with serving() as found:
        yield found


@pytest.fixture(autouse=True)
def _once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "RETRIES", {"max_retries": 0, "retry_timeout": opening.CONNECT})


def store_at(fake: FakeS3, still: float = 60, **options: Any) -> Store:
    """Open a store that gives up what stands still for some seconds."""
    return Store(
        "s3://data/knot",
        region="eu-west-1",
        endpoint=fake.url,
        access_key_id="AKIDEXAMPLE",
        secret_access_key="secret",
        client_options={"allow_http": True, "read_timeout": timedelta(seconds=still)},
        **options,
    )


# The line.


@pytest.mark.parametrize("is_new", [False, True])
def test_what_a_slow_line_takes_arrives(fake: FakeS3, is_new: bool) -> None:
    """It needs four times as long as anything may stand still: as if it were 4 minutes."""
    fake.rate = 512 * 2**10
    size = MIB // 2
    store = store_at(fake, still=0.25)
    if is_new:
        assert store.put_new("run/a", [bytes(size)])
    else:
        store.put("run/a", [bytes(size)])
    assert fake.last.size == size


def test_what_was_thought_to_be_faster_is_sent_again_with_more_time(fake: FakeS3) -> None:
    fake.rate = 96 * 2**10
    size = 128 * 2**10
    store_at(fake, still=0.25).put("run/a", [bytes(size)])  # of the first try a part arrives
    assert fake.last.size == size


def test_a_line_that_is_dead_is_given_up(fake: FakeS3) -> None:
    fake.rate = 100.0
    with pytest.raises(StoreAwayError, match=r"nothing was heard of 127\.0\.0\.1 for too long"):
        store_at(fake, still=0.25).put("run/a", [bytes(2000)])


def test_what_is_read_may_take_as_long_as_it_goes_on(fake: FakeS3) -> None:
    assert opening.TIMES["timeout"] > timedelta(hours=1)
    assert store_at(fake).get("a") == b"content"


def test_a_fast_line_gets_large_parts_and_many() -> None:
    line = Uplink(60)
    first = line.dispatch(10**9)
    assert (first.part, first.at_once) == (PART_BYTES, AT_ONCE)
    line.note_sent(10**9, 5)
    assert line.dispatch(10**9) == first.__class__(PART_BYTES, AT_ONCE, 60)


def test_a_slow_line_gets_small_parts_and_few() -> None:
    line = Uplink(60)
    line.note_sent(8 * MIB, 8)  # 8 Mbit/s
    given = line.dispatch(48 * MIB)
    assert (given.part, given.at_once) == (SMALLEST_PART, 2)
    assert given.limit >= 2 * given.under_way(48 * MIB) / MIB
    # What can't be parted gets the time that it needs.
    assert line.dispatch(48 * MIB, whole=True).limit >= 96


@given(
    size=st.integers(0, 5 * 2**40),
    sent=st.lists(st.tuples(st.integers(0, 2**34), st.floats(0, 1e5)), max_size=5),
    late=st.integers(0, 5),
)
def test_no_object_is_too_large_and_none_waits_for_ever(
    size: int, sent: list[tuple[int, float]], late: int
) -> None:
    line = Uplink(60)
    for one, seconds in sent:
        line.note_sent(one, seconds)
    tries = 0
    while line.note_late(size, line.dispatch(size)) and tries < 100:
        tries += 1
    assert tries < 40
    given = line.dispatch(size)
    assert given.at_once >= 1
    assert size <= given.part * MOST_PARTS
    assert given.limit >= 60


def test_more_time_after_it_was_late() -> None:
    line = Uplink(60)
    before = line.dispatch(48 * MIB)
    assert line.note_late(48 * MIB, before)
    assert line.dispatch(48 * MIB).limit > before.limit
    line.note_sent(48 * MIB, 5)
    assert line.dispatch(48 * MIB).limit == 60


def test_what_is_small_is_not_late_for_want_of_speed() -> None:
    line = Uplink(60)
    assert not line.note_late(100, line.dispatch(100))


# The terms.

POLICY = refusal("AccessDenied", "with an explicit deny in a resource-based policy")
LOCKED = refusal("InvalidRequest", "Content-MD5 OR x-amz-checksum- HTTP header is required", 400)
SSE = "x-amz-server-side-encryption"


def wants(header: str, value: str, reply: Reply = POLICY) -> Any:
    """Make an S3 that refuses what comes without a header."""

    def answer(asked: Asked) -> Reply | None:
        # Parts are what the upload was begun as.
        is_whole = asked.method == "PUT" and "partNumber" not in asked.path
        is_written = is_whole or "?uploads" in asked.path
        return reply if is_written and value not in asked.headers.get(header, "") else None

    return answer


@pytest.mark.parametrize("algorithm", ["AES256", "aws:kms"])
@pytest.mark.parametrize("size", [1, 17 * MIB])
def test_a_policy_that_wants_encryption_named(
    fake: FakeS3, algorithm: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uplink, "PARTED_BYTES", PART_BYTES)
    fake.reply = wants(SSE, algorithm)
    store = store_at(fake)
    store.put("run/a", [bytes(size)])
    fake.asked.clear()
    assert store.put_new("run/b", [b"x"])  # it is known by now
    assert [one.headers[SSE] for one in fake.asked] == [algorithm]


def test_the_key_of_the_stack_comes_first(fake: FakeS3) -> None:
    fake.reply = wants(f"{SSE}-aws-kms-key-id", "arn:aws:kms:eu-west-1:1:key/a")
    store_at(fake, kms_key="arn:aws:kms:eu-west-1:1:key/a").put("run/a", [b"x"])
    assert len(fake.asked) == 2


def test_jobs_know_the_key_too(fake: FakeS3, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.reply = wants(f"{SSE}-aws-kms-key-id", "a-key")
    # The address itself would be this machine, which jobs are never told.
    told = BucketAddress("data", "eu-west-1", "http://elsewhere.lab", kms_key="a-key").told()
    monkeypatch.setenv(VARIABLE, told.replace("http://elsewhere.lab", fake.url))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    Store("s3://data/knot").put("run/a", [b"x"])
    assert len(fake.asked) == 2


def test_object_lock_gets_its_checksum(fake: FakeS3) -> None:
    fake.reply = wants("x-amz-checksum-sha256", "=", LOCKED)
    store = store_at(fake)
    store.put("run/a", [b"x"])
    store.put("run/b", [b"x"])
    assert len(fake.asked) == 3


def test_what_no_header_helps_is_refused_after_few_tries(fake: FakeS3) -> None:
    fake.reply = lambda _: POLICY
    store = store_at(fake)
    for tries in (3, 1):
        fake.asked.clear()
        with pytest.raises(ReadOnlyStoreError, match="bucket's own policy"):
            store.put("run/a", [b"x"])
        assert len(fake.asked) == tries


def test_what_is_refused_for_ever_leaves_nothing_behind(fake: FakeS3) -> None:
    """For each of the terms that were tried, a client of S3 is kept, with its connections."""
    fake.reply = lambda _: POLICY
    store = store_at(fake)
    kept = []
    for _ in range(4):
        with pytest.raises(ReadOnlyStoreError):
            store.put("run/a", [b"x"])
        kept.append(len(store._sender._stores))  # type: ignore[union-attr]
    assert kept[1:] == [kept[1]] * 3


@pytest.mark.parametrize("is_there", [False, True])
def test_who_writes_at_the_same_time_is_not_yet_first(
    fake: FakeS3, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    """S3 lets all but one try again, and doesn't say that there is an object."""
    monkeypatch.setattr(sending, "PAUSES", (0.0, 0.0))
    later = refusal("PreconditionFailed", "it is there", 412) if is_there else None
    conflict = refusal("ConditionalRequestConflict", "try again", 409)
    fake.reply = lambda _: conflict if len(fake.asked) < 3 else later
    assert store_at(fake).put_new("run/a", [b"x"]) is not is_there
    assert len(fake.asked) == 3
    fake.reply = lambda _: conflict
    with pytest.raises(StoreAwayError, match="others write the same object"):
        store_at(fake).put_new("run/a", [b"x"])


def test_a_permission_that_is_missing_is_not_tried_again(fake: FakeS3) -> None:
    fake.reply = lambda _: refusal("AccessDenied", "because no identity-based policy allows it")
    with pytest.raises(ReadOnlyStoreError):
        store_at(fake).put("run/a", [b"x"])
    assert len(fake.asked) == 1


def test_threads_learn_from_each_other() -> None:
    terms = Terms()
    first = terms.options
    denied = "<Code>AccessDenied</Code> explicit deny in a resource-based policy"
    assert terms.learn(denied, first)
    learnt = terms.options
    assert terms.learn(denied, first)  # by one that was on its way meanwhile
    assert terms.options is learnt
