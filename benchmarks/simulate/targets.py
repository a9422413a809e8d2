"""What our plans are held to, and the runs that miss it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.simulate.grid import Run
from benchmarks.simulate.policies import JOB_PER_ELEMENT, OURS

#: Makespan over the bound at most.
UNKNOWN_RATIO, KNOWN_RATIO = 1.5, 1.2
#: vCPU-hours over those of a job per element at most, where tasks are short.
SHORT_SHARE = 0.7
#: Other jobs meet other boots: what is closer than this is the same time.
SAME = 1.03


def misses(runs: Sequence[Run]) -> list[tuple[Run, str]]:
    """List our runs that miss a target, with words: one line for each target that is missed."""
    others = {_world(run): run for run in runs if run.policy == JOB_PER_ELEMENT}
    return [
        (run, words)
        for run in runs
        if run.policy == OURS
        for words in _missed(run, others.get(_world(run)))
    ]


def _missed(run: Run, other: Run | None) -> Iterable[str]:
    limit = KNOWN_RATIO if run.known else UNKNOWN_RATIO
    makespan = run.outcome.makespan
    if run.ratio > limit:
        reachable = makespan / run.bound.reachable
        verdict = "but" if reachable <= limit else "and"
        yield f"{run.ratio:.2f} of the bound, {verdict} {reachable:.2f} of what can be had"
    if other is None:
        return
    if makespan > SAME * other.outcome.makespan:
        yield f"slower than a job per element: {makespan / other.outcome.makespan:.2f} of its time"
    share = run.outcome.vcpu_seconds_paid / other.outcome.vcpu_seconds_paid
    if run.is_short and share > SHORT_SHARE:
        yield f"{share:.2f} of the vCPU-hours of a job per element"


def _world(run: Run) -> tuple[str, int, bool]:
    return run.workload, run.slots, run.spot
