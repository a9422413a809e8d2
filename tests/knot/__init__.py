"""Tests of the room `knot`."""
