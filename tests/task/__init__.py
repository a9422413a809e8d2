"""Tests of the room `task`."""
