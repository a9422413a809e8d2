"""AWS Batch on this machine: the same calls, jobs as processes or containers."""
