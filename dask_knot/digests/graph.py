"""Digests the tasks of a graph."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from zlib import crc32

from dask.typing import Key
from dask.utils import key_split

from dask_knot.digests.code import CodeReader
from dask_knot.digests.components import MOST_PARTS, Components
from dask_knot.digests.environment import Environment
from dask_knot.digests.files import FileMarks
from dask_knot.digests.plain import PlainValues, digest
from dask_knot.digests.refusal import UndigestibleError
from dask_knot.digests.tasks import TaskWriter, called, in_order
from dask_knot.digests.values import ObjectReader
from dask_knot.digests.walk import Walk
from dask_knot.internals import EXECUTE_SUBGRAPH, DataNode, GraphNode, Task

#: Instead of what a task calls, for what is no task.
_NOTHING = 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why tasks have no digest.

    Attributes
    ----------
    key : Key
        The first of them.
    count : int
        How many there are.
    """

    key: Key
    count: int


@dataclass(frozen=True, slots=True)
class GraphDigests:
    """The digests of a graph's tasks.

    Attributes
    ----------
    digests : mapping of Key to bytes
        16 bytes each; none of what can't be digested, must run anew, or reads such.
    codes : mapping of str to bytes
        The digest of what is called, by key prefix.
    refusals : mapping of str to Refusal
        Why some have none, but for those that only read such.
    components : Components
        What the digests are made of.
    """

    digests: Mapping[Key, bytes]
    codes: Mapping[str, bytes]
    refusals: Mapping[str, Refusal] = field(default_factory=dict)
    components: Components = field(default_factory=Components)


class Digester:
    """Digests the graphs and values of a session.

    Parameters
    ----------
    image : str
        Of the jobs, if the user named one himself.
    files : FileMarks, optional
        Looks at files.
    """

    def __init__(self, image: str = "", files: FileMarks | None = None) -> None:
        self._environment = Environment(image)
        self._code = CodeReader(self._environment)
        self._values = ObjectReader(self._code)
        self._files = FileMarks() if files is None else files

    def of_value(self, value: Any) -> bytes | None:
        """Give the digest of a value; None if it has none."""
        try:
            with self._files.snapshot():
                walk = self._walk(PlainValues(self._files))
                return TaskWriter(walk, self._environment.token).of_data(value)
        except UndigestibleError:
            return None

    def of_graph(
        self,
        tasks: Mapping[Key, GraphNode],
        outside: Callable[[Key], bytes | None],
        fresh: Collection[Key] = (),
        inputs: Mapping[Key, Sequence[str]] = {},
    ) -> GraphDigests:
        """Digest the tasks of a graph.

        Parameters
        ----------
        tasks : mapping of Key to GraphNode
            As they were sent.
        outside : callable
            Gives the digest of a value that isn't made by the graph.
        fresh : collection of Key
            Tasks that are to be run in any case.
        inputs : mapping of Key to sequence of str
            Files that tasks read without anything saying so.
        """
        with self._files.snapshot():
            return self._digested(tasks, outside, frozenset(fresh), inputs)

    def _digested(
        self,
        tasks: Mapping[Key, GraphNode],
        outside: Callable[[Key], bytes | None],
        fresh: Set[Key],
        inputs: Mapping[Key, Sequence[str]],
    ) -> GraphDigests:
        plain = PlainValues(self._files)
        read = set[Key]().union(*[node.dependencies for node in tasks.values()])
        known = {key: outside(key) for key in read.difference(tasks)}
        graph = _GraphWalk(self._walk(plain), self._environment.token, known)
        for key in in_order(tasks) if read else tasks:
            mark = partial(self._files.inputs, inputs[key]) if key in inputs else None
            graph.add(key, tasks[key], key in fresh, mark)
        digests = {key: graph.known[key] for key in tasks}
        found = {key: one for key, one in digests.items() if one is not None}
        components = Components(
            self._environment.parts,
            self._environment.versions(),
            plain.marks,
            *graph.ingredients(),
            refusals={reason: str(one.key) for reason, one in graph.refusals.items()},
        )
        return GraphDigests(found, graph.codes(), graph.refusals, components)

    def _walk(self, plain: PlainValues) -> Walk:
        return Walk(plain, self._values.open)


class _GraphWalk:
    """Digests tasks one after another, each after those that it reads."""

    def __init__(self, walk: Walk, environment: bytes, known: dict[Key, bytes | None]) -> None:
        self._walk = walk
        self._environment = environment
        self._writer = TaskWriter(walk, environment)
        self.known = known
        self.refusals: dict[str, Refusal] = {}
        #: By first part of the key: a task for each thing that is called, by its id.
        self._called: dict[Any, dict[int, Task]] = {}
        self._own: dict[Key, tuple[int, int]] = {}

    def add(
        self, key: Key, node: GraphNode, is_fresh: bool, mark: Callable[[], bytes] | None
    ) -> None:
        """Digest a task."""
        known = self.known
        found: bytes | None = None
        try:
            if not is_fresh and None not in [known[read] for read in node.dependencies]:
                found = self._writer.digest(node, known)
                if mark is not None:
                    found = digest(found + mark())
        except UndigestibleError as error:
            found = None
            self._refuse(str(error), key)
        known[key] = found
        if isinstance(node, Task):
            whole = id(node.args[0] if node.func is EXECUTE_SUBGRAPH else node.func)
            name = key[0] if type(key) is tuple else key
            self._called.setdefault(name, {})[whole] = node
            if found is not None:
                self._own[key] = (whole, self._writer.own)
        elif found is not None:
            self._own[key] = (_NOTHING, crc32(found) if isinstance(node, DataNode) else 0)

    def _refuse(self, reason: str, key: Key) -> None:
        before = self.refusals.get(reason)
        first, count = (before.key, before.count) if before else (key, 0)
        self.refusals[reason] = Refusal(first, count + 1)

    def codes(self) -> dict[str, bytes]:
        """Give the digests of what is called by key prefix, as far as all of it has one."""
        found: dict[str, set[bytes]] = {}
        for name, tasks in self._called.items():
            of_prefix = found.setdefault(key_split(name), set())
            for one in {id(one): one for task in tasks.values() for one in called(task)}.values():
                try:
                    of_prefix.add(self._walk.digest(one))
                except UndigestibleError:
                    of_prefix.add(b"")
        return {
            prefix: digest(self._environment + b"".join(sorted(codes)))
            for prefix, codes in found.items()
            if b"" not in codes
        }

    def ingredients(self) -> tuple[list[Mapping[str, bytes]], dict[Key, tuple[int, int]]]:
        """Give the parts of all code, and for each task the number of its code, and its own."""
        wholes: dict[int, Task | None] = {_NOTHING: None}
        wholes |= {whole: node for tasks in self._called.values() for whole, node in tasks.items()}
        numbers: dict[tuple[bytes, ...], int] = {}
        codes: list[Mapping[str, bytes]] = []
        of_whole: dict[int, int] = {}
        for whole in dict.fromkeys(whole for whole, _ in self._own.values()):
            node = wholes[whole]
            functions = [] if node is None else [*called(node)]
            digests = tuple(self._walk.digest(one) for one in functions)
            if digests not in numbers:
                numbers[digests] = len(codes)
                codes.append(self._walk.parts_of(functions, MOST_PARTS))
            of_whole[whole] = numbers[digests]
        return codes, {key: (of_whole[whole], own) for key, (whole, own) in self._own.items()}
