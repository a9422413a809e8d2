"""AWS Batch on this machine: the same calls, jobs as processes or containers.

Theory of operation
-------------------
`engine` and `containers` open an engine, which is a `batch.LocalBatch` and a launcher. LocalBatch
answers boto3's calls: parameters are checked against botocore's own model (`schema`), refused for
what Batch refuses (`dask_knot.batch.limits`), and put into the `jobgraph`, which knows what follows
when a job ends (`dask_knot.batch.rules`). The `dispatch` starts what is RUNNABLE when it fits
(`capacity`, `lanes`), through a `launcher`: `fork` or `docker`.

Who calls. Any thread calls LocalBatch. The dispatcher's one thread, or whoever steps it in virtual
time, gives orders to the launcher, whose own threads report starts and ends. All that changes a job
happens under the dispatcher's lock; the launcher is called without it, as it may block, and its
threads want the lock.

What may be missing. The launcher may fail to start a process (the attempt fails), lose it (as when
a machine is lost: the rules for retries decide), or tell its end and never its start. The disk may
be full: no job fails for want of a log. After a mistake of our own every job ends, as nobody would
end it later.

Which races. News of an attempt can come when the next one runs: attempts have ids of their own, and
old news finds nothing. A container can end before its start is told. A signal can come before there
is a container: it never starts then. A job that ends while it waits stays in its lane, and is left
out when its turn comes.

The fork server. `fork`, in the client's process, talks by `forkclient` and `wire` with the
`forkserver`, a process with one thread, which `boot` starts. It has imported in advance what jobs
need, learns from them what else they need (`warmth`), if all may share that (`fitness`), and forks
once for each child (`child`). While jobs follow on each other it does so beforehand (`spares`): a
fork is slow until it has copied the pages that it writes to, so spares practise what every job does
first. What is imported since ends them, and so do some seconds without a job. A fork of a process
with more threads can deadlock, and whatever the server imports is in every job: so these files
import the standard library and each other only, and a server in which a thread appears finishes its
children while a new one takes over. Nothing is left behind: the server ends when its socket closes
or its parent changes, children when the server does (Linux sees to it; elsewhere a pipe tells
them).

Containers belong to the Docker engine, not to us: a `guard`, a process of its own, waits for the
end of the client, and ends those that one which was killed has left.

What is pure. `capacity`, `definitions`, `descriptions`, `jobgraph`, `jobs` and `lanes` are told the
time, and touch neither clock, file nor process.
"""
