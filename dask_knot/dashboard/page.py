"""The Knot page, ``/knot`` in Dask's dashboard, and its parts alone, as in JupyterLab's panes.

Dask's dashboard lists plots that can be opened alone in ``individual-plots.json``, where
dask-labextension finds them. The list that is served here has Dask's own plots and these.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from bokeh.document import Document
from bokeh.layouts import column
from distributed import Scheduler
from distributed.dashboard.components import add_periodic_callback
from distributed.dashboard.components.scheduler import BOKEH_THEME, env
from distributed.dashboard.core import BokehApplication
from distributed.dashboard.scheduler import template_variables
from distributed.http.scheduler.info import IndividualPlots
from distributed.utils import log_errors

from dask_knot.dashboard import words
from dask_knot.dashboard.charts import HEIGHT, Curve, Timeline
from dask_knot.dashboard.parts import ALONE_PARTS, Look, Part, TextPart

#: Milliseconds between two looks.
INTERVAL = 500
_PLOT = "/individual-knot-"


def add_page(scheduler: Scheduler, prefix: str, look: Look) -> None:
    """Serve the page and its parts beside Dask's own, and name them where Dask names its own."""
    variables = template_variables(scheduler)
    # The lists that Dask's pages have in hand, too.
    variables["pages"].insert(1, "knot")
    variables["plots"].extend(
        {"url": f"{_PLOT}{name}".strip("/"), "name": f"Knot {name.title()}"} for name in ALONE_PARTS
    )
    variables["plots"].sort(key=lambda plot: plot["name"])
    plots = {f"{_PLOT}{name}": partial(_open_plot, name, look) for name in ALONE_PARTS}
    pages = {"/knot": partial(_open_page, look), **plots}
    served = BokehApplication(pages, scheduler, prefix=prefix, template_variables=variables)
    scheduler.http_application.add_application(served)
    served.initialize(scheduler.loop)
    served.start()
    route = (f"{served.prefix}/individual-plots.json", _Plots, {"dask_server": scheduler})
    scheduler.http_application.add_handlers(".*$", [route])


class _Plots(IndividualPlots):  # type: ignore[misc]
    """Dask's list of plots, and the parts of the Knot page."""

    def write(self, plots: Any) -> None:
        """Send the list that Dask made, with more in it."""
        own = {f"Individual Knot {name.title()}": f"{_PLOT}{name}" for name in ALONE_PARTS}
        super().write({**plots, **own} if isinstance(plots, dict) else plots)


@log_errors  # type: ignore[untyped-decorator]
def _open_page(look: Look, scheduler: Scheduler, extra: dict[str, Any], doc: Document) -> None:
    page = Page(look)
    _show(page, doc)
    doc.title = "Dask: Knot"
    doc.template = env.get_template("simple.html")
    doc.template_variables.update(extra)


@log_errors  # type: ignore[untyped-decorator]
def _open_plot(
    name: str, look: Look, scheduler: Scheduler, extra: dict[str, Any], doc: Document
) -> None:
    part = ALONE_PARTS[name](look)
    _show(OpenParts(look, [part], part.root), doc)
    doc.title = f"Dask: Knot {name}"


def _show(shown: OpenParts, doc: Document) -> None:
    shown.update()
    add_periodic_callback(doc, shown, INTERVAL)
    doc.add_root(shown.root)
    doc.theme = BOKEH_THEME


class OpenParts:
    """Parts that are open in somebody's browser."""

    def __init__(self, look: Look, parts: list[Part], root: Any) -> None:
        self._look = look
        self._parts = parts
        self.root = root

    @log_errors  # type: ignore[untyped-decorator]
    def update(self) -> None:
        """Show how things are now."""
        now = self._look.overview()
        for part in self._parts:
            part.show(now)


class Page(OpenParts):
    """One open page.

    Parameters
    ----------
    look : Look
        Gives what is to be seen now.
    """

    def __init__(self, look: Look) -> None:
        wide: dict[str, Any] = {"sizing_mode": "stretch_width"}
        parts: list[Part] = [
            TextPart(words.summary, **wide),
            TextPart(words.lists, **wide),
            TextPart(words.decisions, **wide),
            Curve(height=HEIGHT, **wide),
            Timeline(look.shards, height=HEIGHT, **wide),
        ]
        root = column([part.root for part in parts], sizing_mode="stretch_width")
        super().__init__(look, parts, root)
