"""The fate of every key: events in, actions out. Pure: no clock, network or file.

Who calls
    The session, and nobody else, calls `Tracker.handle` with an event and the time, always from one
    thread (the event loop's), and carries out the actions that come back, in their order. What an
    action leads to comes back as an event later. Whoever wants to know something asks the tracker's
    queries; nobody outside reads or writes its records.

What is remembered
    One record for each wanted key and each value that goes from shard to shard; a task inside a
    shard has none. `moves` lists which event may come to a key or a shard in which state, and what
    follows; `records` move by these tables and in no other way. Tasks on their way to the planner
    are in a draft (`drafts`, `gaps`, `gathering`). A value lives as long as Dask holds it, or a
    shard or a draft reads it: these are counted, and `state` is where things go away.

What may be missing
    Everything that others remember: Dask may ask for a key that was never submitted, release one
    twice, or forget it while it runs; a job may end with no manifest, or with half of its outputs;
    an object may be gone or damaged. A question always gets an answer, though it be an error. Of
    what is missing it is worked out anew what makes it (`gaps`), and that is planned: recovery
    (`recovery`, `losses`, `outcomes`) is planning again, bounded by the attempts of each key; what
    ran out of memory is planned with more of it (`growth`, `memory`).

Which races there are
    A key is released and asked for again while its old job runs: the new record takes the place of
    the old one, and a late outcome goes to the record that its shard was planned with. A plan comes
    back when what it reads is lost: it is planned again. A part, the whole manifest and another
    attempt's manifest tell of the same output: the first that is found stands. A child is reported
    failed although its manifest is there: the manifest is looked for first, and a shard that is
    over takes no other end. A graph was submitted but Dask has not taken it yet, while another
    client releases its inputs: it holds them meanwhile (`arriving`). All of these are in the tables
    as events that are late and change nothing; an event that isn't listed is a mistake of ours, and
    then `mistakes` errs what has no outcome rather than let anybody wait for ever.

Why so
    All decisions are in one place without a clock, so they are tested as tables, and in random
    worlds of clients, jobs and faults, where after each event all counters are counted again from
    scratch. A step costs as much as the keys that it names: there is nothing here for each task,
    and no event looks at all keys, except a mistake.
"""
