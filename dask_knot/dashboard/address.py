"""Where the dashboard listens."""

from __future__ import annotations


def dashboard_address(host: str, address: str | None) -> str:
    """Keep an address that names no host to the host of the scheduler; any port is as good as none.

    Dask serves health and metrics in any case.
    """
    address = address or ":0"
    return f"{host}{address}" if address.startswith(":") else address
