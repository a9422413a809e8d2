"""From what Dask sends to tasks that can be planned; all of it in the client, before any job.

The scheduler calls `opening.open_graph` in a thread for each graph that a client sends, and gives
Dask the graph of `compaction.compact` instead. Between the two:

- `materialization` makes the tasks of an expression, as Dask's own scheduler would;
- `liveness` finds what only a live worker has (locks, queues, futures ...) before any task runs;
- `lifting` takes tasks apart. What is large (`weights`) becomes a constant, stored once for all
  graphs (`constants`). What can be changed (`mutability`, `functions`) becomes a copy that each
  task has for itself. All else stays as it is, which is most of a graph: every step is linear in
  the number of tasks, and may cost microseconds for each;
- `annotations` and `needs` read what jobs must have and what Dask is told.

Everything here runs while the client waits for nothing: an error becomes the outcome of the keys
that were asked for, never an exception in Dask's event loop. User code runs when something is
unpickled, and only then: `weights` and `mutability` ask no object anything, since an object may
load gigabytes or raise when it is asked for its size. Unpickling happens in a thread that has no
worker and no client, or what looks for one would wait for the loop that waits for this thread.

A graph may be opened twice at once, by two clients. What they share (`constants`) is known by its
content, and equal constants are the same object whoever comes first.
"""
