"""Runs, as people ask for them who have no session: what there is, how far it is, what went wrong.

How it works
------------
A colleague with the same store, and perhaps the same AWS account, asks about a named run whose
script and client he hasn't got. `depot` finds the store, as a cluster would, and how jobs are asked
for. `reading` reads a run's record and lists its objects; `state`, pure, computes from that what
became of every shard. The rest answers single questions: what went wrong (`mishaps`), what Batch
says of its jobs (`jobs`), which key is meant (`keys`), why its work was done again (`why`), and how
a run ends (`ending`).

Jobs that run can be asked, too, of runs without a name as well: `inquiry` asks them through the
store, `stacks` where their tasks are, `vigil` how they fare as long as somebody watches, and
`shells` finds the way into one. `notices` are of the clusters and knots that are open on this
machine, so that nobody need name their runs.

Rules
-----
- Nothing here opens a session, or writes; but who is open has a notice written, `ending` deletes
  and ends what it is told to, and `inquiry` and `vigil` write what they ask, and delete it
  afterwards.
- To look at a run costs a listing of its objects and its record. Manifests are read only of shards
  that erred, which the job has noted beside them, and of stages that are under way.
- A run that can't be read is told as such, and keeps nobody from seeing the others.

What may be missing
-------------------
Credentials for Batch, or the network: then what the store knows is told, and that the rest isn't
known. On this machine jobs end with their client, so that its presence tells all.

Races
-----
Everything may change while it is looked at. A shard is done when it has a last manifest, whatever
else is known of it; a note of errors without one says nothing.
"""
