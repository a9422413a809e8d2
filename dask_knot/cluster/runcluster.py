"""RunCluster: a cluster whose run can be left, come back to, and looked through."""

from __future__ import annotations

import asyncio
from typing import Any

from dask.typing import Key
from distributed import Client, Future, default_client
from distributed.core import Status

from dask_knot.cluster.previews import estimate_sent
from dask_knot.cluster.sessioncluster import SessionCluster
from dask_knot.dashboard.decisiontable import DecisionTable
from dask_knot.dashboard.resulttable import ResultTable
from dask_knot.errors import ConfigurationError, EngineError
from dask_knot.estimates.forecast import check_goal, check_sample
from dask_knot.graphs.opening import send_graph
from dask_knot.internals.clients import future_of


class RunCluster(SessionCluster):
    """A Dask cluster that holds a run; it may leave it to whoever opens it again."""

    def leave(self, timeout: float | None = None) -> Any:
        """Leave the run, which can be opened again by its name, here or elsewhere.

        What was asked for is submitted. On AWS the jobs go on, and make all of it; those on this
        machine end with the client, and what they have committed counts. Nothing is deleted.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait for the end of the cluster here.

        Raises
        ------
        ConfigurationError
            If the run has no name: nobody could come back to it.
        """
        if not self.settings.is_named:
            raise ConfigurationError(
                "this run has no name, so nobody could come back to it: give it one with "
                "KnotCluster(name=...). cluster.close() stops it"
            )
        return self.close(timeout)

    def end(self, timeout: float | None = None) -> Any:
        """End all jobs of the run, also those that earlier clients have left, and close.

        Of a named run nothing is deleted: ``dask knot rm`` does that.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait for the end of the cluster here.

        Raises
        ------
        EngineError
            If the named run was left before.
        """
        is_over = self._ends or (self.scheduler is not None and self.scheduler.is_shut_down)
        if self.status == Status.closed and self.settings.is_named and not is_over:
            raise EngineError(
                f"the cluster {self.name} is closed and has left its run: `dask knot cancel "
                f"{self.name}` stops the jobs"
            )
        self._ends = True
        return self.close(timeout)

    def estimate(self, *collections: Any, sample: int = 3, optimize: str | None = None) -> Any:
        """Try a few tasks of collections, and say what all of them will take.

        Of each kind of task the smallest, the median and the largest by what they read are run,
        with what they need, in a session of their own. Later plans know what was measured; in a
        named run the values are there when all is computed.

        Parameters
        ----------
        *collections
            Dask collections, which would be computed together.
        sample : int
            How many tasks of each kind are tried.
        optimize : {"cost", "time"}, optional
            What the numbers are for; cost, unless told otherwise.

        Returns
        -------
        Forecast
            Prints as a table; ``KnotCluster(**forecast.settings())`` has jobs of the size chosen.

        Raises
        ------
        ConfigurationError
            If the number or the goal is wrong.
        TypeError
            If something isn't a Dask collection.
        EngineError
            If the cluster isn't open.
        """
        check_sample(sample)
        goal = None if optimize is None else check_goal(optimize)
        sent = send_graph(collections)
        return self.sync(estimate_sent, self._lifetime.opened, sent, sample, goal)

    def cost(self) -> Any:
        """Give the bill of all jobs so far: what they did cost, by stage and by prefix.

        Of a named run it is that of the jobs that were watched from here; that of all of them is
        printed by ``dask knot show RUN --cost``. While the cluster is open Batch is asked, for a
        hundred children at a time that hadn't ended at the last time.

        Returns
        -------
        Bill
            Prints as a table.

        Raises
        ------
        EngineError
            If the cluster hasn't started yet.
        """
        bill = self._lifetime.opened.spending.bill
        if self.status != Status.closed:
            return self.sync(asyncio.to_thread, bill)
        return asyncio.to_thread(bill, False) if self.asynchronous else bill(False)

    @property
    def decisions(self) -> DecisionTable:
        """What was decided about plans that were under way, and why: the last hundred.

        Raises
        ------
        EngineError
            If the cluster hasn't started yet.
        """
        return DecisionTable(self._lifetime.opened.decisions)

    def results(self, prefix: str = "") -> Any:
        """List the keys that any session of the run was asked for, and what became of them.

        It is a table in a terminal or notebook, and a sequence of `Result`, newest first; each is
        read when it is looked at.

        Parameters
        ----------
        prefix : str
            What the names of the keys begin with; empty: all.

        Raises
        ------
        ConfigurationError
            If the run has no name: it keeps no record.
        EngineError
            If the cluster isn't open.
        StoreError
            If the record can't be read.
        """
        if not self.settings.is_named:
            raise ConfigurationError(
                "this run has no name, so nothing is kept about its results: give it one "
                "with KnotCluster(name=...)"
            )
        session = self._lifetime.opened
        return self.sync(asyncio.to_thread, lambda: ResultTable(session.results(prefix)))

    def future(self, key: Key, client: Client | None = None) -> Future:
        """Give the future of a key that some session of the run was asked for.

        If a named run has no such key, the future is cancelled. There, Dask's own
        ``Future(key, client)`` is as good for clients of this process; it tells an unnamed run
        nothing.

        Parameters
        ----------
        key : Key
            The key, as `results` lists it.
        client : Client, optional
            Whose future it is; without one, the default client.
        """
        return future_of(key, client or default_client())
