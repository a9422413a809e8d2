"""Objects that go out to S3 while they are made, and what goes wrong meanwhile."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator

import obstore
import pytest
from packaging.version import Version

from dask_knot.errors import ReadOnlyStoreError, StoreAwayError
from dask_knot.run import codec, opening, sending, uplink, uploads
from dask_knot.run.run import Run
from dask_knot.run.store import Store
from tests.run.fakes3 import Asked, FakeS3, Reply, refusal, serving
from tests.run.test_receiving import store_at

MIB = 2**20
#: S3's own smallest part.
PART = 5 * MIB


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let parts be as small as S3 takes them, and two of them go in parts."""
    for module in (sending, uplink, uploads):
        monkeypatch.setattr(module, "PART_BYTES", PART)
    for module in (uplink, uploads):
        monkeypatch.setattr(module, "PARTED_BYTES", 2 * PART)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeS3]:
    """Serve an S3 that is asked once."""
    monkeypatch.setattr(opening, "RETRIES", {"max_retries": 0, "retry_timeout": opening.CONNECT})
    with serving() as found:
        yield found


def written(store: Store, size: int) -> bytes:
    """Write an object through one buffer that is used again and again."""
    writer, buffer, whole = store.writer("run/a"), bytearray(700_000), bytearray()
    for number in itertools.count():
        buffer[:] = bytes([number % 256]) * len(buffer)
        some = memoryview(buffer)[: min(len(buffer), size - writer.size)]
        if not some:
            break
        writer.write(some)
        whole += some
    assert writer.size == size
    writer.commit()
    writer.abort()  # does nothing any more
    return bytes(whole)


@pytest.mark.parametrize("where", ["s3_url", "seaweed_url"])
@pytest.mark.parametrize("size", [0, 1, PART, 2 * PART - 1, 2 * PART, 3 * PART + 1])
def test_what_was_written_is_there(where: str, size: int, request: pytest.FixtureRequest) -> None:
    store = Store(request.getfixturevalue(where))
    whole = written(store, size)
    parts = -(-size // PART) + 1 if size >= 2 * PART else 0
    assert store.requests == {"put": 1} | ({"part": parts} if parts else {})
    assert store.moved["written"] == size
    assert store.get("run/a") == whole


def test_large_parts_go_out_while_the_rest_is_made(fake: FakeS3) -> None:
    arrived = threading.Event()
    fake.reply = lambda asked: arrived.set() if asked.method == "PUT" else None
    writer = store_at(fake).writer("run/a")
    writer.write(bytes(3 * PART))
    writer.write(b"more")
    assert arrived.wait(30)
    writer.commit()
    sizes = {one.path.partition("partNumber=")[2][0]: one.size for one in _asked(fake, "PUT")}
    assert sizes == {"1": PART, "2": PART, "3": PART, "4": 4}


def test_nothing_is_asked_for_what_is_small_and_given_up(fake: FakeS3) -> None:
    writer = store_at(fake).writer("run/a")
    writer.write(bytes(PART + 1))
    writer.abort()
    assert fake.asked == []


def test_what_is_given_up_leaves_nothing(fake: FakeS3) -> None:
    writer = store_at(fake).writer("run/a")
    writer.write(bytes(3 * PART))
    writer.write(b"more")
    writer.abort()
    writer.abort()
    assert [one.path.partition("?")[2] for one in _asked(fake, "DELETE")] == ["uploadId=u"]


def test_neither_does_what_was_given_up_on_a_dead_line(fake: FakeS3) -> None:
    writer = store_at(fake).writer("run/a")
    writer.write(bytes(3 * PART))
    writer.write(b"more")
    fake.reply = lambda _: refusal("ExpiredToken", "expired", 400)
    writer.abort()


FAULTS = {
    "credentials": (refusal("ExpiredToken", "expired", 400), StoreAwayError, "ExpiredToken"),
    "busy": (refusal("SlowDown", "slow down", 503), StoreAwayError, "SlowDown"),
    "permission": (refusal("AccessDenied", "no identity-based policy"), ReadOnlyStoreError, "Acc"),
}


@pytest.mark.parametrize("at", ["partNumber=3", "POST"])
@pytest.mark.parametrize("fault", list(FAULTS))
def test_what_fails_in_the_midst_has_its_own_error_and_leaves_nothing(
    fake: FakeS3, fault: str, at: str
) -> None:
    reply, kind, says = FAULTS[fault]

    def answer(asked: Asked) -> Reply | None:
        is_end = asked.method == "POST" and "uploadId" in asked.path
        return reply if at in asked.path or (at == "POST" and is_end) else None

    fake.reply = answer
    store = store_at(fake)
    store.be_patient(30)  # nothing that was sent can be sent again
    writer = store.writer("run/a")

    def write() -> None:
        for _ in range(20):
            writer.write(bytes(PART))
        writer.commit()

    with pytest.raises(kind, match=says):
        write()
    writer.abort()
    assert len(_asked(fake, "DELETE")) == 1


def test_what_fails_at_once_is_tried_again_with_all_that_there_is(fake: FakeS3) -> None:
    replies = iter([refusal("ExpiredToken", "expired", 400)] * 2)
    fake.reply = lambda asked: next(replies, None) if "?uploads" in asked.path else None
    renewed: list[bool] = []
    store = store_at(fake, renew=lambda: renewed.append(True))
    store.be_patient(30)
    writer = store.writer("run/a")
    writer.write(bytes(3 * PART))
    writer.commit()
    assert len(renewed) == 2
    assert sum(one.size for one in _asked(fake, "PUT")) == 3 * PART


def test_who_has_all_of_it_writes_it_again(fake: FakeS3) -> None:
    """As a client does, whose user signs in again meanwhile."""
    replies = iter([refusal("ExpiredToken", "expired", 400)])
    fake.reply = lambda asked: next(replies, None) if "partNumber=3" in asked.path else None
    renewed: list[bool] = []
    run = Run(store_at(fake, renew=lambda: renewed.append(True)), "run")
    run.be_patient(30)
    value = codec.pickled(bytes(4 * PART))
    assert set(run.write_scattered(1, {"x": value})) == {"x"}
    assert renewed == [True]
    # Before obstore 0.12 the parts stayed, until S3 deleted them after a day.
    is_cleared = Version(obstore.__version__) >= Version("0.12")
    assert len(_asked(fake, "DELETE")) == is_cleared
    assert [one.path.partition("?")[2] for one in fake.asked][-1] == "uploadId=u"


def test_a_bucket_that_wants_a_header_gets_it(fake: FakeS3) -> None:
    denied = refusal("AccessDenied", "with an explicit deny in a resource-based policy")

    def answer(asked: Asked) -> Reply | None:
        named = asked.headers.get("x-amz-server-side-encryption")
        return denied if "?uploads" in asked.path and named != "AES256" else None

    fake.reply = answer
    writer = store_at(fake).writer("run/a")
    writer.write(bytes(3 * PART))
    writer.commit()
    assert len(_asked(fake, "PUT")) == 3


@pytest.mark.parametrize("pieces", [1, 2, 30])
def test_no_more_parts_are_under_way_than_may_be(fake: FakeS3, pieces: int) -> None:
    """Of one large piece, obstore would send all parts at once."""
    data = [bytes(30 * PART // pieces)] * pieces
    store_at(fake).put("run/a", data)
    assert sum(one.size for one in _asked(fake, "PUT")) == 30 * PART
    paths = [one.path.partition("partNumber=")[2] for one in _asked(fake, "PUT")]
    numbers = [int(path.partition("&")[0]) for path in paths]
    late = max(number - place for place, number in enumerate(numbers, 1))
    assert late < uplink.AT_ONCE


def _asked(fake: FakeS3, method: str) -> list[Asked]:
    return [one for one in fake.asked if one.method == method]
