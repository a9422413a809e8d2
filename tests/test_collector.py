"""The garbage collector pauses while many objects are made, and goes on whatever happens."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable

import pytest

from dask_knot.collector import LARGE, MOST_OLD, paused_collector


def outcome_of_fork(check: Callable[[], bool]) -> int:
    """Call something in a fork; 0 if it is true there."""
    child = os.fork()
    if not child:
        code = 2
        try:
            code = 0 if check() else 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def works() -> bool:
    """Tell whether it goes on here, and can be paused as before."""
    was_enabled = gc.isenabled()
    with paused_collector():
        is_paused = not gc.isenabled()
    return was_enabled and is_paused and gc.isenabled()


def test_the_last_one_lets_it_go_on() -> None:
    with paused_collector():
        with paused_collector():
            pass
        assert not gc.isenabled()
    assert works()


def test_who_has_none_gets_none() -> None:
    gc.disable()
    try:
        with paused_collector():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def is_old(found: object) -> bool:
    """Tell whether only a walk over all objects comes by."""
    return any(one is found for one in gc.get_objects(generation=2))


def test_what_a_long_pause_has_made_is_old_at_once() -> None:
    """Else it is walked over three times; each walk over 100,000 keys takes a quarter second."""
    gc.collect()  # and so many may be old
    with paused_collector():
        made = [[number] for number in range(LARGE + 1000)]
    assert is_old(made[-1])
    assert not gc.get_freeze_count()


def test_the_collector_comes_by_all_the_same_once_much_is_old() -> None:
    gc.collect()
    rounds = 0
    while rounds * LARGE <= MOST_OLD:
        with paused_collector():
            made = [[number] for number in range(LARGE + 1000)]
        if not is_old(made[-1]):
            break
        rounds += 1
    assert 0 < rounds <= MOST_OLD // LARGE


def test_what_the_user_has_frozen_stays_frozen() -> None:
    gc.collect()
    gc.freeze()
    try:
        count = gc.get_freeze_count()
        with paused_collector():
            made = [[number] for number in range(LARGE + 1000)]
        # What other threads hold of it may go meanwhile.
        assert abs(gc.get_freeze_count() - count) < LARGE / 10
        assert not is_old(made[-1])
    finally:
        gc.unfreeze()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_it_goes_on_in_a_fork() -> None:
    """The thread that pauses it here isn't there."""
    begun, over = threading.Event(), threading.Event()

    def pause() -> None:
        with paused_collector():
            begun.set()
            over.wait(60)

    thread = threading.Thread(target=pause)
    thread.start()
    try:
        assert begun.wait(60)
        assert outcome_of_fork(works) == 0
    finally:
        over.set()
        thread.join()
    assert works()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_who_forks_in_the_midst_may_end_its_pause_in_both() -> None:
    def end() -> bool:
        pause.__exit__(None, None, None)
        return works()

    pause = paused_collector()
    with pause:
        assert outcome_of_fork(end) == 0
        assert not gc.isenabled()
