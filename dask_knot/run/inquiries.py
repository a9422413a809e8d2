"""Inquiries: people ask jobs that run, beside the session; all of it is deleted when it is over.

    RUN/asks/ID              what people ask the children of a stage, overwritten by all of them
    RUN/answers/QUESTION/ID-00003    what shard 3 answers
    RUN/vitals/ID-00003      how shard 3 fares while somebody watches, overwritten

Children look at what their session tells them (`orders`) now and then, in one request. There must
not be another one while nobody asks. So a child looks at what is asked where that costs nothing, in
a folder, and elsewhere only when there are orders: who asks writes empty ones, unless there are
any.

Several people may ask a stage at once: each reads what is asked, and adds to it. Who writes at the
same time as somebody else is overwritten, and asks again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from dask_knot.errors import CorruptObjectError, MissingObjectError, RunFormatError
from dask_knot.run import pack
from dask_knot.run.asks import Answer, Asks, Vitals
from dask_knot.run.folder import folder_of
from dask_knot.run.names import Names, ShardId, StageId, parse_pack
from dask_knot.run.orders import Orders
from dask_knot.run.store import Store

_SHARD = re.compile(r"(\d{10})-(\d{3}|[1-9]\d{3,})-(\d{5})", re.ASCII)
#: What another version, or damage, makes of an object that is overwritten soon.
_UNREADABLE = (MissingObjectError, CorruptObjectError, RunFormatError)


class Inquiries:
    """What is asked of a run's jobs, and answered.

    Its verbs raise StoreError if the store can't be asked. For several threads.

    Parameters
    ----------
    store : Store
        Where the objects are.
    names : Names
        Those of the run.
    """

    def __init__(self, store: Store, names: Names) -> None:
        self._store = store
        self._names = names
        self._root = names.run
        self._folder = folder_of(store.url)

    # Who asks.

    def tell(self, stage: StageId, asks: Asks) -> None:
        """Ask the children of a stage, or take everything back."""
        name = self._asks(stage)
        if asks == Asks():
            self._store.delete([name])
            return
        self._store.put(name, asks.encode())
        if self._folder is None:
            self._store.put_new(self._names.orders(stage), Orders().encode())

    def planned(self) -> dict[StageId, int]:
        """Tell how many shards each stage has of which there is a pack: one request for each."""
        found = {}
        for name in self._store.list(f"{self._root}/packs/"):
            with suppress(ValueError, *_UNREADABLE):
                stage = parse_pack(f"/{name}")[2]
                found[stage] = pack.count(name, partial(self._store.get_range, name))
        return found

    def answers(self, question: str) -> dict[ShardId, Answer]:
        """Read the answers to a question that are there."""
        return self._each(f"{self._root}/answers/{question}/", Answer)

    def vitals(self) -> dict[ShardId, Vitals]:
        """Read how jobs fare: those that tell, and those that have told and have ended."""
        return self._each(f"{self._root}/vitals/", Vitals)

    def forget_answers(self, question: str) -> None:
        """Delete the answers to a question."""
        self._store.delete(self._store.list(f"{self._root}/answers/{question}/"))

    def forget_vitals(self, shards: Iterable[ShardId]) -> None:
        """Delete what jobs have told of how they fare."""
        self._store.delete([self._vitals(shard) for shard in shards])

    # Who is asked.

    @property
    def is_dear(self) -> bool:
        """Whether each look costs a request."""
        return self._folder is None

    def sees_any(self, stage: StageId) -> bool | None:
        """Tell whether anything is asked of a stage, if that costs nothing; None where it does."""
        if self._folder is None:
            return None
        with suppress(OSError):  # of a disk that is away for a moment: who asks waits for an answer
            return (self._folder / self._asks(stage)).exists()
        return False

    def read(self, stage: StageId) -> Asks:
        """Read what is asked of a stage; nothing if it can't be read for good."""
        name = self._asks(stage)
        try:
            return Asks.decode(name, self._store.get(name))
        except _UNREADABLE:
            return Asks()

    def answer(self, question: str, shard: ShardId, answer: Answer) -> None:
        """Answer a question."""
        self._store.put(f"{self._root}/answers/{question}/{shard.stored}", answer.encode())

    def tell_vitals(self, shard: ShardId, vitals: Vitals) -> None:
        """Tell how a job fares."""
        self._store.put(self._vitals(shard), vitals.encode())

    def _asks(self, stage: StageId) -> str:
        return f"{self._root}/asks/{stage.stored}"

    def _vitals(self, shard: ShardId) -> str:
        return f"{self._root}/vitals/{shard.stored}"

    def _each(self, folder: str, kind: type[Answer] | type[Vitals]) -> dict[ShardId, Any]:
        found: Mapping[str, ShardId] = _shards(self._store.list(folder))
        answers = {}
        for name, shard in found.items():
            try:
                answers[shard] = kind.decode(name, self._store.get(name))
            except _UNREADABLE:
                continue
        return answers


def _shards(names: Iterable[str]) -> dict[str, ShardId]:
    """Tell which shards objects are of; somebody else may have put others there."""
    found = {}
    for name in names:
        if match := _SHARD.fullmatch(name.rpartition("/")[2]):
            plan, stage, index = map(int, match.groups())
            found[name] = ShardId(StageId(plan, stage), index)
    return found
