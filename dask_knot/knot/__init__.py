"""The interface of the Cloudknot paper: a function, and maps of it over many items, as jobs.

How it works
------------
A `Knot` is a named run, held by a `Session`: no scheduler of Dask's is in it, and no second way to
run anything. Its `SessionHost` has the session in an event loop in a thread of its own, where
outcomes come, and takes what others submit.

`Knot.map` makes a task of each item, whose key is the name of the map and the number of the item.
What can be wrong is looked at before anything is submitted: how the function is called
(`ItemCheck`), and whether items can be pickled. Then a `Feeder` reads the items in blocks, in a
thread of its own, has each block opened as a graph (digests, large constants), and submits it; the
tracker gathers blocks while all slots are busy. Only so many items are under way at once, so that
neither an iterable nor its graph is ever held whole.

A `MapFuture` is a future of all values. When an item has its outcome, the future keeps where its
value is, in a few bytes, and the session lets go of the key: nothing is deleted, as the run has a
name. Values are read when somebody wants them, many with one request.

In the run stands one small object for each map (`run/maps.py`). With it, the record and the
manifests, a `MapLedger` tells from any machine what became of the maps of all sessions; `KnotJob`
is one of them.

Races
-----
- A map may be cancelled, or its knot be closed, while its feeder waits for the user's iterable, for
  room, or for the event loop: it asks before each block; whoever ends a map lets go of its keys.
- Outcomes of keys that were let go of may still come: they are for nobody.
- Futures end in threads of their own: what users do when one is done may well wait for another.
- The end of the process comes from signals and the interpreter, as for clusters
  (`session/process.py`); in a fork there is nothing to close.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dask_knot.knot.knot import Knot

__all__ = ["Knot"]


def __getattr__(name: str) -> object:
    """Import the class when it is asked for."""
    if name == "Knot":
        from dask_knot.knot.knot import Knot

        return Knot
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
