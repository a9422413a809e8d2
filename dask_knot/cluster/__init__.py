"""The face of Dask: what users make, and what Dask's clients talk to. All of it runs in the client.

How it works
------------
`KnotCluster` is what users make: its keywords become settings, and it is the `SessionCluster` of
those, whose run can be left and come back to (`RunCluster`). That one is all that Dask wants of a
cluster, and has its parts in a `Lifetime`, which opens and ends three things in one event loop: a
`Session`, which runs the jobs, Dask's scheduler, and one Dask worker, the gateway.

`KnotScheduler` is Dask's scheduler in which some methods answer differently. Each of these is one
line that calls a collaborator, and hands it Dask's own method where that is still needed:

- `Arrivals` opens the graph that a client sends, in a thread, gives all tasks to the tracker, and
  then Dask a graph of the wanted keys only. Nothing that it meets may be raised: Dask would close
  the client's connection, so the keys err instead.
- `News` takes what Dask asks (``compute-task`` messages never leave for the gateway) and lets go of
  to the tracker.
- `Outcomes` tells Dask how keys ended, in the words of a worker, with references for values.
- `Values` knows where values are when somebody gathers. A `Courier` takes the place of the client's
  own calls: it reads them in the threads of the session, without a message. Clients of other
  processes get a `RemoteCourier`, which asks the `Outlet`. `Scattering` puts values into the store.
- `Idleness` looks whether the gateway is idle, once for many keys.
- `JobWorkers` shows jobs where Dask shows workers, `PluginRegistry` takes worker plugins to jobs,
  `Replay` gives clients the tasks inside shards, `Departures` keeps quiet who has left.
- `Recall` asks a named run for keys that no graph has brought: they become tasks without inputs,
  for which Dask asks as for all others. `newcomers` lets clients of this process ask for those of
  futures that are made of a key, and wait for, hear of and let go of many keys in one step.
  `PublishedDatasets` keeps what is published in the store.

The gateway runs no task. It hands on what clients scatter to workers, and reports the capacity of
all jobs together.

Races
-----
- Dask must not be told anything in the midst of its transitions: news are gathered, in order, and
  told when the event loop comes round. What must be told at once takes all earlier news with it.
- A graph takes a while to be opened. Meanwhile its client may leave, the values that it reads may
  be lost, and all may be restarted: this is looked at again before the graph is passed on.
- The tracker hears of a graph before Dask does, and learns afterwards which keys Dask has taken:
  one that was cancelled between the two is let go.
- An outcome may come when nobody waits any more, or when the key is asked for once more: each
  carries the run id of the question, and an old one is dropped.
- A key may be asked of the run while a graph that brings it, or reads it, is being opened: the
  graph waits until it is known whether the run has it.
- Dask makes the futures of a graph before it sends it: only those that others make are asked for,
  and that goes the way of graphs, behind those that were sent before.
- A value that is lost while it is read may have been made again: only the place that was tried is
  given up.
- Places are told, and then read by threads, and elsewhere: what isn't there any more, or damaged,
  is asked of the scheduler once more, which alone decides what is lost. Threads that read when the
  cluster closes end with their session; who waits for them has lost the connection, as it were.
- Messages of clients that have left, and of those that leave while the cluster closes, are for
  nobody. `close` comes from threads, signals, other processes and the end of the interpreter, more
  than once; in a fork there is nothing to close.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dask_knot.cluster.cluster import KnotCluster

__all__ = ["KnotCluster"]


def __getattr__(name: str) -> object:
    """Import the class when it is asked for: the files here that don't need it are fast to load."""
    if name == "KnotCluster":
        from dask_knot.cluster.cluster import KnotCluster

        return KnotCluster
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
