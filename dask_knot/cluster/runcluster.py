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
    """A Dask cluster that has a run open, and can leave it for anyone to open again."""

    def leave(self, timeout: float | None = None) -> Any:
        """Leave the run, so that you can open it again by its name, here or elsewhere.

        Everything you asked for is submitted first. On AWS the jobs continue and finish it. Jobs on
        this machine stop, and what they committed is kept. Nothing is deleted.

        Parameters
        ----------
        timeout : float, optional
            How many seconds to wait for the cluster to close.

        Raises
        ------
        ConfigurationError
            If the run has no name, so you couldn't come back to it.
        """
        if not self.settings.is_named:
            raise ConfigurationError(
                "this run has no name, so nobody could come back to it: give it one with "
                "KnotCluster(name=...). cluster.close() stops it"
            )
        return self.close(timeout)

    def end(self, timeout: float | None = None) -> Any:
        """Stop all jobs of the run, including those that earlier clients left behind, and close.

        The results of a named run are kept; ``dask knot rm`` deletes them.

        Parameters
        ----------
        timeout : float, optional
            How many seconds to wait for the cluster to close.

        Raises
        ------
        EngineError
            If the cluster is closed and has already left its named run.
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
        """Run a few tasks of some collections, and estimate what all of them will take.

        For each kind of task, this runs the smallest, the median and the largest by input size, and
        everything they need, in a session of their own. Later plans use the measurements, and a
        named run keeps the values.

        Parameters
        ----------
        *collections
            Dask collections that you would compute together.
        sample : int
            How many tasks of each kind to try.
        optimize : {"cost", "time"}, optional
            What to choose the size of the jobs for. The default is cost.

        Returns
        -------
        Forecast
            Prints as a table. ``KnotCluster(**forecast.settings())`` has jobs of the chosen size.

        Raises
        ------
        ConfigurationError
            If ``sample`` or ``optimize`` is wrong.
        TypeError
            If an argument isn't a Dask collection.
        EngineError
            If the cluster isn't open.
        """
        check_sample(sample)
        goal = None if optimize is None else check_goal(optimize)
        sent = send_graph(collections)
        return self.sync(estimate_sent, self._lifetime.opened, sent, sample, goal)

    def cost(self) -> Any:
        """Return the bill so far: what all jobs have cost, by stage and by key prefix.

        For a named run, this counts the jobs of this session; ``dask knot show RUN --cost`` prints
        the bill of all sessions. While the cluster is open this asks Batch, in one request for each
        hundred jobs that were still running the last time.

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
        """The last hundred changes to plans while they ran, with the reasons.

        Raises
        ------
        EngineError
            If the cluster hasn't started yet.
        """
        return DecisionTable(self._lifetime.opened.decisions)

    def results(self, prefix: str = "") -> Any:
        """List the keys that you or others asked this run for, in any session, and their state.

        The list shows as a table in a terminal or notebook. It is a sequence of `Result`, newest
        first; each is read from the store when you look at it.

        Parameters
        ----------
        prefix : str
            Only list keys that begin with this.

        Raises
        ------
        ConfigurationError
            If the run has no name. Only named runs keep a record.
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
        """Return a future for a key that any session of this run was asked for.

        If a named run has no such key, the future is cancelled. For clients in this process,
        Dask's own ``Future(key, client)`` does the same in a named run; in an unnamed run it
        doesn't.

        Parameters
        ----------
        key : Key
            The key, as `results` lists it.
        client : Client, optional
            The client that the future belongs to. The default is the current client.
        """
        return future_of(key, client or default_client())
