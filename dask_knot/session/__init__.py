"""One client's hold on a run: what plans, submits, watches and reads, without Dask's scheduler.

How it works
------------
A `Session` belongs to one event loop. Whoever holds it tells it events (`submit`, `handle`), and it
tells outcomes to its `Hooks`; neither side ever waits for the other in there.

- The `Driver` hands events to the pure tracker and carries out the actions that come back, each by
  the function that a table names. What blocks is done by three executors of one thread each:
  *submit* plans and submits, strictly in order, so that a stage is never terminated, and a pack
  never deleted, before it was sent; *watch* looks; *delete* deletes.
- The `Lookout` looks: Batch first, then the store, so that a child that is over has its manifest
  listed, and what a stage that has ended lacks then is lost. It looks often while things change,
  ever more seldom while nothing does, not at all while nothing is open; an alarm wakes it.
- The store, Batch, the network and the credentials may be away at any moment, for days. Jobs go on
  meanwhile: so watching waits, and submitting waits in order (`Endurance`); people are told at once
  and then ever more seldom. What no time mends, such as a permission, is borne for
  ``tempo.patience`` seconds, then the futures it concerns are told. `outages` says which is which.
- A mistake of ours, wherever it is raised, errs all keys without an outcome: nobody waits for ever.

What runs is mended: the driver writes the orders of a stage's children, starts twins and ends them
with their shards, and keeps the decisions. What a shard hands over is claimed (`Claims`) by the
thread that reads its manifest, before the tracker hears of it: a child whose claim was first has
taken it back. A twin is nobody's stage, so nothing waits for it and its failure is no news; a child
that it has overtaken is told to end, as ending it would fail its array.

In a named run a session has company. Its `Heart` shows the others that it is there; `Neighbors`
tells which of them are, by processes on this machine, else by heartbeats and our own clock. What
another session makes is adopted: the `JobFinder` has its job watched as if it were ours, or, where
Batch can't be asked, as long as that session is there. What a child left is told by its manifest or
by an obituary, which whoever sees it end writes down (`Graveyard`). Nobody ends a job that others
may wait for; but whoever ends the run says so, and all hear of it by their next heartbeat.

Clock, timers and executors are the session's `Clockwork`: with those of a virtual event loop hours
pass in moments, in one thread.

Races
-----
`leave` and `end` may come from any thread and at any time, also while a plan is half submitted:
after `leave` nothing more is told, `end_jobs` waits for the submission under way and ends what it
has made. A key can be released and asked for again while its old jobs still run: the tracker tells
the two apart, and an outcome carries the run id of the question that it answers. A failure that
must be read from the store is told later than those in memory; Dask drops it if the key has moved
on.
"""
