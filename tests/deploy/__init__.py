"""Tests of the face of a cluster."""
