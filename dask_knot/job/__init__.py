"""The inside of a job: ``python -m dask_knot.job STAGE-URL``. No client is known here.

How it works
------------
Batch, or what stands for it on this machine, starts the program once for each child and attempt.
Its index says which shard of the stage it runs; all else it finds in the run, by the URL alone.

1. `program` opens the run; `shard` reads its range of the pack, compares versions, and sets up the
   process before anything is unpickled: with the user's own modules (`bundles`), and with plugins
   (`outfit`, `plugins`), which may bring what tasks need.
2. `inputs` looks up in manifests where other shards have left what this one reads, and fetches it
   ahead of the tasks, by range. `tasks` runs them: in order, in threads, or in processes;
   `tryout` those that are only tried, several times.
3. `outputs` collects what leaves the shard and commits it: large values first, in one object, then
   the manifest, which is the commit. Values that nobody outside reads never leave the process.
   `parts` commits every few seconds, so that little is lost when the process is, and what is done
   is there while something else takes long; `farewell` has it do so at SIGTERM.
4. A child that is asked gives up what it hasn't begun (`agenda` decides what, `handover` commits
   it), and settles at its end who runs that: the client that has claimed it, or itself.

5. A `witness` answers what people ask beside all that: which tasks run (`present`), where their
   threads are (`whereabouts`), what they use (`burden`). It costs no request while nobody asks.

Whatever a task does is an outcome in the manifest, and the process ends with 0: were the child to
fail, Batch would fail all that depends on its array. Only what keeps a whole shard from running has
an exit code of its own (`run.exits`). What a task or a plugin leaves behind (threads, processes,
exit functions) keeps nobody for more than some seconds (`exit`).

What may be missing
-------------------
- The store, for a while: it is waited for with patience. Then the job fails, nothing is lost, and
  another attempt may succeed.
- An input, for good: gone, damaged, or in a manifest that can't be read. Only the tasks that read
  it fail, with the object's name beside the error, so that the client can have it made again.
- Parts of an earlier attempt (`attempts`): what can't be read is computed again.
- The client, at any time. Nothing here waits for it, or could tell. What was handed over, and no
  client has claimed when the rest is done, the child runs itself.

Races
-----
- Two attempts of one child may run at once (a machine that was only unreachable). Each writes its
  values under names of its own; manifests are written once, so that one of them is superseded and
  stops. A twin (``--child``) is a second child on purpose: it commits nothing but the end. A
  store that answers a repeated request says "there is one": then the bytes decide.
- A part is committed in a thread beside a task that runs, and that task may change what it shares
  with a value. What waits is therefore pickled at once, and copied where it is written meanwhile.
- The client may write at any time that nobody needs the shard: the process ends between two
  commits, with 0, as all of its array. Or it asks to hand over, while tasks begin and end: one lock
  is held by who begins a task and by who gives tasks up, another one by who takes what they give.
- An installation by a plugin may be shared with jobs beside this one: they take turns.
"""
