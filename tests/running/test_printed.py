"""What tasks print goes where it always went, and its end is kept."""

from __future__ import annotations

import io
import os
import sys
from collections import deque
from collections.abc import Iterator

import pytest

from dask_knot.running import printed as printed_module
from dask_knot.running.printed import Printed


@pytest.fixture
def printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Printed]:
    """Keep what is printed during a test, on top of what pytest captures."""
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", sys.stdout)
        patch.setattr(sys, "stderr", sys.stderr)
        found = Printed()
        found.install()
        yield found


def test_both_streams_are_kept_in_order(
    printed: Printed, capsys: pytest.CaptureFixture[str]
) -> None:
    sys.stdout.write("one\n")
    sys.stderr.write("two\n")
    sys.stdout.write("three\n")
    assert printed.tail() == "one\ntwo\nthree"
    assert capsys.readouterr() == ("one\nthree\n", "two\n")


def test_clear_forgets(printed: Printed) -> None:
    sys.stdout.write("before")
    printed.clear()
    assert printed.tail() == ""


def test_only_the_end_is_kept(printed: Printed) -> None:
    for number in range(10_000):
        sys.stdout.write(f"{number:09}\n")
    assert printed.tail().endswith("\n000009999")
    assert len(printed.tail()) <= printed_module.KEPT * 10
    sys.stdout.write("x" * 10**6)
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
