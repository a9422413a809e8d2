"""Everything that can be set, checked and resolved once.

How it works
------------
What a cluster, an image or a stack is made with is a frozen dataclass: `Settings` here, `ImageSpec`
in the room of images, `StackOptions` in that of AWS. All three are resolved by `resolver`: a
keyword wins over Dask's configuration (`dask.config.set`, then the environment, then files), which
wins over the default. A table beside each dataclass says what the value of each name may be, and
`checks` has what the tables have in common: a check takes what errors call a value, and gives what
is meant, so that an error says where its value came from.

Resolving is done where something is opened, once. What is changed in Dask's configuration
afterwards doesn't reach a cluster that is open.

What may be missing
-------------------
- The defaults in Dask's configuration: users who clear it, and the tests of others, take away what
  packages have put there. Whoever resolves the settings of a cluster restores them first.
- A home folder, or the right to write there: in containers with a made-up user. `home_folder` then
  gives None, and no file of configuration is put in place. Neither is an error.
- Part of a section: users replace a whole one with `dask.config.set({"knot.local": {...}})`. What
  isn't in it has the default of ``knot.yaml``.

Values are never resolved in jobs: what a job needs is in its environment and its pack.
"""
