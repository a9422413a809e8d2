"""The contents of a task's pickle: put there by the client, called in jobs.

How it works
------------
The client makes tasks of these classes (`copies.OwnCopy`, `futures.TaskWithFutures`,
`spans.TaskInSpan`, `retries.TaskWithRetries`), a job unpickles and calls them: so client and job
share this room, and neither imports the other. Each is a plain node of a Dask graph, or what such a
node calls, so that `recreate_error_locally` runs it in a client as well.

The other half is what a task finds around it: `context` lets `get_worker`, `secede` and joblib find
a `worker.JobWorker`, which is a name, a folder and plugins, and refuses the rest in words of
`refusals`. All of it is set for a thread, never patched into a module.

Races
-----
Tasks of a shard run in one process, one after another or side by side in threads. So nothing here
is kept between two tasks but what cannot be changed: what was made for a task lives in its thread
until the task ends (`copies`), and the memory of large buffers is shared page by page (`buffers`).
A pickle outlives the process that made it, but not the version: jobs and clients of other versions
of Python or Dask refuse each other before they unpickle anything.
"""
