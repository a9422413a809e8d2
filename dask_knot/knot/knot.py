"""Knot: a function, and maps of it over many items."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dask_knot.errors import ConfigurationError, EngineError
from dask_knot.estimates.forecast import Forecast, check_goal, check_sample
from dask_knot.knot import vocabulary
from dask_knot.knot.deletion import may_delete
from dask_knot.knot.desk import MapDesk
from dask_knot.knot.estimates import estimate_items, rehearse
from dask_knot.knot.function import KnotFunction, settled
from dask_knot.knot.future import MapFuture
from dask_knot.knot.host import SessionHost
from dask_knot.knot.items import ItemCheck, MapItems, MapWork
from dask_knot.knot.jobs import KnotJob
from dask_knot.knot.ledger import MapLedger
from dask_knot.knot.past import PastLogs, depot_of
from dask_knot.prices.bill import Bill
from dask_knot.run.frames import brief
from dask_knot.runs.machine import user_name
from dask_knot.session.session import Session
from dask_knot.settings import checks
from dask_knot.settings.settings import KEYWORDS, Settings, resolve


class Knot:
    """Runs a function over many items, as array jobs of AWS Batch or as processes on this machine.

    A knot is a named run: its results stay until you `clobber` it, and a knot of the same name
    finds them, here or elsewhere. When you close a knot, its jobs on AWS continue.

    Parameters
    ----------
    name : str, optional
        The knot's name. The default is your user name with ``-default``.
    func : callable, optional
        The function to call with each item. The default is the function of the knot's last map.
    **settings
        As for `KnotCluster`: ``engine``, ``jobs``, ``cores``, ``memory``, ``store`` and so on.

    Raises
    ------
    ConfigurationError
        If a setting is unknown or wrong; one of Cloudknot's is answered with what it is here.
    PicklingError
        If the function can't be sent to jobs.
    RunNameError, RunFormatError
        If the name is that of something else in the store, or another version made the run.
    StoreError
        If the store can't be used.

    Examples
    --------
    >>> with Knot(name="squares", func=lambda x: x**2) as knot:  # doctest: +SKIP
    ...     knot.map([1, 2, 3]).result()
    [1, 4, 9]
    """

    @brief
    def __init__(
        self, name: str | None = None, func: Callable[..., Any] | None = None, **settings: Any
    ) -> None:
        vocabulary.refuse(settings, vocabulary.KNOT, "Knot")
        vocabulary.refuse_mebibytes(settings.get("memory"))
        checks.check_names(settings, KEYWORDS, "Knot has no argument")
        if name is None:
            name = re.sub(r"[^A-Za-z0-9_-]+", "-", f"{user_name()}-default").lstrip("-_")
        function = KnotFunction.of(func)
        self._resolved = resolve({**settings, "name": name})
        self.host = SessionHost(self._resolved)
        self._desk = MapDesk(self.host)
        self._is_clobbered = False
        try:
            self._function = settled(function, self.host.session)
        except BaseException:
            self.host.close()
            raise

    @classmethod
    def open(cls, name: str, **settings: Any) -> Knot:
        """Open an existing knot, with the function of its last map.

        Raises
        ------
        ConfigurationError
            If there is no knot of that name. The message lists the names there are.
        """
        known = {key: value for key, value in settings.items() if key in KEYWORDS}
        depot_of(resolve({**known, "name": name})).open(name)
        return cls(name, **settings)

    @brief
    def map(
        self,
        iterdata: Iterable[Any],
        starmap: bool = False,
        max_jobs: int | None = None,
        environment: Mapping[str, object] | None = None,
        **unknown: Any,
    ) -> MapFuture:
        """Call the function with each item, in jobs, and return one future for all values.

        Parameters
        ----------
        iterdata : iterable
            The items. Lists are checked first; a generator is read while jobs run.
        starmap : bool
            Whether each item is a tuple of arguments.
        max_jobs : int, optional
            How many jobs of the knot may run at once until this map is done.
        environment : mapping of str to str, optional
            Environment variables for the function, in this map only.

        Raises
        ------
        ConfigurationError
            If the knot has no function, or an argument is wrong.
        ItemsError
            If the function takes other arguments than an item has.
        PicklingError
            If an item can't be pickled: the message says which.
        EngineError
            If the knot is closed.
        """
        vocabulary.refuse(unknown, vocabulary.MAP, "Knot.map")
        known = ("iterdata", "starmap", "max_jobs", "environment")
        checks.check_names(unknown, known, "Knot.map has no argument")
        function = self._needed_function()
        variables = checks.environment("environment", environment or {})
        most = checks.jobs("max_jobs", max_jobs)
        self._check_usable()
        items = MapItems.of(iterdata, ItemCheck(function.func, starmap))
        if (sample := self.settings.estimate) is not None:
            rehearse(self.host, self._work(starmap, variables), items, sample)
        return self._desk.start(function, items, starmap, variables, most)

    def estimate(
        self,
        iterdata: Iterable[Any],
        sample: int = 3,
        optimize: str | None = None,
        starmap: bool = False,
    ) -> Forecast:
        """Try a few items, and estimate what a map over all of them will take.

        It tries the smallest, the median and the largest item. Their values are kept for `map`.

        Parameters
        ----------
        iterdata : iterable
            The items. All of them are read.
        sample : int
            How many to try.
        optimize : {"cost", "time"}, optional
            What to choose the size of the jobs for. The default is cost.
        starmap : bool
            Whether each item is a tuple of arguments.

        Raises
        ------
        ConfigurationError
            If the knot has no function, or an argument is wrong.
        ItemsError, PicklingError
            If something can't be computed with an item.
        EngineError
            If the knot is closed.
        """
        check_sample(sample)
        goal = None if optimize is None else check_goal(optimize)
        self._check_usable()
        items = MapItems.of(iterdata, ItemCheck((work := self._work(starmap, {})).func, starmap))
        return estimate_items(self.host, work, items, sample, goal)

    @property
    def jobs(self) -> list[KnotJob]:
        """All maps of the knot, from all sessions on any machine, oldest first."""
        self._check_usable()
        ledger = self._ledger()
        logs = PastLogs(self._resolved, self.host)
        return [
            KnotJob(record, ledger, self._ledger, self._desk.future(record.name), logs.read)
            for record in ledger.maps
        ]

    @property
    def job_ids(self) -> list[str]:
        """The Batch ids of all jobs."""
        return [id for job in self.jobs for id in job.job_ids]

    def view_jobs(self, children: bool = False) -> None:
        """Print the id, name and status of all jobs.

        Parameters
        ----------
        children : bool
            Whether to print a line for each child of an array job, too.
        """
        form = "{:12s}    {:20s}    {:9s}"
        header = form.format("Job ID", "Name", "Status")
        lines = [header, "-" * len(header)]
        for job in self.jobs:
            id = job.job_id
            shown = f"{id[:8]}..." if len(id) > 12 else id or "-"
            lines.append(form.format(shown, job.name, job.status["status"]))
            if children:
                lines += [f"  {child:44s}  {state}" for child, state in job.children()]
        sys.stdout.write("\n".join(lines) + "\n")

    def clobber(self, yes: bool = False, **unknown: Any) -> None:
        """Stop all jobs of the knot and delete all its results. In a terminal, ask first.

        The stack on AWS stays; ``dask knot down`` deletes that.

        Parameters
        ----------
        yes : bool
            Don't ask, even if others have the knot open.

        Raises
        ------
        ConfigurationError
            If others have it open, or an argument of Cloudknot's means something else here.
        """
        if self._is_clobbered:
            return
        vocabulary.refuse([n for n in unknown if unknown[n]], vocabulary.CLOBBER, "Knot.clobber")
        left = [name for name in unknown if name not in vocabulary.CLOBBER]
        checks.check_names(left, ["yes"], "Knot.clobber has no argument")
        self.host.check_open()
        if yes or may_delete(self.host.session):
            run = self.host.session.run
            self._desk.close(ends=True)
            self._is_clobbered = True
            run.delete_all()

    @brief
    def close(self) -> None:
        """Close the knot. Jobs on AWS continue, jobs on this machine stop, and results stay."""
        self._desk.close(ends=False)

    @property
    def name(self) -> str:
        """The name of the knot, and of its run."""
        return self._resolved.name

    @property
    def func(self) -> Callable[..., Any] | None:
        """The function that is called with each item."""
        return None if self._function is None else self._function.func

    @property
    def session(self) -> Session:
        """The session that runs its jobs."""
        return self.host.session

    @property
    def settings(self) -> Settings:
        """The settings in force, including what the engine found out."""
        return self.host.session.settings

    def cost(self) -> Bill:
        """Return the bill of this session's jobs, as `KnotCluster.cost` does."""
        return self.session.spending.bill(not self.host.is_closed)

    def __enter__(self) -> Knot:
        return self

    @brief
    def __exit__(self, *raised: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "clobbered" if self._is_clobbered else "closed" if self.host.is_closed else "open"
        function = "no function" if self._function is None else self._function.name
        return f"<Knot {self.name}: {function}, {self.settings.engine}, {state}>"

    # How it is done.

    def _needed_function(self) -> KnotFunction:
        if self._function is None:
            raise ConfigurationError(f"the knot {self.name!r} has no function: Knot(name, func=)")
        return self._function

    def _work(self, starmap: bool, variables: Mapping[str, str]) -> MapWork:
        """Give the work of a first map: those of others have keys with the same prefix."""
        return MapWork(f"{self.name}-0", self._needed_function().func, starmap, variables)

    def _check_usable(self) -> None:
        if self._is_clobbered:
            raise EngineError(f"the knot {self.name!r} was clobbered: make a new one")
        self.host.check_open()

    def _ledger(self) -> MapLedger:
        self._check_usable()
        return MapLedger(self.host.session)
