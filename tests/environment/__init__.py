"""Tests of the room `environment`."""
