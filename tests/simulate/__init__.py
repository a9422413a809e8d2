"""Tests of the simulator of the benchmarks."""
