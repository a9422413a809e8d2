"""What work will take, from a few of its tasks: which are tried, and what follows of them. Pure.

How it works
------------
`session/forecasting` goes this way once for each question, and does what isn't pure itself.

- `sampling` chooses tasks of each prefix, from the smallest to the largest by what they read, and
  adds those before them whose values aren't there. If these are too many it leaves tasks out.
- `session/trial` runs them, each alone in its job, so that the job's peak is the task's own, and
  hands in what they took: a `Trial` each. What is short runs twice there (`job/tryout`), so that
  what a first task imports is a start-up of jobs. Of what takes long the median is tried with
  more cores.
- `trials` says how long every other task takes, by a line through those that were tried (`curve`),
  or by what earlier runs have noted (`Habit`). What neither tells stays unknown, and is counted.
- `schedule` lays the plan of all of it, which the planner makes, into the slots, in order.
- `sizes` lists the memory that jobs can have where they run, `choice` takes the least that fits,
  with room for what so few samples can't show. `evidence` does so for each prefix, and for cores.
- `assembly` puts it into a `Forecast`: the table, the settings that follow, money by the `Venue`.

Who calls
---------
`cluster.estimate`, `knot.estimate` and `dask knot estimate` ask for a forecast. ``memory="auto"``
tries nothing: the tracker has `choice` and `sizes` applied to what is known of prefixes whenever it
plans (`session/autosize`): sizes follow what is learnt while a run lasts.

What may be missing
-------------------
Times of tasks that failed or weren't tried: their row has question marks, and the sum is "at
least". Peaks where the machine doesn't tell them, or of values that were there before: then no size
is proposed from them. Prices: the columns that lack one are left out, and a note says so.

Races
-----
None in here: values in, values out. Around it there are two. What is tried in a named run is there
for the computation itself and is taken up, not run twice; so a second question finds less to try
and knows times from manifests, but no new peaks. And a session that goes on computing while it is
asked learns of tasks that the plan at hand still has: the forecast is of the moment it began.
"""
