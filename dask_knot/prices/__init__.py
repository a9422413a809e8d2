"""Dollars: what jobs will cost and what they did cost, as ranges, from dated lists of prices.

How it works
------------
An amount is `Money`: at least so much, at most so much. A price that nobody knows is None, never a
guess; a sum that lacks one is "at least" the rest, and whoever shows it says what it lacks.

- *Prices.* A `PriceSheet` has what was collected on one day. `sheetfile` is its format, and refuses
  a file that is odd anywhere as a whole: half a list would look like one with gaps. A `PriceList`
  lays sheets upon each other, the newest first: the first that knows a price gives it. `shelf`
  finds them, one in the package and one of each region in the user's cache. What it can't use, or
  what is old, stands in the list's `notes`: no error, for nobody's work depends on it but a budget.
- *Before.* A `Market` is where the jobs of a cluster run, a `Tariff` what an hour of one costs
  there: its share of a full machine, or all of one. `plancost` multiplies it with the work of a
  plan. A `Budget` compares that with what is spent and what is under way. `offers` and `comparison`
  price the same job on other machines and in other regions.
- *After.* A `PaidAttempt` is the time of one attempt on one machine; `bill` adds up attempts and
  requests, and keeps apart what has no price, and why.

A share is the largest of a job's parts of a machine's vCPUs, memory and GPUs. Before, the memory is
what the system leaves to jobs; after, all of it: so a bill is rather less than a plan has said.

Who calls
---------
`session/purse` before each submission, `session/spending` for what a session has watched,
`runs/billing` for a run in a store, `estimates`, and the commands. `aws/prices` asks AWS and hands
in a sheet, which `keep` writes. All is pure but for `shelf`.

Races
-----
A refreshed file takes the place of the old one at once: who reads has the one or the other. A
session reads the list when it needs it first, and keeps it: all its sums are of the same prices, a
refresh counts for the next one. Bills of long ago are at today's prices, as lists have no past.

What was spent is known late, from the parts that jobs commit; so a budget can be passed by what
they cost meanwhile. What is admitted counts as under way from then on, in the thread that submits,
before the event loop has heard of it: else two plans could be admitted for the same dollars.
"""
