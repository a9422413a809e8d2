"""Digests of work: what a task is made of, in sixteen bytes that are the same tomorrow."""
