"""Shuffles: in one pass where that pays; refused between live workers, or by files of a machine."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import dask
from dask.typing import Key

from dask_knot.errors import ConfigurationError, UnsupportedGraphError
from dask_knot.internals import GraphNode

#: The setting for the partitions that are shuffled in one pass, where nobody says ``max_branch``.
BRANCH = "dataframe.shuffle.max-branch"


@contextmanager
def branched(expr: Any) -> Iterator[None]:
    """Let shuffles of dataframes have so many branches as the setting says, while tasks are made.

    Dask has an option for it, but no setting. The option is a part of the name of what is asked
    for, which can't be changed any more, and expressions of one name are one object in a process,
    perhaps the user's: so they have it for this moment only, and not as the operand that it is.

    Raises
    ------
    ConfigurationError
        If the setting is no number of branches.
    """
    branch = dask.config.get(BRANCH, None)
    if not (branch is None or (isinstance(branch, int) and branch > 1)):
        raise ConfigurationError(f"{BRANCH} must be a whole number above 1, not {branch!r}")
    found = [part for part in expr.walk() if type(part).__name__ == "TaskShuffle"] if branch else []
    for part in found:
        vars(part)["options"] = {"max_branch": branch, **(part.operand("options") or {})}
    try:
        yield
    finally:
        for part in found:
            vars(part).pop("options", None)


def refuse_shuffles(nodes: Collection[GraphNode]) -> None:
    """Refuse a graph that shuffles.

    Raises
    ------
    UnsupportedGraphError
        With what to do instead.
    """
    if any(kind.__module__.startswith("distributed.shuffle") for kind in set(map(type, nodes))):
        raise UnsupportedGraphError(
            "this graph shuffles between live workers (P2P), and jobs are not live workers. "
            + _TASKS
        )
    if any(_is_shuffle_file(node.key) for node in nodes):
        raise UnsupportedGraphError(
            "this graph shuffles through files on the disk of one machine, and jobs may run on "
            "many. " + _TASKS
        )


def _is_shuffle_file(key: Key) -> bool:
    return type(key) is tuple and len(key) == 1 and str(key[0]).startswith(("partd-", "zpartd-"))


_TASKS = (
    "Build it while the KnotCluster is open, or with dask.config.set({"
    "'dataframe.shuffle.method': 'tasks', 'array.rechunk.method': 'tasks'})"
)
