"""The run: what outlives every process. Each object's name and format, and the one hand on them.

How it works
------------
A run is all that is kept in one store under one name (`names` has the picture). Clients and jobs
meet nowhere else: no connection is ever opened between them, and either may be gone at any time.
`Run` is the only thing that puts, gets, lists or deletes its objects, in verbs of what they are
for; below it are one file for each format (`pack`, `manifest`, `codec`, `layout`, `plugins`) and
the `Store`, which knows bytes under names and nothing of runs.

A named run also keeps a record, so that it outlives its clients: `Run.record` is an `Archive`, with
the verbs for that. Its `foundation` is one object that says that this is such a run; its log is of
entries (`record`, `keys`), numbered without a gap; all the rest are small notes (`note`):
of sessions and their heartbeats (`presence`), of children that were lost (`obituary`), of what
tasks have cost (`profile`).

Client and job share more than objects, and that is here as well, since neither imports the other:
what a shard is (`work`), how an error travels (`failure`), which versions fit together
(`versions`), what an exit code means (`exits`), and how values are pickled (`pickling`, `scripts`).

Rules
-----
- An object is written whole or not at all, and never changed. Only the client replaces some:
  plugins that may be damaged, what children are told while they run (`orders`), and notes that one
  session keeps (its heartbeat, its costs, its plans' jobs) or that people replace (a dataset, what
  they ask jobs: `inquiries`). A job replaces only what it tells of how it fares.
- The manifest is the commit. It is written last, only if there is none, and says where all else is:
  a data object that no manifest names is as good as not there.
- Every byte is checked before it is unpickled, wherever it was meanwhile. Each entry of a pack and
  each small value in a manifest has a checksum of its own, so that damage costs its reader only.
- A verb costs a fixed number of requests, however many tasks there are.

What may be missing
-------------------
Any object, and the whole store: each has an error of its own. `MissingObjectError` and
`CorruptObjectError` stay true however often one asks; `StoreGoneError` ends it all; any other
`StoreError` may pass, and is waited for as long as the store's `Patience` says. It counts the age
of the trouble, not that of a call. Who looks again anyway asks `at_once`.

Races
-----
- Several sessions may open one run: each claims numbers for its plans with a write that only one
  of them can win.
- Sessions that plan at the same time meet at the log: an entry is written at the next free number,
  and who finds one there reads it first. Nothing else is agreed upon.
- A run may be deleted, and made anew, while somebody holds it: who writes to the record looks
  before and after whether the foundation is still the one that it found.
- A child hands over what it hasn't begun while the client may go at any time: who runs that is
  said by the first claim, the client's or the child's (`Run.claim`). A claim never changes.
- Attempts of one child write at the same time: under different names, but for the manifest, of
  which the first one stays.
- A listing may show what is deleted before it is read, and strangers' objects beside ours; what a
  job had sent when it ended may arrive after its end, so that who empties a run looks again.
"""
