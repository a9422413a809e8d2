"""A user's own frames are all that errors of dask_knot show."""

from __future__ import annotations

import logging
from traceback import extract_tb, format_exception
from types import CodeType

import dask
import pytest
from distributed.protocol import pickle

from dask_knot import KnotCluster
from dask_knot.errors import ConfigurationError, JobMemoryError, KnotError
from dask_knot.run.codec import check
from dask_knot.run.failure import describe, fail
from dask_knot.run.frames import brief, is_internal, shorten, without_internal
from dask_knot.settings.settings import resolve


def names(error: BaseException) -> list[str]:
    return [frame.name for frame in extract_tb(error.__traceback__)]


def users_own() -> None:
    resolve({"vcpus": 2})


def raised(users: object = users_own) -> KnotError:
    with pytest.raises(KnotError) as caught:
        users()  # type: ignore[operator]
    return caught.value


def test_frames_of_dask_knot_go_and_those_of_the_user_stay() -> None:
    error = raised()
    assert names(error) == ["raised", "users_own", "resolve", "check_names", "check_names"]
    shorten(error)
    assert names(error) == ["raised", "users_own"]


def test_a_cluster_shows_the_call_of_it_and_one_line_more() -> None:
    def make() -> None:
        KnotCluster(vcpus=2)

    assert names(raised(make)) == ["raised", "make", "called"]


def test_the_lines_of_a_user_between_ours_stay() -> None:
    @brief
    def ours(call: object) -> None:
        try:
            call()  # type: ignore[operator]
        except ZeroDivisionError as error:
            raise KnotError("it can't be divided") from error

    def divide() -> float:
        return 1 / 0

    error = raised(lambda: ours(divide))
    assert "in divide\n" in "".join(format_exception(error))
    assert isinstance(error.__cause__, ZeroDivisionError)


def test_what_led_to_an_error_without_a_line_of_the_user_is_not_shown() -> None:
    error = raised(lambda: check(b"no checksum"))
    error.__context__ = raised()
    shorten(error.__context__)
    error.__context__.__traceback__ = None
    shorten(error)
    assert "vcpus" not in "".join(format_exception(error))


def test_who_wants_all_frames_has_them(caplog: pytest.LogCaptureFixture) -> None:
    error = raised()
    with dask.config.set({"admin.traceback.shorten": []}):
        shorten(error)
    assert names(error)[-1] == "check_names"
    with caplog.at_level(logging.DEBUG, "dask_knot"):
        shorten(error)
    assert names(error)[-1] == "users_own"
    assert "in check_names" in caplog.text


def test_other_exceptions_stay_as_they_are() -> None:
    with pytest.raises(EOFError) as caught:
        pickle.loads(b"")
    before = names(caught.value)
    assert len(before) > 1
    shorten(caught.value)
    assert names(caught.value) == before


@pytest.mark.parametrize("is_raised", [True, False])
def test_futures_show_no_frame_of_ours(is_raised: bool) -> None:
    if is_raised:
        try:
            resolve({"vcpus": 2})
        except ConfigurationError as error:
            failure = describe(error, "x")
        kept = ["test_futures_show_no_frame_of_ours"]
    else:
        failure, kept = fail(JobMemoryError("too much"), "x"), []
    assert failure.traceback is not None
    assert [f.name for f in extract_tb(pickle.loads(failure.traceback))] == kept
    assert names(failure.load()) == kept
    assert "dask_knot" not in failure.traceback_text.replace(__file__, "")


def test_which_files_are_internal() -> None:
    code: CodeType = shorten.__code__
    assert is_internal(code.co_filename)
    assert is_internal(dask.__file__)
    assert is_internal(logging.__file__)
    assert is_internal("<frozen importlib._bootstrap>")
    assert not is_internal(__file__)
    assert not is_internal("<stdin>")
    assert not is_internal(pytest.__file__)
    assert without_internal(None) is None
