"""Tests of the room `internals`."""
