"""Tests of what graphs are before they are planned."""
