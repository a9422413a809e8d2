"""Tests of what stands between tracker and world."""
