"""Whom a session tells what: the only way in which anything leaves it unasked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dask_knot.session.failures import ErredKey
from dask_knot.session.outages import log_mistake
from dask_knot.session.watcher import ChildEvent
from dask_knot.tracking import actions

Outcome = actions.FinishKey | ErredKey


def nobody(what: object) -> None:
    """Take what is said before anybody is there to hear it."""


def nothing() -> None:
    """Do what has to be done while nobody waits."""


@dataclass(slots=True)
class Hooks:
    """Whom a session tells what, in its event loop.

    Attributes
    ----------
    outcomes : callable
        Takes how wanted keys ended: a sequence of Outcome.
    notice : callable
        Takes what people should know at once, such as why jobs wait: a line.
    found : callable
        Takes manifests and ends of children as they are found, to be shown.
    changed : callable
        Called after whatever may have changed what there is to wait for.
    """

    outcomes: Callable[[Sequence[Outcome]], None] = nobody
    notice: Callable[[str], None] = nobody
    found: Callable[[Sequence[ChildEvent]], None] = nobody
    changed: Callable[[], None] = nothing

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Tell how keys ended: whoever listens must not end what else is to be done."""
        try:
            self.outcomes(outcomes)
        except Exception as error:
            log_mistake(error)
