"""The number of columns that some work is worth, and the tasks of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from heapq import heapify, heapreplace
from math import ceil, sqrt

from dask_knot.planning.request import Limits
from dask_knot.planning.seams import cut_row

#: The work that begins with each task: of all tasks, or of those of one level.
Amounts = Sequence[float] | Mapping[int, float]

# More shards than this for each slot balance no better and cost a job start each.
_MOST_SHARDS_PER_SLOT = 8
# So many tasks for each slot are few, and this fine is the work of tasks that differ much.
_FEW_FOR_SLOT = 2
# Durations are means of a prefix: with other arguments a task may well take three times as long.
_UNSURE = 3


def widest(limits: Limits) -> int:
    """Give the columns that a stage has at most."""
    return limits.slots * min(limits.shards_per_slot, _MOST_SHARDS_PER_SLOT)


def count_columns(seconds: float, tasks: int, limits: Limits, variance: float = 0.0) -> int:
    """Decide how many columns share some seconds of known work that begins with some tasks.

    Idle slots are used as long as a shard may work for longer than it takes to start; beyond
    them shards are as long as the target says, or shorter if tasks of one prefix differ. A slot's
    part of the work is off by as much as its standard deviation; in so many rounds of jobs a slot
    is off by that part of it only, since slots that are done early take more shards, but each
    round costs a job start. Both together are least with the square root of their ratio.
    """
    start = max(limits.job_start_seconds, 1e-9)
    idle = min(limits.slots, int(_UNSURE * seconds / start))
    columns = max(idle, min(ceil(seconds / limits.target_seconds), widest(limits)))
    if columns >= limits.slots and variance:
        rounds = sqrt(sqrt(variance / limits.slots) / start)
        finest = max(widest(limits), _FEW_FOR_SLOT * limits.slots)
        columns = max(columns, min(int(rounds * limits.slots), finest))
    if columns > limits.slots:
        # Rounds of jobs should be full: 3 equal shards on 2 slots take as long as 4. Tasks that
        # are few and long have no more columns than tasks: 25 on 16 slots are 25.
        columns = -(-columns // limits.slots) * limits.slots
    return max(1, min(columns, tasks))


def count_unknown(unknown: float, tasks: int, limits: Limits) -> int:
    """Decide how many columns share tasks of unknown length: one has a column, if there are enough.

    Width costs one job start each; narrowness can cost all the time that there is. Few tasks for
    each slot have a column each in any case: two that share one may be all that is left to do.
    """
    # Shares of tasks that several columns begin are summed up, so the sum may be a little off.
    columns = ceil(unknown - 1e-6)
    if columns > _FEW_FOR_SLOT * limits.slots:
        columns = min(columns, widest(limits))
    return max(1, min(columns, tasks))


def spread(
    tasks: Sequence[int],
    flow: Amounts,
    components: Sequence[int],
    columns: int,
    seams: Callable[[], Sequence[float]] = tuple,
    slots: int = 1,
) -> list[list[int]]:
    """Deal tasks into columns of about the same weight.

    Small independent components go whole to the least loaded column, heaviest first, ties by
    arrival: slow tasks that are neighbors don't end in one shard. All that is larger than
    a column is cut into contiguous ranges, because neighbors read each other: near to where they
    are even, but where least is read from both sides, if `seams` say how much.
    """
    if columns >= len(tasks):
        return [[task] for task in tasks]
    totals: dict[int, float] = {}
    for task in tasks:
        part = components[task]
        totals[part] = totals.get(part, 0.0) + flow[task]
    fair = sum(totals.values()) / columns
    small = _uncut(tasks, components, totals, 1.001 * fair)
    pool = sum(totals.values()) - sum(small.values()) if len(small) < len(totals) else 0.0
    row = [place for place, task in enumerate(tasks) if components[task] not in small]
    count = max(1, round(pool / fair))
    costs = seams() if row and count > 1 else ()
    ranges = cut_row(
        [flow[tasks[place]] for place in row],
        count,
        [costs[place] for place in row] if costs else (),
        slots,
    )
    # The ranges come first: they are about as heavy as a column, so each gets one to itself.
    places = _balance([pool / count] * count + [*small.values()], columns)
    column_of = dict(zip(small, places[count:], strict=True))
    range_of = dict(zip(row, ranges, strict=True))
    dealt: list[list[int]] = [[] for _ in range(columns)]
    for place, task in enumerate(tasks):
        number = range_of.get(place)
        dealt[column_of[components[task]] if number is None else places[number]].append(task)
    return [column for column in dealt if column]


def _uncut(
    tasks: Sequence[int], components: Sequence[int], totals: dict[int, float], most: float
) -> dict[int, float]:
    """Give the components that aren't cut: those that fit into a column, and those of one task."""
    small = {part: total for part, total in totals.items() if total <= most}
    if len(small) == len(totals):
        return small
    counts = Counter(part for part in map(components.__getitem__, tasks) if part not in small)
    return {part: total for part, total in totals.items() if part in small or counts[part] == 1}


def chunk(tasks: Sequence[int], flow: Amounts, columns: int, most: int) -> list[list[int]]:
    """Cut tasks into contiguous columns of about the same weight and at most so many tasks."""
    fair = sum(flow[task] for task in tasks) / columns
    cut: list[list[int]] = [[]]
    load = 0.0
    for task in tasks:
        if cut[-1] and (len(cut[-1]) >= most or load + flow[task] / 2 > fair):
            cut.append([])
            load = 0.0
        cut[-1].append(task)
        load += flow[task]
    return cut


def _balance(weights: Sequence[float], columns: int) -> list[int]:
    """Place each weight, heaviest first, on the column that has least so far."""
    loads = [(0.0, column) for column in range(columns)]
    heapify(loads)
    places = [0] * len(weights)
    for unit in sorted(range(len(weights)), key=lambda unit: -weights[unit]):
        load, column = loads[0]
        places[unit] = column
        heapreplace(loads, (load + weights[unit], column))
    return places
