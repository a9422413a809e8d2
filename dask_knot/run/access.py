"""The way to a store: each request is counted, tried for a while, and its errors are ours."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import partial
from pathlib import Path
from typing import TypeVar

from dask_knot.run.folder import check_is_there
from dask_knot.run.opening import check_not_gone
from dask_knot.run.patience import NONE, Patience
from dask_knot.run.traffic import Traffic
from dask_knot.run.trouble import MISSING, TROUBLE, failed, has_bad_credentials, may_pass, missing

T = TypeVar("T")


class Access:
    """Asks a store. For several threads.

    Parameters
    ----------
    url : str
        The store.
    folder : Path, optional
        Where it is, if it is a folder.
    traffic : Traffic
        Counts.
    renew : callable, optional
        Looks for other credentials.

    Attributes
    ----------
    patience : Patience
        For how long it tries.
    """

    def __init__(
        self,
        url: str,
        folder: Path | None,
        traffic: Traffic,
        renew: Callable[[], object] | None,
    ) -> None:
        self._url = url
        self._folder = folder
        self._traffic = traffic
        self._renew = renew
        self.patience: Patience = NONE

    def at_once(self) -> Access:
        """Give this way without patience."""
        hasty = copy(self)
        hasty.patience = NONE
        return hasty

    def ask(self, operation: str, name: str, call: Callable[[], T], is_counted: bool = True) -> T:
        """Do something with an object; it is counted each time unless it is part of a request.

        Raises
        ------
        StoreError
            If that isn't possible, and doesn't become so.
        """

        def ask() -> T:
            if is_counted:
                self._traffic.note(operation)
            return self._ask_once(operation, name, call)

        return self.patience.call(operation, ask, partial(may_pass, self._url))

    def _ask_once(self, operation: str, name: str, call: Callable[[], T]) -> T:
        self._check_folder(operation, name)
        try:
            found = call()
        except MISSING as error:
            check_not_gone(self._url, error)
            self._check_folder(operation, name)
            raise missing(self._url, name) from error
        except TROUBLE as error:
            check_not_gone(self._url, error)
            if self._renew is not None and has_bad_credentials(error):
                self._renew()  # for the next try
            raise failed(self._url, operation, name, error) from error
        if not found:  # such as a listing, which names nothing of a folder that isn't there
            self._check_folder(operation, name)
        return found

    def _check_folder(self, operation: str, name: str) -> None:
        """Tell a folder that is away from missing objects: obstore would make it anew for a put."""
        if self._folder is not None:
            check_is_there(self._folder, f" to {operation} {name}")
