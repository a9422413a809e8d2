"""Failures survive the way through the store, or are refused."""

from __future__ import annotations

import pytest
from distributed.protocol import pickle

from dask_knot.errors import CorruptObjectError, JobMemoryError
from dask_knot.running.failure import Failure, describe, fail


def test_a_failure_comes_back() -> None:
    try:
        raise ValueError("what is wrong")
    except ValueError as error:
        failure = describe(error, ("key", 1))
    back = Failure.decode(failure.encode())
    assert back == failure
    assert back.key == "('key', 1)"
    assert repr(back.load()) == "ValueError('what is wrong')"
    assert "test_failure.py" in back.traceback_text
    assert back.traceback is not None
    assert pickle.loads(back.traceback) is not None


def test_an_exception_that_was_never_raised_has_a_traceback() -> None:
    error = JobMemoryError(
        "too much", "job-1", "OutOfMemoryError: Container killed", ("last line",)
    )
    back = fail(error, "key").load()
    assert isinstance(back, MemoryError)
    assert isinstance(back, JobMemoryError)
    assert (back.job_id, back.reason, back.log) == (error.job_id, error.reason, error.log)


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x93\x01", b"\x80", b"\x81\xa1x\x01", b"\x01"])
def test_what_is_no_failure_is_refused(data: bytes) -> None:
    with pytest.raises(CorruptObjectError, match="not a failure"):
        Failure.decode(data)


def test_every_truncation_is_noticed() -> None:
    data = fail(ValueError("x"), "key").encode()
    for length in range(len(data)):
        with pytest.raises(CorruptObjectError):
            Failure.decode(data[:length])
