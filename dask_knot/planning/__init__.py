"""The planner, pure: tasks in, a plan of stages and shards out.

Who calls
    The tracker decides when something is planned and what (`MakePlan`); the session calls
    `make_plan` in a thread, because a million tasks take seconds, and tells the tracker of the
    outcome. `dask_knot.cluster.previews.foresee_plan` plans without running anything, and draws the
    `outline`.

The way of one request
    `graph` numbers the tasks that are needed, inputs before readers (`adjacency` has the edges and
    the walk); `workload` measures the work behind each; `partition` cuts them into levels of
    shards, each about as heavy as `sizing` says, or a task each where nothing is known, but for
    trees of joins (`reductions`), what is to be read (`arrivals`) included, near to where least is
    read from both sides (`seams`), and more finely where a job hasn't `room` for a shard's values
    (`footprint`); `folding` makes one shard of small late levels, unless that would have to read
    much (`crossings`) or to hold too much;
    `shards` turns numbers into keys again; `dependencies` says what each stage waits for.

What may be missing
    Durations. Of a prefix that isn't in the request's `costs` nothing is assumed: its tasks get a
    job each, up to the slots' shards, because width costs one job start each and narrowness can
    cost everything; a weight they have for balance only.
    Sizes. Where many values of unknown size are read, tasks of known length may take any time, too.
    Values from outside: the request names them all (`external`), there or still being made; a key
    that is neither a task nor external is an `UnknownInputError`, and a circle a `PlanningError`:
    the keys of the request err, nothing else does.

Which races there are
    None in here. A plan takes time, though: what it reads may be lost, and what it makes released,
    before it is made. The tracker looks again when it takes the plan in, and plans anew if need be.

Why so
    Contiguous ranges of a depth-first order are good shards: related tasks lie next to each other.
    A shard reads from shards of earlier levels only, so there is no circle and a job that runs
    never waits for one that doesn't. The same request gives the same plan, whatever hashes are, and
    time and memory grow as the graph does: graphs have millions of tasks, so what is done for each
    task works on flat lists of integers.

The rules of this room: no clock, network, file, thread, environment or configuration.
"""

from dask_knot.planning.plan import Dependency, DependencyType, EarlierStage, Plan, Shard, Stage
from dask_knot.planning.planner import make_plan
from dask_knot.planning.request import Cost, Limits, PlanRequest
from dask_knot.planning.resources import Resources

__all__ = [
    "Cost",
    "Dependency",
    "DependencyType",
    "EarlierStage",
    "Limits",
    "Plan",
    "PlanRequest",
    "Resources",
    "Shard",
    "Stage",
    "make_plan",
]
