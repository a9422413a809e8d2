"""From what Dask sends to tasks that can be planned; all of it in the client, before any job.

How it works
------------
`opening.open_graph` is called in a thread for each graph that a client sends, and Dask is given the
graph of `compaction.compact` instead. Between the two:

- `materialization` makes the tasks of an expression, as Dask's own scheduler would;
- `liveness` finds what only a live worker has (locks, queues, futures ...) before any task runs;
- `lifting` takes tasks apart. What is large (`weights`) becomes a constant, stored once for all
  graphs (`constants`). What can be changed (`mutability`, `functions`) becomes a copy that each
  task has for itself. All else stays as it is, which is most of a graph: every step is linear in
  the number of tasks, and may cost microseconds for each;
- `annotations` and `needs` read what jobs must have and what Dask is told.

What may go wrong
-----------------
Whatever is raised here errs the keys that were asked for. User code runs when something is
unpickled or pickled, and only then: `weights` and `mutability` ask no object anything, since an
object may load gigabytes, or raise, when it is asked for its size. What can't be pickled is left as
it is: it is refused later on, with the name of its task.

Races
-----
- Unpickling happens where there is no worker and no client: what looks for one would wait for the
  event loop, whose client may wait for this thread.
- A client may be in the midst of a property of an expression that is read here, too: see
  `materialization`.
- Graphs are opened one after another, whoever sends them: in the one thread of Dask's `offload`. So
  what they share (`constants`) needs no lock.
"""
