"""What work will take, from a few of its tasks: which are tried, and what follows of them. Pure.

`sampling` chooses tasks of each prefix, from the smallest to the largest by what they read.
`session/trial.py` runs them, each alone in a job with much memory, and hands in what they took: a
`Trial` each. `curve` says from that how long every other task takes, `schedule` how long the plan
of all of them, `sizes` which sizes of jobs there are, `choice` which of them fits, and `forecast`
puts it into a table. Of what wasn't tried nothing is assumed: it is counted, and said.

Nothing here knows a session, a store or a clock. `settling` is for clusters whose memory is "auto":
a tracker asks it with what is known of the prefixes of a graph.
"""
