"""The work of one shard in a pack: tasks to run, places of their inputs, and what must leave."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

from dask.typing import Key

from dask_knot.errors import NotLoadedError, PicklingError, StoreError
from dask_knot.internals import GraphNode, Task
from dask_knot.run import codec, scripts, versions
from dask_knot.run.codec import Bytes
from dask_knot.run.failure import Failure
from dask_knot.run.ids import TWIN as TWIN
from dask_knot.run.manifest import Place
from dask_knot.run.names import ShardId


class ShardOutput(NamedTuple):
    """A value that another shard makes: its output number `ordinal`, see that shard's manifest."""

    shard: ShardId
    ordinal: int


class ConstantPlace(NamedTuple):
    """A large constant: every task that reads it has it for itself, unless it can't be changed."""

    place: Place
    is_fixed: bool


#: Where an input is: in a range of an object already, in what another shard will have made, or
#: nowhere.
Source = Place | ConstantPlace | ShardOutput | Failure


@dataclass(frozen=True, slots=True)
class Options:
    """The way in which a shard is run.

    Attributes
    ----------
    cores : int
        How many tasks may run at once.
    processes : bool
        Run them in processes instead of threads.
    part_seconds : float
        After so many seconds what is done is committed as a part.
    news_seconds : float, optional
        A young shard tells so often how far it is, be it that nothing has to be committed; None:
        only with what is committed.
    notes_errors : bool
        Whether errors are noted in the store, so that who looks at a run sees which manifests tell
        of any.
    is_trial : bool
        Whether tasks that are short run twice, so that what they take is told apart from what the
        first one takes to start. Only where they run one after another.
    """

    cores: int = 1
    processes: bool = False
    part_seconds: float = 5.0
    news_seconds: float | None = None
    notes_errors: bool = False
    is_trial: bool = False


@dataclass(frozen=True, slots=True)
class ShardWork:
    """Everything that a child needs to know of its shard."""

    tasks: Sequence[GraphNode]
    literals: Sequence[GraphNode]
    inputs: Mapping[Key, Source]
    outputs: Sequence[Key]
    options: Options


def encode(work: ShardWork, plugins: str = "", bundle: str = "") -> list[Bytes]:
    """Turn a shard's work into the frames of a pack, with the versions they are made with.

    `plugins` and `bundle` are the digests of worker plugins and of the user's own modules.

    A task that can't be pickled becomes a task that raises PicklingError, so that the futures
    concerned say why and all the others are computed.
    """
    try:
        return versions.seal(codec.encode(work), plugins=plugins, bundle=bundle)
    except Exception:  # pickling runs user code: anything may come out
        tasks = [_checked(node) for node in work.tasks]
        literals = [_checked(node) for node in work.literals]
        checked = ShardWork(tasks, literals, work.inputs, work.outputs, work.options)
        return versions.seal(codec.encode(checked), plugins=plugins, bundle=bundle)


def decode(frames: memoryview) -> ShardWork:
    """Read what `encode` wrote, from frames whose seal was opened.

    Raises
    ------
    NotLoadedError
        If the tasks can't be unpickled here.
    StoreError
        If the bytes aren't those that were written.
    """
    try:
        work: ShardWork = codec.decode(frames)
    except StoreError:
        raise
    except (Exception, SystemExit) as error:  # unpickling runs user code: anything may come out
        text = f"tasks could not be unpickled: {type(error).__name__}: {error}"
        raise NotLoadedError(text) from error
    return work


def _checked(node: GraphNode) -> GraphNode:
    try:
        scripts.dumps(node)
    except Exception as error:
        message = (
            f"task {node.key!r} can't be sent to a job, because pickling it raised "
            f"{type(error).__name__}: {error}. Create such objects (locks, open files, "
            "connections) inside the task, or pass what is needed to make them"
        )
        raiser: Callable[[str], NoReturn] = _raise_pickling_error
        return Task(node.key, raiser, message)
    return node


def _raise_pickling_error(message: str) -> NoReturn:
    raise PicklingError(message)
