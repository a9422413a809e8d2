"""Where Dask listens: on which host, and where its dashboard does."""

from __future__ import annotations

import socket

from dask_knot.settings import checks


def check_host(host: str) -> None:
    """Listen for a moment, to find out before anything is started whether Dask can.

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


def dashboard_address(host: str, address: str | None) -> str:
    """Keep an address that names no host to the host of the scheduler; any port is as good as none.

    Dask serves health and metrics in any case.
    """
    address = address or ":0"
    return f"{host}{address}" if address.startswith(":") else address
