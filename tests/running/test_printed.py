"""What tasks print goes where it always went, and its end is kept."""

from __future__ import annotations

import io
import os
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dask_knot.running import printed as printed_module
from dask_knot.running.printed import Printed, Tee


@contextmanager
def installed() -> Iterator[Printed]:
    """Keep what is printed meanwhile."""
    streams = sys.stdout, sys.stderr
    printed = Printed()
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


def test_a_tee_may_go_when_what_is_behind_it_is_closed() -> None:
    """Python closes it when nobody holds it any more; 3.13 complains of what that raises."""
    behind = io.StringIO()
    tee = Tee(behind, deque())
    tee.close()
    tee.write("still open")
    assert behind.getvalue() == "still open"
    behind.close()
    tee.close()
