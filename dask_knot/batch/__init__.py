"""The calls of AWS Batch as dask_knot makes them, the rules that Batch keeps, and its words.

Theory of operation
-------------------
A session hands each stage to `service.JobService`, which makes one ``submit_job`` of it (`request`)
behind the jobs of the stages before it, and asks later what became of its children: one
``describe_jobs`` for up to 100 jobs, and ``list_jobs`` only where more children have failed than
are known. It speaks to a `client.BatchClient`, the few calls of boto3's client that are used, and
never asks who answers: AWS, this machine (`local/`), or a recording in tests. Nobody else calls
that client for jobs. The ends of their logs are read by `logs`.

Who calls. One thread of the session submits. Another polls, explains what ended, and looks into
what waits (`diagnosis`). The end of a cluster terminates (`termination`). Whoever shows jobs or
reads logs calls from a thread of his own. They share `jobs`: mappings that are replaced, never
changed.

Jobs of others. A session of a named run may watch jobs that another one has submitted: they are
found by the ids in the run's record, or by their names (`runjobs`). What had failed before they
were looked at here is no result, and is left. Jobs that are processes of another client, and stages
that never were submitted, Batch knows nothing of: `foreign` answers for them as Batch would.

What may be missing. Batch forgets jobs a day to a week after their end: one that several answers in
a row don't name counts as over. Permissions to look at queues may be missing, or a log: then fewer
words are said. A stage that was refused has no job, and what depends on it is refused for the same
cause. Batch may be away between two of the calls of a look: the failures found so far are kept for
the next one.

Which races. Between two looks a child can fail, its array end, and what depends on it fail: each is
told by its own state, in any order. A job may end while it is terminated. Batch's word says that a
child ended and why; whether its work is done, its manifest says. Termination goes from the last
stage to the first, so that none starts because the one before it was quicker.

What is pure. `rules` (states, arrays, dependencies, retries), `limits` (what requests are refused
for), `request`, `endings` and `diagnosis` know no clock and no network. Whatever plays
Batch keeps the first two: the local engine, the simulation in the tracker's tests, and the emulated
AWS of the tests.
"""
