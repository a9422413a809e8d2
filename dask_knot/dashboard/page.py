"""The Knot page: ``/knot`` in Dask's dashboard. The only file that needs bokeh."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from bokeh.document import Document
from bokeh.layouts import column, row
from bokeh.models.widgets import Div
from distributed import Scheduler
from distributed.dashboard.components import add_periodic_callback
from distributed.dashboard.components.scheduler import BOKEH_THEME, env
from distributed.dashboard.core import BokehApplication
from distributed.dashboard.scheduler import template_variables
from distributed.utils import log_errors

from dask_knot.dashboard.charts import Bars, Curve
from dask_knot.dashboard.overview import Overview
from dask_knot.dashboard.words import decisions, figures, shard_bars, task_bars

#: Milliseconds between two looks.
INTERVAL = 500

Look = Callable[[], Overview]


def add_page(scheduler: Scheduler, prefix: str, look: Look) -> None:
    """Serve the page beside Dask's own, and name it at the top of each."""
    variables = template_variables(scheduler)
    # The list that Dask's pages have in hand, too.
    variables["pages"].insert(1, "knot")
    pages = {"/knot": partial(_open, look)}
    page = BokehApplication(pages, scheduler, prefix=prefix, template_variables=variables)
    scheduler.http_application.add_application(page)
    page.initialize(scheduler.loop)
    page.start()


@log_errors  # type: ignore[untyped-decorator]
def _open(look: Look, scheduler: Scheduler, extra: dict[str, Any], doc: Document) -> None:
    page = Page(look)
    page.update()
    add_periodic_callback(doc, page, INTERVAL)
    doc.add_root(page.root)
    doc.title = "Dask: Knot"
    doc.theme = BOKEH_THEME
    doc.template = env.get_template("simple.html")
    doc.template_variables.update(extra)


class Page:
    """One open page.

    Parameters
    ----------
    look : callable
        Gives what is to be seen now.
    """

    def __init__(self, look: Look) -> None:
        self._look = look
        self._figures = Div(sizing_mode="stretch_width")
        self._shards = Bars("Shards by stage")
        self._tasks = Bars("Tasks by prefix")
        self._jobs = Curve("Jobs running")
        self._decisions = Div(sizing_mode="stretch_width")
        self.root = column(
            self._figures,
            row(self._shards.root, self._tasks.root, sizing_mode="stretch_both"),
            self._jobs.root,
            self._decisions,
            sizing_mode="stretch_both",
        )

    @log_errors  # type: ignore[untyped-decorator]
    def update(self) -> None:
        """Show how things are now."""
        now = self._look()
        self._figures.text = figures(now)
        self._shards.show(shard_bars(now))
        self._tasks.show(task_bars(now))
        self._decisions.text = decisions(now)
        self._jobs.add(now.running, now.slots)
