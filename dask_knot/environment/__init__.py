"""What is installed here, and how others can have it.

How it works
------------
`resolve_requirements` is asked by the room `image`, each time a cluster opens or an image is built:
nothing here knows of Docker or AWS, and nothing asks the network.

1. `wishes`: what was asked for, as it is here or in a version of the user's own; `auto` and
   `imports` find what a script or a session imports, `files` reads requirements.
2. `closure`: all that this needs, on the platform of the image (`target`). It is copied, not solved
   anew: pip installs it with ``--no-deps``, in `layers`. Only what the user wants otherwise, and
   what another platform needs beside it, is left to pip's solver, last, with all else held.
3. `transfer`: the way of each package. Where it came from (`origins`) is not whether others can
   have it: what an index has goes by its version; what only this machine has, or no build has a key
   for, as a `wheel` of its files here (`contents`); conda's packages may come from `conda`.
4. `indexes`: where pip finds packages, and who may read them.

Whatever can't be copied is a `Problem` with its cure. All of one environment are gathered first and
told in one `PackagesError`, before anything is built.

What may be missing
-------------------
- Metadata: packages without a name or a version, and lists of files that name none, are not there.
- A folder that metadata name: of conda's builds, or gone since. Then a package has a version only.
- The table of an editable project, if its backend compiles on import: that is a problem.

Nothing is cached: packages come and go while a session lasts (``!pip install``).

How imports are found
---------------------
`auto` reads a source (`imports`), in whatever shape it is (`sources`, `magics`, `notebooks`), or
looks at the session (`session`), follows the user's own modules (`beside`), and names the packages
that have the others (`providers`). Nothing is run.
"""
