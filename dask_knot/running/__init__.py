"""Inside a job: a shard's inputs come in, its tasks run, its outputs go out."""
