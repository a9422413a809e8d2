"""The line that moves, among what others print to the same terminal."""

from __future__ import annotations

import asyncio
import io
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from dask_knot.dashboard.terminal import Terminal, is_awaited
from tests.dashboard.screens import screen


class Tty(io.TextIOWrapper):
    """A terminal that keeps what is written."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), "utf-8", newline="", write_through=True)

    def isatty(self) -> bool:
        return True

    @property
    def written(self) -> str:
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue().decode()


@contextmanager
def terminal() -> Iterator[Tty]:
    """Make one terminal standard output and standard error; a fixture would be too early."""
    with pytest.MonkeyPatch.context() as patch:
        found = Tty()
        patch.setenv("TERM", "xterm")
        patch.setattr(sys, "stdout", found)
        patch.setattr(sys, "stderr", found)
        yield found


@contextmanager
def opened() -> Iterator[tuple[Terminal, Tty]]:
    line = Terminal(lambda stream: True)
    with terminal() as tty:
        line.open("me")
        yield line, tty
        line.close("me")


def test_it_moves_and_goes() -> None:
    with opened() as (line, tty):
        line.show("me", "one of two")
        assert screen(tty.written) == ["one of two"]
        line.show("me", "two of")
        assert screen(tty.written) == ["two of"]
        line.show("me", "")
        assert screen(tty.written) == []


def test_a_last_text_may_stay_as_a_line() -> None:
    with opened() as (line, tty):
        line.show("me", "one of two")
        line.open("another")
        line.show("another", "1 %")
        line.leave("another", "another is done")
        line.leave("nobody", "never opened")
        assert screen(tty.written) == ["another is done", "one of two"]
        print("unfinished", end="")  # the terminal is somebody else's
        line.leave("me", "done")
        assert screen(tty.written) == ["another is done", "unfinished"]


@pytest.mark.parametrize(("encoding", "is_plain"), [("utf-8", False), ("ascii", True)])
def test_it_is_known_what_can_be_drawn(encoding: str, is_plain: bool) -> None:
    with opened() as (line, tty):
        tty.reconfigure(encoding=encoding)
        assert line.is_plain is is_plain
        assert line.columns == 80


def test_what_others_print_stays_whole() -> None:
    with opened() as (line, tty):
        log = logging.getLogger("tests.of.the.line")
        log.addHandler(logging.StreamHandler(sys.stderr))  # holds the stream, as handlers do
        for number in range(3):
            line.show("me", f"{number} of 3 tasks, and many more words")
            print("hello", number)
            line.show("me", f"{number} of 3 tasks, and many more words")
            log.warning("look")
        assert screen(tty.written) == ["hello 0", "look", "hello 1", "look", "hello 2", "look"]


@pytest.mark.parametrize("end", ["\n", "\n\x1b[?25h"])
def test_a_bar_or_a_prompt_has_the_terminal_for_itself(end: str) -> None:
    with opened() as (line, tty):
        for done in range(3):
            print(f"\r[{'#' * done}", end="", flush=True)
            line.show("me", "words")
            assert screen(tty.written) == [f"[{'#' * done}"]
        print(end, end="")
        line.show("me", "words")
        assert screen(tty.written) == ["[##", "words"]


def test_it_is_no_longer_than_the_terminal_is_wide() -> None:
    with opened() as (line, tty):
        line.show("me", "x" * 500)
        assert len(screen(tty.written)[0]) == 79


def test_clusters_share_it_and_the_last_one_restores_the_streams() -> None:
    with terminal() as tty:
        line = Terminal(lambda stream: True)
        line.open("a")
        line.open("b")
        line.show("a", "first")
        line.show("b", "second")
        assert screen(tty.written) == ["first  |  second"]
        line.close("a")
        line.show("a", "too late")
        assert screen(tty.written) == ["second"]
        line.close("b")
        assert screen(tty.written) == []
        assert "write" not in vars(tty)


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_nothing_is_written_into_files(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Of standard output only that is true which was printed; of standard error, nothing is."""
    with terminal() as tty:
        file = io.StringIO()
        monkeypatch.setattr(sys, name, file)
        line = Terminal(lambda stream: True)
        line.open("me")
        line.show("me", "words")
        print("hello", file=file)
        line.close("me")
        assert file.getvalue() == "hello\n"
        assert ("words" in tty.written) == (name == "stdout")


@pytest.mark.parametrize("stream", [None, io.StringIO()])
def test_without_a_terminal_there_is_none(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO | None
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    line = Terminal(lambda stream: True)
    line.open("me")
    line.show("me", "words")
    line.close("me")
    assert stream is None or stream.getvalue() == ""


def test_a_process_in_the_background_writes_nothing() -> None:
    with terminal() as tty:
        line = Terminal()  # no process is in the foreground of a terminal that is none
        line.open("me")
        line.show("me", "words")
        line.close("me")
        assert tty.written == ""


def test_a_stream_that_somebody_has_restored_is_left_alone() -> None:
    with terminal() as tty:
        line = Terminal(lambda stream: True)
        line.open("me")
        del vars(tty)["write"]
        line.close("me")
        print("hello")
        assert screen(tty.written) == ["hello"]


class Fixed:
    """A terminal of somebody else, that can't be given another `write`."""

    __slots__ = ()

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        raise AssertionError(text)


@pytest.mark.parametrize("name", ["stderr", "stdout"])
def test_beside_a_stream_that_cant_be_watched_there_is_none(name: str) -> None:
    line = Terminal(lambda stream: True)
    with terminal() as tty, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, name, Fixed())
        line.open("me")
        line.show("me", "one of two")
        line.close("me")
        assert tty.written == ""
        assert "write" not in vars(tty)


class Gone(Tty):
    """A terminal whose window is closed in the end."""

    is_gone = False

    def write(self, text: str) -> int:
        if self.is_gone:
            raise OSError(5, "Input/output error")
        return super().write(text)


def test_a_terminal_that_is_gone_hinders_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    gone, line = Gone(), Terminal(lambda stream: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", gone)
    line.open("me")
    line.show("me", "one of two")
    gone.is_gone = True
    line.show("me", "two of two")
    line.close("me")


def test_a_fork_can_print_while_the_line_is_locked() -> None:
    """What a child of `multiprocessing` prints must not wait for a thread that it hasn't got."""
    with opened() as (line, tty):
        held, release = threading.Event(), threading.Event()

        def hold() -> None:
            with line._lock:
                held.set()
                release.wait(60)

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait(60)
        line.abandon()  # as after a fork
        print("hello")
        release.set()
        thread.join()
        assert screen(tty.written) == ["hello"]


def test_somebody_waits_only_while_the_main_thread_does() -> None:
    answers: list[bool] = []
    looked = threading.Event()

    def look(is_waiting: threading.Event) -> None:
        is_waiting.wait(60)
        answers.append(is_awaited())
        looked.set()

    assert not is_awaited()
    now = threading.Event()
    now.set()
    thread = threading.Thread(target=look, args=(now,))
    thread.start()
    thread.join()
    assert answers == [True]


@pytest.mark.parametrize("is_prompt", [False, True])
def test_an_event_loop_waits_unless_it_is_a_prompt(
    monkeypatch: pytest.MonkeyPatch, is_prompt: bool
) -> None:
    if is_prompt:
        monkeypatch.setattr(sys, "ps1", "In [1]: ", raising=False)

    def look() -> bool:
        main = threading.main_thread().ident or 0
        while sys._current_frames()[main].f_globals["__name__"] != "selectors":
            pause.wait(0.01)
        return is_awaited()

    pause = threading.Event()
    assert asyncio.run(asyncio.to_thread(look)) is not is_prompt


@dataclass
class Notebook:
    """What the code uses of IPython: it keeps what its cells show."""

    cells: list[list[str]] = field(default_factory=list)

    def get_ipython(self) -> Any:
        return SimpleNamespace(kernel=self)

    def display(self, data: dict[str, str], raw: bool, display_id: bool) -> Any:
        assert raw
        assert display_id
        cell = [data["text/plain"]]
        self.cells.append(cell)
        return SimpleNamespace(update=lambda data, raw: cell.append(data["text/plain"]))


def test_a_notebook_has_it_below_its_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = Notebook()
    monkeypatch.setitem(sys.modules, "IPython", notebook)
    monkeypatch.setitem(sys.modules, "IPython.display", notebook)
    line = Terminal()
    line.open("me")
    for text in ("", "1 of 2", "2 of 2", "", "", "1 of 4"):
        line.show("me", text)
    line.close("me")
    assert notebook.cells == [["1 of 2", "2 of 2", ""], ["1 of 4", ""]]


def test_a_last_text_stays_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = Notebook()
    monkeypatch.setitem(sys.modules, "IPython", notebook)
    monkeypatch.setitem(sys.modules, "IPython.display", notebook)
    line = Terminal()
    line.open("me")
    line.show("me", "1 of 2")
    line.leave("me", "done")
    line.show("me", "1 of 4")
    line.close("me")
    assert notebook.cells == [["1 of 2", "done"], ["1 of 4", ""]]
