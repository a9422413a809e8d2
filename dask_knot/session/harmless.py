"""Calls on which no future depends: what goes wrong with them is written down, and nothing else."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

logger = logging.getLogger(__name__)


def harmless(trouble: str, call: Callable[..., object], *arguments: Any) -> None:
    """Call something; if it raises, say with `trouble` what was not done."""
    try:
        call(*arguments)
    except Exception as error:
        logger.warning("%s: %s", trouble, error)
        logger.debug("%s", trouble, exc_info=True)
