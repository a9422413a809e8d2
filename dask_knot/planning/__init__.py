"""The planner, pure: tasks in, a plan of stages and shards out.

The rules of this room: no clock, network, file, thread, environment or configuration; the same
request gives the same plan, whatever hashes are; time and memory grow as the graph does.
"""

from dask_knot.planning.make import make_plan
from dask_knot.planning.plan import Dependency, DependencyType, External, Plan, Shard, Stage
from dask_knot.planning.request import Limits, PlanRequest
from dask_knot.planning.resources import Resources

__all__ = [
    "Dependency",
    "DependencyType",
    "External",
    "Limits",
    "Plan",
    "PlanRequest",
    "Resources",
    "Shard",
    "Stage",
    "make_plan",
]
