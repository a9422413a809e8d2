"""What people read where there is no dashboard: instead of its link, and on its page."""

from __future__ import annotations

import re
from html import escape
from typing import Any

from distributed import Scheduler
from distributed.http.utils import RequestHandler

#: Dask's pages need bokeh, which a plain installation doesn't bring.
MISSING = "the dashboard isn't installed: pip install 'dask_knot[dashboard]'"
UNWANTED = "there is no dashboard: the setting dashboard_address is None"
_LINK = re.compile(r"(<strong>Dashboard:\s*</strong>) <a [^>]*>[^<]*</a>")


class NoLink(str):
    """What `dashboard_link` is where there is no dashboard: the reason, and false as a link."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False


def dashboards(scheduler: Scheduler) -> list[Any]:
    """Give the application that serves Dask's own pages, if there is one."""
    apps = scheduler.http_application.applications
    return [app for app in apps if "/status" in getattr(app, "app_paths", ())]


def unlinked(html: str, why: str) -> str:
    """Put the reason into Dask's HTML of a cluster, where it links to the dashboard."""
    return _LINK.sub(lambda found: f"{found[1]} {escape(why, quote=False)}", html)


def explain_absence(scheduler: Scheduler, why: str) -> None:
    """Serve the reason where the dashboard would be."""
    routes = [(path, _Absent, {"why": why}) for path in ("/", "/status")]
    scheduler.http_application.add_handlers(".*$", routes)


class _Absent(RequestHandler):  # type: ignore[misc]
    def initialize(self, why: str) -> None:
        self._why = why

    def get(self) -> None:
        """Answer a browser."""
        self.write(f"<p>{escape(self._why, quote=False)}</p>")
