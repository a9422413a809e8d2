"""Why the work of a key was done again: what differs from the nearest earlier work of its kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from dask.typing import Key
from dask.utils import key_split

from dask_knot.digests import components
from dask_knot.digests.components import Components
from dask_knot.errors import StoreError
from dask_knot.run.names import StageId, plan_name, session_of
from dask_knot.run.record import NO_DIGEST, PlanRecord, pieces
from dask_knot.run.run import Run
from dask_knot.runs.depot import Depot
from dask_knot.runs.keys import find_key
from dask_knot.runs.overview import read_record
from dask_knot.runs.reading import RunView
from dask_knot.runs.stages import named_stage

#: So often what is read is followed into the plans that make it.
DEPTH = 3
#: So many earlier keys of a kind are compared to find the one that is most alike, of so many plans.
COMPARED = 100
PLANS = 5


@dataclass(frozen=True, slots=True)
class Made:
    """A key as an output of a plan.

    Attributes
    ----------
    plan : PlanRecord
        The plan.
    output : int
        The number of the output in it.
    """

    plan: PlanRecord
    output: int

    @property
    def key(self) -> Key:
        """The key."""
        key: Key = self.plan.keys[self.output]
        return key

    @property
    def prefix(self) -> str:
        """The prefix of the key."""
        return str(key_split(self.key))

    @property
    def digest(self) -> bytes:
        """The digest of its work."""
        return self.plan.digest(self.output)

    @property
    def where(self) -> str:
        """Say which plan it is."""
        return plan_name(self.plan.number)


def explain(depot: Depot, name: str, text: str) -> list[str]:
    """Say in lines why the work of a key was done, though a run may have had it.

    A text that is a prefix of keys means the first one of the last plan that makes such; a stage,
    as ``1.2``, the first key of each prefix that it makes.

    Raises
    ------
    ConfigurationError
        If there is no such run or key.
    StoreError
        If the run can't be read.
    """
    view = read_record(depot, name)
    if stage := named_stage(view, text):
        found = _made_by(view, stage)
        lines = [line for one in found for line in _explained(view, one)]
        return lines or [f"{stage} has no output keys"]
    made = _latest_of_kind(view, text) or _latest(view, find_key(text, _keys(view)))
    return _explained(view, made)


def _explained(view: RunView, made: Made) -> list[str]:
    earlier = _nearest(view, made)
    return [f"{made.key} is made by {made.where}", *_reasons(view, made, earlier)]


def _reasons(view: RunView, made: Made, earlier: Made | None) -> Iterator[str]:
    if made.digest == NO_DIGEST:
        yield from _undigested(view.run, made)
        return
    if earlier is None:
        yield f"no earlier plan had any {made.prefix} among its outputs: it had to be computed"
    elif earlier.digest == made.digest:
        yield f"its work is the same as that of {earlier.key} of {earlier.where}"
        yield (
            "that work has no result (it failed, was lost or was abandoned), or reuse was "
            "turned off"
        )
    else:
        yield f"the most similar earlier work is {earlier.key} of {earlier.where}; the differences:"
        yield from (f"  {line}" for line in _differences(view, earlier, made))
    if any(number > session_of(made.plan.number) for number in view.sessions):
        yield "later sessions that need the same work reuse its result"


def _keys(view: RunView) -> Iterator[Key]:
    return (key for plan in view.plans for key in plan.keys)


def _latest_of_kind(view: RunView, text: str) -> Made | None:
    """Give the first of those that the last plan with a key of that prefix makes."""
    if text in map(str, _keys(view)):
        return None
    for plan in reversed(view.plans):
        for output, key in enumerate(plan.keys):
            if key_split(key) == text:
                return Made(plan, output)
    return None


def _latest(view: RunView, key: Key) -> Made:
    for plan in reversed(view.plans):
        keys = list(plan.keys)
        if key in keys:
            return Made(plan, keys.index(key))
    raise LookupError(key)  # it was found in one of them


def _nearest(view: RunView, made: Made) -> Made | None:
    """Give the latest earlier output that is most like another one: by digest, key, or causes."""
    kinds: list[list[Made]] = []
    for plan in reversed(view.plans[: view.plans.index(made.plan)]):
        alike = [
            Made(plan, output)
            for output, key in enumerate(plan.keys)
            if key_split(key) == made.prefix
        ]
        for one in alike:
            if one.digest == made.digest or one.key == made.key:
                return one
        if alike and len(kinds) < PLANS:
            kinds.append(alike)
    return _most_alike(view.run, made, kinds)


def _most_alike(run: Run, made: Made, kinds: Sequence[Sequence[Made]]) -> Made | None:
    """Choose what differs for the fewest causes, if these were kept; else by place.

    The latest plan may have made something else of that kind: all that xarray computes ends in
    keys of one prefix.
    """
    if not kinds:
        return None
    place = _place(made)
    now = _components(run, made.plan)
    found: list[tuple[tuple[bool, int], Made]] = []
    for alike in kinds:
        at_place = next((one for one in alike if _place(one) == place), alike[0])
        before = None if now is None else _components(run, at_place.plan)
        if now is None or before is None:
            return min(found, key=_rank)[1] if found else at_place
        for one in [at_place, *alike[: COMPARED // len(kinds)]]:
            causes = components.explain(now, before, made.key, one.key)
            is_other = components.is_called_otherwise(now, before, made.key, one.key)
            found.append(((is_other, len(causes)), one))
    return min(found, key=_rank)[1]


def _rank(found: tuple[tuple[bool, int], Made]) -> tuple[bool, int]:
    return found[0]


def _place(made: Made) -> tuple[object, ...] | int:
    """Say which of its kind an output is: by the numbers in its key, else by its place."""
    if isinstance(made.key, tuple):
        return made.key[1:]
    kinds = [key for key in made.plan.keys if key_split(key) == made.prefix]
    return kinds.index(made.key)


def _undigested(run: Run, made: Made) -> Iterator[str]:
    yield "its work has no digest, so it runs again each time, and so does everything that reads it"
    kept = _components(run, made.plan)
    reasons = {} if kept is None else kept.refusals
    for reason, first in reasons.items():
        yield f"in its graph {first} has none: {reason}"
    if reasons:
        return
    if made.prefix in made.plan.codes:
        yield (
            f"the code of {made.prefix} has a digest: the reason is an argument, or "
            "something that it reads"
        )
    else:
        yield f"the code that {made.prefix} calls has no digest, or must run each time"


def _differences(view: RunView, earlier: Made, made: Made, depth: int = 0) -> Iterator[str]:
    """Name what differs: by what was kept of the digests, else by what the record tells."""
    now, before = (_components(view.run, one.plan) for one in (made, earlier))
    found: list[str] = []
    if now is not None and before is not None:
        found = components.explain(now, before, made.key, earlier.key)
    found = found or list(_recorded_differences(view, earlier, made))
    if found:
        yield from found
        return
    # What other plans make isn't among what was kept of this one.
    read = _read_anew(view, earlier, made) if depth < DEPTH else []
    for one in read:
        other = _nearest(view, one)
        if other is None:
            yield f"reads {one.key}, which is new"
        else:
            yield f"reads {one.key}, which differs from {other.key}:"
            yield from (f"  {line}" for line in _differences(view, other, one, depth + 1))
    if not read:
        yield "an argument, or something that it reads"


def _read_anew(view: RunView, earlier: Made, made: Made) -> list[Made]:
    """Give one output of each prefix that the stage of a key reads, and that wasn't made before."""
    plans = {plan.number: plan for plan in view.plans}
    past = view.plans[: view.plans.index(earlier.plan) + 1]
    known = {one for plan in past for one in pieces(plan.digests)}
    found: dict[str, Made] = {}
    for id in made.plan.stages[_stage(made)].depends_on:
        if (plan := plans.get(id.plan)) is None:
            continue
        for one in _outputs(plan, id.stage):
            if one.digest not in known:
                found.setdefault(one.prefix, one)
    return list(found.values())


def _made_by(view: RunView, stage: StageId) -> list[Made]:
    """Give the first output of each prefix that a stage makes."""
    (plan,) = (plan for plan in view.plans if plan.number == stage.plan)
    found: dict[str, Made] = {}
    for one in _outputs(plan, stage.stage):
        found.setdefault(one.prefix, one)
    return list(found.values())


def _outputs(plan: PlanRecord, stage: int) -> Iterator[Made]:
    """Give the outputs of a stage of a plan."""
    counts = [sum(one.outputs) for one in plan.stages]
    start = sum(counts[:stage])
    return (Made(plan, output) for output in range(start, start + counts[stage]))


def _stage(made: Made) -> int:
    """Number the stage that makes an output."""
    ends = accumulate(sum(stage.outputs) for stage in made.plan.stages)
    return next(number for number, end in enumerate(ends) if made.output < end)


def _components(run: Run, plan: PlanRecord) -> Components | None:
    """Read what the digests of a plan are made of, if that was kept, and can be read."""
    try:
        return components.decode(run.record.read_why(plan.number))
    except StoreError:
        return None


def _recorded_differences(view: RunView, earlier: Made, made: Made) -> Iterator[str]:
    old, new = (_versions(view, one) for one in (earlier, made))
    changed = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    for name in changed:
        yield f"{name} {old.get(name) or 'none'} -> {new.get(name) or 'none'}"
    codes = [one.plan.codes.get(one.prefix) for one in (earlier, made)]
    if codes[0] != codes[1]:
        yield f"code: what {made.prefix} calls has changed" + (", or the above" if changed else "")
    elif earlier.digest == NO_DIGEST:
        yield "the earlier work had no digest, so the two can't be compared"


def _versions(view: RunView, made: Made) -> Mapping[str, str]:
    who = view.sessions.get(session_of(made.plan.number))
    return {} if who is None else who.versions
