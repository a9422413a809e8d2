"""The AWS account: the only room that knows boto3.

How it works
------------
Two kinds of people come here, with permissions of their own. *Operators* make a stack, once for an
account: `stack.up` and `removal.down` hand CloudFormation a template that `template` makes from
`StackOptions`, both pure, and follow it event by event. *Users* run work in it: `open_aws` reads
what the stack says of itself (`outputs`), makes sure of an image, and gives the session an engine.
The least policy that each of the two needs is made here as well (`operator`, `policy`).

- `AwsSession` has one client for each service, by boto3's standard chain of credentials. People who
  wait get an answer after seconds; work that must not be lost bears with an outage for minutes
  (`AwsSession.patient`). Credentials that AWS refuses are looked for once more, in files and
  variables (`AwsSession.renew`): somebody may have renewed them.
- No exception of botocore leaves the room: `refusals` translates each into what happened and what
  to do.
- Where no Docker engine is, `builds` lets the account build the image: `buildscript` says how,
  `buildobjects` carries what is needed, `buildlog` reads what happens.
- Names are made in one file, `names`, since the policies hold by them. What the stack made has its
  tag, and only that is deleted with it.

What may be missing
-------------------
Credentials, a region, a permission, the network, the stack, its image: `doctor` looks at each in
the order in which they are needed. What the user brings (a bucket, queue, role or key of their own)
is looked up before it is used; whoever may not look is believed that it is there, since jobs may
still be allowed to use it.

Races
-----
- A stack can be under way already, by an `up` that was interrupted or by somebody else: its end is
  awaited first. A creation that failed deletes itself, so that it never blocks the next try.
- A stack is followed by its id: its name finds nothing once it is deleted, or another of that name.
- Jobs may still write while a bucket is emptied: they are ended first, and if the bucket could not
  be deleted it is emptied again.
- Credentials expire while a cluster is open: botocore renews them, and the store asks for them
  again every few minutes.
"""
