"""Digests of work: equal for tasks that compute the same, from whatever session they are.

How it works
------------
`Digester.of_graph` is called in the thread that opens the graph of a named run, before anything of
it is made ready for jobs. ``D(task) = H(environment, D(callable), arguments)``, in which each
dependency stands with its own D: so a digest says all that leads to a value.

- `environment` tells what is installed, known by its version and those of all that it needs, from
  what is the user's own, known by content;
- `code` takes functions and classes apart, with `bytecode`, which leaves out where they stand;
- `texts` looks whether modules are what their files say (`moduletext`), which jobs import;
- `values` takes all else apart, `arrays` what libraries have, `readers` what reads files;
- `plain` writes what needs none of that, and `files` marks the texts that name files;
- `walk` brings them together, circles included; `impurity` knows what isn't the same twice;
- `graph` does so for the tasks of a graph, and `components` keeps what each digest is made of.

`marks` is for runs without a name: of code alone, so that durations are known again.

What may go wrong
-----------------
Nothing is raised. What can't be digested has no digest, nor has what reads it: it is run anew, and
said with its reason. A wrong digest would hand out the result of other work, so whatever is in
doubt has none. Code of the user runs where pickle would call it, and where functions import.

Races
-----
Globals and classes change between graphs, so what is the user's own is remembered within one graph
only. Each thread may digest a graph of its own; what they share is what is installed, and code
that was read, both of which never change.
"""

from dask_knot.digests.graph import Digester, GraphDigests
from dask_knot.digests.marks import CodeMarker

__all__ = ["CodeMarker", "Digester", "GraphDigests"]
