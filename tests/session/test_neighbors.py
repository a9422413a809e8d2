"""Who is there is told by processes here, and by heartbeats of elsewhere; never by two clocks."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from dask_knot.run.presence import Beat, Presence, SessionInfo
from dask_knot.run.run import Run
from dask_knot.run.store import Store
from dask_knot.runs.machine import machine_id, own_info, process_start, runs_here
from dask_knot.session.neighbors import MISSED_BEATS, Neighbors

OWN, OTHER = 0, 1
INTERVAL = 10.0


class Watch:
    """A clock that somebody sets."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class Block:
    """One session of two looks at the other one."""

    def __init__(self) -> None:
        self.store = Store("memory://")
        self.run = Run(self.store, "run")
        self.watch = Watch()
        self.neighbors = Neighbors(self.run.record, OWN, self.watch)

    def move_in(self, who: SessionInfo, session: int = OTHER) -> None:
        """Let a session say who it is."""
        self.store.put(self.run.names.session(session), who.encode())

    def beat(self, count: int, state: Presence = Presence.OPEN, interval: float = INTERVAL) -> None:
        """Let the other session's heart beat."""
        beat = Beat(count, state, interval)
        self.store.put(self.run.names.beat(OTHER), beat.encode())

    def is_alive_after(self, seconds: float) -> bool:
        """Look again some seconds later."""
        self.watch.seconds += seconds
        return self.neighbors.is_alive(OTHER)


@pytest.fixture
def block() -> Block:
    return Block()


def elsewhere() -> SessionInfo:
    """Be a session of another machine, with our process number, and a clock that is off."""
    who = own_info("aws")
    return replace(who, machine="another", opened=who.opened + 3600)


def test_we_are_there_whatever_the_store_says(block: Block) -> None:
    assert block.neighbors.is_alive(OWN)
    assert block.store.requests == {}


def test_whoever_never_came_is_not_there(block: Block) -> None:
    assert not block.neighbors.is_alive(OTHER)


def test_a_process_of_this_machine_is_there_without_any_heartbeat(block: Block) -> None:
    parent = os.getppid()
    started = process_start(parent)
    assert started is not None
    block.move_in(replace(own_info("local"), pid=parent, process_start=started))
    assert block.is_alive_after(0)
    assert block.is_alive_after(1000 * INTERVAL)


def test_a_session_of_this_process_is_gone_when_its_heartbeat_stops(block: Block) -> None:
    block.move_in(own_info("local"))  # it was closed while the store was away, say
    block.beat(7)
    assert block.is_alive_after(0)
    assert block.is_alive_after((MISSED_BEATS - 1) * INTERVAL)
    assert not block.is_alive_after(2 * INTERVAL)


def test_a_process_of_this_machine_is_gone_at_once(block: Block) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = process_start(child.pid)
    assert started is not None
    block.move_in(replace(own_info("local"), pid=child.pid, process_start=started))
    block.beat(0)
    assert block.is_alive_after(0)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it is a zombie now
    assert not block.is_alive_after(0)
    child.communicate()
    assert not block.is_alive_after(0)


def test_a_number_that_another_process_got_is_not_the_same(block: Block) -> None:
    who = own_info("local")
    block.move_in(replace(who, process_start=who.process_start - 1))
    assert not block.neighbors.is_alive(OTHER)


def test_a_session_that_left_is_gone_though_its_process_is_there(block: Block) -> None:
    block.move_in(own_info("local"))
    block.beat(5, Presence.LEFT)
    assert not block.neighbors.is_alive(OTHER)


def test_of_elsewhere_a_heartbeat_that_changes_is_seen_by_our_own_clock(block: Block) -> None:
    block.move_in(elsewhere())
    for count in range(20):
        block.beat(count)
        assert block.is_alive_after(INTERVAL)
    assert block.is_alive_after(MISSED_BEATS * INTERVAL - 1)
    assert not block.is_alive_after(2)


def test_whoever_is_looked_at_late_has_as_long(block: Block) -> None:
    block.move_in(elsewhere())
    block.beat(7)
    assert block.is_alive_after(1_000_000)
    assert block.is_alive_after(MISSED_BEATS * INTERVAL - 1)
    assert not block.is_alive_after(2)


def test_whoever_came_and_has_not_beaten_yet_has_time(block: Block) -> None:
    block.move_in(elsewhere())
    assert block.is_alive_after(0)
    assert block.is_alive_after(30)
    assert not block.is_alive_after(60)


def test_whoever_is_gone_stays_so_for_us(block: Block) -> None:
    """What it had is planned again by now."""
    block.move_in(elsewhere())
    block.beat(1)
    block.is_alive_after(0)
    assert not block.is_alive_after(100)
    block.beat(2)
    assert not block.is_alive_after(10)


@pytest.mark.parametrize("broken", ["session", "beat"])
def test_what_cannot_be_read_is_written_again(block: Block, broken: str) -> None:
    block.move_in(elsewhere())
    block.beat(1)
    assert block.is_alive_after(0)
    block.store.put(getattr(block.run.names, broken)(OTHER), [b"nonsense"])
    assert block.is_alive_after(INTERVAL)
    assert not block.is_alive_after(MISSED_BEATS * INTERVAL)


def test_looks_that_follow_closely_take_no_request(block: Block) -> None:
    block.move_in(elsewhere())
    block.beat(1)
    for _ in range(100):
        assert block.is_alive_after(0.01)
    assert block.store.requests["get"] == 2


def test_others_that_are_there_are_told(block: Block) -> None:
    block.move_in(own_info("local"), OWN)
    assert block.neighbors.others() == []
    block.move_in(own_info("local"), OTHER)
    block.move_in(replace(own_info("local"), pid=2**22 + 1), 2)
    assert block.neighbors.others() == [OTHER]


def test_this_machine_knows_itself() -> None:
    who = own_info("local")
    assert who.machine == machine_id()
    assert (who.pid, who.engine) == (os.getpid(), "local")
    assert runs_here(who) is True
    assert runs_here(replace(who, machine="another")) is None
    assert who.user
    assert who.versions["dask"]
