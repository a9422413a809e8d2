"""The hand-over: a shard gives up what it hasn't begun, and settles at its end who runs that.

The client asks, for instance because one task keeps the shard while slots are idle, and plans what
was given up again. It may be gone by then. So that nothing is run twice, nor by nobody, the first
claim in the store decides: that of a client, or that of the child, which then runs all of it
itself. Until then the child keeps the values that this needs.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

from dask.typing import Key
from dask.utils import key_split

from dask_knot.internals import GraphNode
from dask_knot.job.agenda import Agenda, GivenUp
from dask_knot.job.console import say
from dask_knot.job.outputs import Outputs
from dask_knot.job.tasks import Shelf
from dask_knot.run import codec
from dask_knot.run.codec import Bytes
from dask_knot.run.failure import Failure
from dask_knot.run.manifest import Handed
from dask_knot.run.orders import Claimant
from dask_knot.task.context import entered, here

Pickles = dict[Key, list[Bytes]]


class HandOver:
    """Gives up tasks of a shard, once, and settles who runs them.

    Parameters
    ----------
    agenda : Agenda
        The shard's tasks.
    shelf : Shelf
        Their values.
    outputs : Outputs
        What leaves the shard.
    claim : callable
        Claims for the child what was given up; tells who was first.
    """

    def __init__(
        self, agenda: Agenda, shelf: Shelf, outputs: Outputs, claim: Callable[[], Claimant]
    ) -> None:
        self.agenda = agenda
        self._shelf = shelf
        self._outputs = outputs
        self._claim = claim
        self._worker = here()

    def give_up(self) -> bool:
        """Give up what hasn't begun, and commit that at once; tell whether there was any.

        Beside tasks that run, by whoever holds the lock of the shard's outcomes.
        """
        if not self._outputs.may_hand_over:
            return False
        pickles = self._pickles()
        given = self.agenda.give_up(self._outputs.__contains__)
        if given is None:
            return False
        self._outputs.hand_over(self._handed(given))
        self._add_extra(given, pickles)
        say(f"asked to hand over; tasks handed over: {len(given.tasks)}")
        self._outputs.commit(final=False)
        return True

    def settle(self) -> list[GraphNode]:
        """Give the tasks that have to be run yet, once all that was kept has run."""
        if not self._outputs.has_handed or self._claim() is Claimant.CLIENT:
            return []
        say("no client has claimed what was handed over: this job runs it itself")
        self._outputs.take_back()
        return self.agenda.take_back()

    def _pickles(self) -> Pickles:
        """Pickle the values that would leave the shard; which of them can't is noted.

        Each is pickled while a task may read it, and change it: as wherever tasks share a value,
        that is the task's mistake. What the pickle of an array is then made of is written as all
        that is committed beside a task: it is right, or found to be damaged and made again.
        """
        pickles: Pickles = {}
        with entered(self._worker):  # for what pickling asks Dask
            while missing := self._not_pickled(pickles):
                for key in missing:
                    try:
                        pickles[key] = codec.pickled(self._shelf.look(key))
                    except (Exception, SystemExit):  # pickling runs user code
                        self.agenda.hold(key)
        return pickles

    def _not_pickled(self, pickles: Pickles) -> list[Key]:
        return [
            key
            for key in self.agenda.foresee().reads
            if self._is_extra(key) and key not in pickles and not self._is_failure(key)
        ]

    def _is_extra(self, key: Key) -> bool:
        return self.agenda.has_ended(key) and key not in self._outputs

    def _is_failure(self, key: Key) -> bool:
        return type(self._shelf.look(key)) is Failure

    def _handed(self, given: GivenUp) -> Handed:
        return Handed(
            [self._outputs.ordinal(n.key) for n in given.tasks if n.key in self._outputs],
            Counter(key_split(node.key) for node in given.tasks),
            [key for key in given.reads if key not in self._outputs],
        )

    def _add_extra(self, given: GivenUp, pickles: Pickles) -> None:
        now = time.time()
        for key in given.reads:
            if key in pickles:
                self._outputs.add_pickled(key, self._shelf.look(key), pickles[key], (now, now))
            elif self.agenda.has_ended(key) and self._outputs.is_extra(key):
                self._outputs.add(key, self._shelf.look(key), now, now)
