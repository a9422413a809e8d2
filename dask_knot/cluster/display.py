"""What a cluster shows of itself: in a terminal, in a notebook, and of its jobs and their logs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from dask.utils import format_bytes

from dask_knot.cluster.forecast import foresee_plan
from dask_knot.cluster.scaling import Scaling
from dask_knot.graphs.opening import send_graph
from dask_knot.plural import many


class Display(Scaling):
    """The part of a cluster that is looked at."""

    def logs(self, what: Any = None) -> Any:
        """Read the log of a job by its id, or of the job that makes a key or future.

        Without an argument those of the newest jobs, which `get_logs` gives as well. Gives the last
        lines by the id of the job or child that wrote them; raises ``KeyError`` if there is no such
        job.
        """
        return self.sync(asyncio.to_thread, self._open_session.logs, getattr(what, "key", what))

    def job_script(self) -> str:
        """Show the exact requests that the cluster sends to Batch for a stage of two shards."""
        return self._open_session.job_script()

    def plan_of(self, *collections: Any) -> Any:
        """Draw how collections, computed together, would be cut into stages of shards.

        Nothing runs. The drawing is text in a terminal and a picture in a notebook.
        """
        return self.sync(foresee_plan, self._open_session, send_graph(collections))

    def _scaling_status(self) -> str:
        return f"Up to {many('job', self._jobs)} of {self._size} at once"

    def __repr__(self) -> str:
        return (
            f"KnotCluster({self.name}, {self.scheduler_address!r}, "
            f"engine={self.settings.engine!r}, jobs={self._jobs}, cores={self.settings.cores}, "
            f"memory={format_bytes(self.settings.memory)!r})"
        )

    def _repr_html_(self, cluster_status: str | None = None) -> str:
        table = self.jobs._repr_html_() if self._session else ""
        row = '<tr><td colspan="2" style="text-align: left;">{}</td></tr>'
        rows = [row.format(cell) for cell in (self._scaling_status(), table)]
        html: str = super()._repr_html_(cluster_status="".join(rows))
        return html

    async def _get_logs(
        self, cluster: bool = True, scheduler: bool = True, workers: Any = True
    ) -> Mapping[str, str]:
        logs = await super()._get_logs(cluster=cluster, scheduler=scheduler, workers=False)
        if workers and self._session is not None:
            chosen = None if workers is True else set(workers)
            logs.update(await asyncio.to_thread(self._session.logs_of, chosen))
        return logs  # type: ignore[no-any-return]
