"""What a report of a bug needs to know of the machine, as a text that people can paste.

How it works
------------
`gather` is the edge: it looks at versions, the machine, Dask's configuration, Docker and, by the
doctor, the stack, and gives `ReportFacts`. From there on all is pure: `write` makes a Markdown
block of facts, and `redacted` takes out of it what nobody else should read: accounts, addresses,
names of buckets and of people, keys. `dask knot doctor --report` prints the block.

What may be missing
-------------------
Everything. A report is written when something is wrong, maybe with what the report looks at. So
each fact that can't be had is a line with its reason, and never an error: no extras are needed, no
credentials, no Docker, and no configuration that is right.
"""
