"""The bar of a map in one line of text, as that of tqdm: from counts and times alone."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from dask_knot.plural import many

#: A speed is that of the last seconds, at least, and of such a part of all the time: parts come in
#: bursts, and the start of the jobs should be forgotten.
RECENT, RECENT_PART = 15.0, 0.25
#: Samples of a speed lie so far apart, in parts of all the time: there are never very many.
SPACING = 0.005
#: Columns of the bar itself.
LONGEST, SHORTEST = 30, 5
BLOCKS, PLAIN = " ▏▎▍▌▋▊▉█", " #"


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a map is at one moment.

    Attributes
    ----------
    name : str
        Of the map.
    done, failed : int
        Items with a value; items with an error.
    total : int
        All items, or those that were read so far.
    is_reading : bool
        Whether there may be more.
    running, waiting : int
        Jobs that run; jobs that wait for a machine.
    money : str
        What it has cost so far, in words; empty if that is nothing, as on this machine.
    """

    name: str
    done: int
    failed: int
    total: int
    is_reading: bool = False
    running: int = 0
    waiting: int = 0
    money: str = ""

    @property
    def ended(self) -> int:
        """Items that are over."""
        return self.done + self.failed


class Speed:
    """Items a second, of the last while.

    Parameters
    ----------
    start : float
        When it begins, in seconds of any clock; the methods use it, too.
    """

    def __init__(self, start: float) -> None:
        self.begin(0, start)

    def begin(self, ended: int, now: float) -> None:
        """Begin anew: what is over by now, as it was there already, tells nothing of the speed."""
        self._start = now
        self._samples: deque[tuple[float, int]] = deque([(now, ended)])

    def note(self, ended: int, now: float) -> None:
        """Take the number of items that are over."""
        age = now - self._start
        if now - self._samples[-1][0] >= SPACING * age:
            self._samples.append((now, ended))
        oldest = now - max(RECENT, RECENT_PART * age)
        while len(self._samples) > 2 and self._samples[1][0] <= oldest:
            self._samples.popleft()

    def a_second(self, ended: int, now: float) -> float | None:
        """Give the items a second; None as long as nothing moves."""
        since, before = self._samples[0]
        return (ended - before) / (now - since) if ended > before and now > since else None


def bar(
    standing: Standing, rate: float | None, seconds: float, columns: int = 80, plain: bool = False
) -> str:
    """Draw a bar.

    Parameters
    ----------
    standing : Standing
        How far the map is.
    rate : float, optional
        Items a second; None if nothing is known.
    seconds : float
        How long it goes on.
    columns : int
        How wide the terminal is; the text may be wider, the bar makes room for it.
    plain : bool
        Whether the terminal has no blocks to draw with.
    """
    words = ", ".join([_times(standing, rate, seconds), *_facts(standing, rate)])
    head = f"{standing.name}:"
    if standing.is_reading or not standing.total:
        return f"{head} {standing.ended:,} of {standing.total:,} items so far [{words}]"
    part = standing.ended / standing.total
    percent = f"{int(100 * part):3}%"  # 100 % is said of what is over only
    tail = f"{standing.ended:,}/{standing.total:,} [{words}]"
    room = min(LONGEST, columns - len(f"{head} {percent}|| {tail}") - 1)
    drawn = f"|{_drawn(part, room, PLAIN if plain else BLOCKS)}|" if room >= SHORTEST else ""
    return f"{head} {percent}{drawn} {tail}"


def summary(standing: Standing, seconds: float) -> str:
    """Say how a map went that is over."""
    facts = [clock(seconds), *_facts(standing, standing.ended / seconds if seconds > 0 else None)]
    return f"{standing.name}: {many('item', standing.total)} [{', '.join(facts)}]"


def clock(seconds: float) -> str:
    """Write a time as clocks do.

    >>> clock(5), clock(3661.9)
    ('0:05', '1:01:01')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _times(standing: Standing, rate: float | None, seconds: float) -> str:
    if standing.is_reading:
        return clock(seconds)
    left = "?" if rate is None else clock((standing.total - standing.ended) / rate)
    return f"{clock(seconds)}<{left}"


def _facts(standing: Standing, rate: float | None) -> list[str]:
    facts = [] if rate is None else [_pace(rate)]
    if standing.failed:
        facts.append(f"{standing.failed:,} failed")
    if standing.running:
        waiting = f", {standing.waiting:,} waiting" if standing.waiting else ""
        facts.append(f"{many('job', standing.running)} running{waiting}")
    elif standing.waiting:
        facts.append(f"{many('job', standing.waiting)} waiting")
    return facts + ([standing.money] if standing.money else [])


def _pace(rate: float) -> str:
    """Say how fast it goes, in three digits: a second, or how long each takes."""
    if rate >= 1:
        return f"{rate:,.0f}/s" if rate >= 99.95 else f"{rate:.1f}/s"
    return f"{1 / rate:.1f} s each" if rate > 1 / 60 else f"{clock(1 / rate)} each"


def _drawn(part: float, room: int, blocks: str) -> str:
    steps = len(blocks) - 1
    full, rest = divmod(int(part * room * steps), steps)
    text = blocks[-1] * full + (blocks[rest] if rest else "")
    return text.ljust(room)
