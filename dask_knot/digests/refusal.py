"""The refusal of a digest: what can't be told from something else, and why."""

from __future__ import annotations


class UndigestibleError(Exception):
    """Something has no digest, so the work that it is part of runs again.

    Its text is the reason, for users: what it is, and what they may do about it.
    """
