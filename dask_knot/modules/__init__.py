"""Modules of the user's own: those beside his script, and all that they need to be imported.

How it works
------------
What is neither Python's own, nor installed, nor dask_knot is the user's (`ownership`). Such modules
are no part of an image: an edit would need another one. They travel with the work, as a *bundle*:
an object of the run, which is named by its digest, written once for each change, and named by the
stages whose jobs need it.

Whoever submits a stage asks `OwnModules` (`collection`) for a `ModuleSnapshot`: the files as they
are now, known by size and time, and read only when something has changed. What is taken begins with
what is imported (`locations`), and goes on with what the sources of those modules and of the script
mention (`mentions`, `script`): a task may import what the client never did. Of a package all is
taken that can be meant (`trees`): data files too, secrets and other people's packages not.

What may be missing
-------------------
- A file, from one moment to the next: it is left out, and that is said once. So is what may not be
  read, and what makes a bundle larger than it may be.
- The source of a script: in a notebook the code of its functions is looked at instead.

Where jobs are processes of this machine they import modules from where they are: nothing is taken.
"""

from dask_knot.modules.collection import OwnModules

__all__ = ["OwnModules"]
