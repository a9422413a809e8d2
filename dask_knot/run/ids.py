"""The ids of stages, shards and manifests: numbers that are the same in every process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

#: A session of a run numbers its plans from its own number times this.
PLANS_PER_SESSION = 1_000_000


@dataclass(frozen=True, slots=True, order=True)
class StageId:
    """A stage of a run: the number of its plan, and its place in that plan."""

    plan: int
    stage: int

    def __str__(self) -> str:
        return f"{self.plan:010}-{self.stage:03}"


@dataclass(frozen=True, slots=True, order=True)
class ShardId:
    """A shard of a stage, run by the child with index `index`."""

    stage: StageId
    index: int

    def __str__(self) -> str:
        return f"{self.stage}-{self.index:05}"


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
