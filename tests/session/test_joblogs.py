"""What jobs have printed reads as text, and says if there is nothing."""

from __future__ import annotations

from dask_knot.session.joblogs import NOTHING, PrintedLogs


def test_logs_read_as_text() -> None:
    logs = PrintedLogs({"a:0": "one\ntwo\n", "b": "<three>"})
    assert repr(logs) == "job a:0\n  one\n  two\njob b\n  <three>"
    assert logs == {"a:0": "one\ntwo\n", "b": "<three>"}
    assert "&lt;three&gt;" in logs._repr_html_()


def test_nothing_is_said_to_be_nothing() -> None:
    assert repr(PrintedLogs()) == NOTHING
    assert "nothing was printed" in PrintedLogs()._repr_html_()
