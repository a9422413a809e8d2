"""Who is told that Ctrl-C ended the work: whoever pressed it, and nobody later on."""

from __future__ import annotations

import sys

import pytest

from dask_knot.session.interruption import has_ended_script, is_interruption


@pytest.mark.parametrize(("error", "expected"), [(KeyboardInterrupt, True), (ValueError, False)])
def test_ctrl_c_is_why_as_long_as_it_is_handled(error: type[BaseException], expected: bool) -> None:
    assert not is_interruption()
    try:
        raise error
    except error:
        assert is_interruption() is expected
    assert not is_interruption()


@pytest.mark.parametrize(
    ("error", "prompt", "expected"),
    [
        (KeyboardInterrupt, None, True),
        (KeyboardInterrupt, "In : ", False),  # of IPython too: an earlier cell was interrupted
        (ValueError, None, False),
        (None, None, False),
    ],
)
def test_ctrl_c_ends_a_script_but_no_prompt(
    error: type[BaseException] | None,
    prompt: str | None,
    expected: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in (("last_type", error), ("ps1", prompt)):
        if value is None:
            monkeypatch.delattr(sys, name, raising=False)
        else:
            monkeypatch.setattr(sys, name, value, raising=False)
    assert has_ended_script() is expected
