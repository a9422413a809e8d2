"""Tests of the room that knows boto3."""
