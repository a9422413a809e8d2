"""What tasks print goes where it always went, and its end is kept."""

from __future__ import annotations

import io
import os
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from dask._task_spec import Task

from dask_knot.job import console as printed_module
from dask_knot.job.console import Printout, Tee
from dask_knot.job.tasks import run_task
from dask_knot.run.failure import Failure


@contextmanager
def installed() -> Iterator[Printout]:
    """Keep what is printed meanwhile."""
    streams = sys.stdout, sys.stderr
    printed = Printout()
    printed.install()
    try:
        yield printed
    finally:
        sys.stdout, sys.stderr = streams


def test_both_streams_are_kept_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    with installed() as printed:
        sys.stdout.write("one\n")
        sys.stderr.write("two\n")
        sys.stdout.write("three\n")
    assert printed.tail() == "one\ntwo\nthree"
    assert capsys.readouterr() == ("one\nthree\n", "two\n")


def test_clear_forgets() -> None:
    with installed() as printed:
        sys.stdout.write("before")
        printed.clear()
    assert printed.tail() == ""


def test_only_the_end_is_kept() -> None:
    with installed() as printed:
        for number in range(10_000):
            sys.stdout.write(f"{number:09}\n")
        assert printed.tail().endswith("\n000009999")
        assert len(printed.tail()) <= printed_module.KEPT * 10
        sys.stdout.write("x" * 10**5)
    assert printed.tail() == "x" * printed_module.CHARACTERS


def test_programs_find_the_descriptor() -> None:
    with open(os.devnull, "w") as stream:
        assert printed_module.Tee(stream, deque()).fileno() == stream.fileno()


def test_streams_stay_streams() -> None:
    below = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    tee = printed_module.Tee(below, deque())
    assert tee.writable()
    assert tee.encoding == "utf-8"
    tee.buffer.write(b"bytes")
    tee.writelines(["a", "b"])
    tee.flush()
    assert below.buffer.getvalue() == b"bytesab"  # type: ignore[attr-defined]


def behind() -> tuple[io.BytesIO, io.TextIOWrapper]:
    """Give a stream like those that Python makes when it starts."""
    raw = io.BytesIO()
    return raw, io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace")


def test_a_tee_may_go_when_what_is_behind_it_is_closed() -> None:
    """Python closes it when nobody holds it any more; 3.13 complains of what that raises."""
    raw, stream = behind()
    tee = Tee(stream, deque())
    tee.close()
    tee.write("still open")
    tee.flush()
    assert raw.getvalue() == b"still open"
    stream.close()
    tee.close()
    del tee


def test_whatever_streams_have_tees_have() -> None:
    with open(os.devnull, "w", encoding="latin-1", errors="replace") as stream:
        tee = Tee(stream, deque())
        names = ("encoding", "errors", "name", "mode", "newlines", "line_buffering", "closed")
        assert [getattr(tee, name) for name in names] == [getattr(stream, name) for name in names]
        assert isinstance(tee, io.TextIOWrapper)
        assert not tee.isatty()
        assert tee.buffer.fileno() == stream.fileno()
        assert not hasattr(tee, "nothing_like_that")
        tee.reconfigure(encoding="utf-8", errors="strict", line_buffering=True)
        assert (tee.encoding, tee.errors, tee.line_buffering) == ("utf-8", "strict", True)


@pytest.mark.parametrize("wrong", [5, None, b"bytes", ["a line"]])
def test_what_is_no_text_is_refused_and_not_kept(wrong: object) -> None:
    kept: deque[bytes] = deque()
    tee = Tee(behind()[1], kept)
    with pytest.raises(TypeError):
        tee.write(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        tee.buffer.write("text")  # type: ignore[arg-type]
    assert not kept


def test_bytes_are_kept_in_their_place() -> None:
    raw, stream = behind()
    kept: deque[bytes] = deque()
    tee = Tee(stream, kept)
    print("one", file=tee)
    tee.buffer.write(b"two \xff\n")
    tee.buffer.write(memoryview(bytearray(b"three\n")))
    tee.writelines(["four\n", "five\n"])
    assert b"".join(kept) == raw.getvalue() == b"one\ntwo \xff\nthree\nfour\nfive\n"


def test_another_stream_around_the_bytes() -> None:
    """As programs do it that want another encoding; what is left behind closes what it holds."""
    kept: deque[bytes] = deque()
    tee = Tee(behind()[1], kept)
    around = io.TextIOWrapper(tee.detach(), encoding="utf-16-le", write_through=True)
    around.write("a")
    around.close()
    tee.write("b")
    assert list(kept) == [b"a\0", b"b"]


def spoil_stdout() -> None:
    print("before", file=sys.stdout)
    sys.stdout.write(b"bytes")  # type: ignore[arg-type]


def test_a_wrong_write_is_the_error_of_its_task() -> None:
    with installed() as printed:
        ended = run_task(Task("spoiler", spoil_stdout), {}, printed)
    assert isinstance(ended.value, Failure)
    assert isinstance(ended.value.load(), TypeError)
    assert printed.tail() == "before"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no disk that is full")
def test_a_log_on_a_full_disk_fails_no_task() -> None:
    full = open("/dev/full", "w", encoding="utf-8")  # noqa: SIM115
    kept: deque[bytes] = deque()
    tee = Tee(full, kept)
    print("a task printed this", file=tee, flush=True)
    tee.write("x" * 100_000)
    tee.flush()
    assert b"a task printed this" in b"".join(kept)
    with suppress(OSError):
        full.close()
