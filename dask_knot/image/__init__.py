"""The image of the jobs, from the environment that is here.

How it works
------------
`make_recipe` finds out all that goes into an image: what the user's script imports (read from its
source, nothing is run), in the versions that are installed here, with what those need; wheels of
what no index has, dask_knot itself first; the user's own lines. That asks no network and no Docker
engine. The tag of the image is the hash of the recipe. So the client knows what its image is called
before there is one, finds it if anybody has built it, and a changed function needs no new image:
functions travel in the graph.

The command line builds; a cluster looks for its image when it is opened, and builds it if there is
none. Engine "docker" stops at `ensure_local_image`; pushing, which needs a repository and
credentials, is the room of AWS's.

Secrets
-------
What pip knows here of indexes, credentials, proxies and certificates is found by the room
`environment`; `confidential` takes it out of the recipe, `secrets` carries it to the builder (which
may be BuildKit, by Docker's command, or the engine itself), `install` opens it inside the build for
the time of one pip. So a recipe, its tag and its files may be shown to everybody.

What may be missing
-------------------
- A Docker engine: it is needed only when something must be built or pushed. `endpoints` finds it.
  Without one, images for AWS can be built in the account, by the room of AWS's.
- A script: in a notebook, IPython or a REPL, what the session has imported is taken instead.
- A package, here: it is left out, or taken as the user wrote it. All that can't go into an image is
  told in one error, before anything is built.

Nothing is locked. Two who build the same recipe at once do the work twice and get images of one
name that do the same; that costs less than a lock that a killed build would leave behind. Packages
are installed in several layers, those that change least first: see `environment.layers`.
"""
