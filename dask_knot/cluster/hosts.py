"""Whether Dask can listen where it is told to: found out before anything is started."""

from __future__ import annotations

import socket

from dask_knot.settings import checks


def check_host(host: str) -> None:
    """Listen for a moment.

    Raises
    ------
    ConfigurationError
        If it is no name or address of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.bind(address)
    except OSError as error:
        expected = f"a name or address of this machine ({error.strerror})"
        raise checks.wrong("host", host, expected) from error
