"""Tests of what happens inside a job."""
