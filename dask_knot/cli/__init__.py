"""The commands ``dask knot …``: parse, call one function, print.

How it works
------------
The command ``dask`` imports the entry point of every package that has one, for ``dask --help``
too. So `main` imports click and nothing that takes long; each command imports the room that does
its work when it runs, after `say` has told what is done.

Standard output is for answers, which other programs read (a policy, the name of an image); what is
under way goes to standard error. Errors of ours are messages without a traceback, and exit code 1.

`up` and `image` write what they have made into files of Dask's configuration beside the user's
``knot.yaml``, so that scripts use it without a word about it. Dask reads the files in the order of
their names: what the user has written wins. Where nothing can be written, the command ends well and
says what to set by hand: the stack is made.

A command that is interrupted leaves nothing that the next one can't go on with: CloudFormation
works on by itself, and `up` or `down` follows what it finds under way. Of two `up` for different
stacks, the later one is what scripts use; `down` deletes the file only if it is about its stack.
"""

from dask_knot.cli.main import knot

__all__ = ["knot"]
