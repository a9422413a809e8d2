"""Tests of what the scheduler answers itself."""
