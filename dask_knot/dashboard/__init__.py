"""Everything that people look at: task stream, Knot page, progress, tables of jobs, drawn plans.

Dask's scheduler sees wanted keys only, so what runs inside jobs is shown here, from manifests and
from what Batch said last. `Views` gives it to Dask's own task stream, to the page ``/knot`` and to
`progress`, which may be asked for in another process; `SignsOfLife` says it in one line on the
terminal. What is shown follows from a snapshot of the tracker by pure functions; bokeh is imported
only when there is a dashboard. An error in this room is logged, and reaches no job.
"""
