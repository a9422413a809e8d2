"""The ids of stages, shards and manifests: numbers that are the same in every process.

Each has two names. People read ``stage 1.2``, stage 2 of graph 1 of the run's first session; in a
later session that session's number stands in front: ``stage 4.1.2``. The store has them with zeros
in front, so that they can be listed in order.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

#: A session of a run numbers its plans from its own number times this.
PLANS_PER_SESSION = 1_000_000
#: The attempts of a twin, a second child of a shard, are numbered from here on: data has numbers
#: of attempts in its names, and Batch makes ten attempts at most.
TWIN = 50
#: What people type: with blanks or without, as a shell and a notebook leave them.
_NUMBER = r"(?:(\d{1,4})\.)?(\d{1,6})\.(\d{1,6})"
_STAGE = re.compile(rf"\s*(?:stage\s*)?{_NUMBER}\s*", re.ASCII | re.IGNORECASE)
_SHARD = re.compile(
    rf"\s*(?:(?:shard|job)\s*(\d{{1,6}})\s*of\s*)?(?:stage\s*)?{_NUMBER}(?::(\d{{1,6}}))?\s*",
    re.ASCII | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, order=True)
class StageId:
    """A stage of a run: the number of its plan, and its place in that plan."""

    plan: int
    stage: int

    def __str__(self) -> str:
        return f"stage {self.number}"

    @property
    def number(self) -> str:
        """The digits of its name for people: ``1.2``, in a later session of the run ``4.1.2``."""
        return f"{plan_number(self.plan)}.{self.stage}"

    @property
    def stored(self) -> str:
        """What objects of the store and jobs of Batch are called by; people never see it."""
        return f"{self.plan:010}-{self.stage:03}"


@dataclass(frozen=True, slots=True, order=True)
class ShardId:
    """A shard of a stage, run by the child with index `index`."""

    stage: StageId
    index: int

    def __str__(self) -> str:
        return f"shard {self.index} of {self.stage}"

    @property
    def stored(self) -> str:
        """What objects of the store are called by; people never see it."""
        return f"{self.stage.stored}-{self.index:05}"


class ManifestId(NamedTuple):
    """A manifest: of which shard it is, and which part (None: the last one).

    If `is_lost`, it is the obituary of a child instead, which stands among the manifests.
    """

    shard: ShardId
    part: int | None
    is_lost: bool = False


def session_of(plan: int) -> int:
    """Give the number of the session that made a plan, or scattered values under that number."""
    return plan // PLANS_PER_SESSION


def first_plan(session: int) -> int:
    """Give the number of the first plan of a session."""
    return session * PLANS_PER_SESSION


def plan_number(plan: int) -> str:
    """Write the number of a plan as people read it: ``1``, in a later session ``4.1``."""
    session, number = divmod(plan, PLANS_PER_SESSION)
    return f"{session}.{number}" if session else str(number)


def plan_name(plan: int) -> str:
    """Name a plan for people."""
    session, number = divmod(plan, PLANS_PER_SESSION)
    return f"plan {number} of session {session}"


def parse_stage(text: str) -> StageId | None:
    """Tell which stage a text names: ``stage 1.2``, ``1.2``, ``4.1.2``; None if it names none."""
    match = _STAGE.fullmatch(text)
    return _stage(*match.groups()) if match else None


def parse_shard(text: str) -> ShardId | None:
    """Tell which shard a text names: ``shard 7 of stage 1.2``, ``1.2:7``; None if it names none."""
    match = _SHARD.fullmatch(text)
    if match is None or (match[1] is None) == (match[5] is None):
        return None
    return ShardId(_stage(*match.groups()[1:4]), int(match[1] or match[5]))


def _stage(session: str | None, plan: str, stage: str) -> StageId:
    return StageId(first_plan(int(session or 0)) + int(plan), int(stage))
