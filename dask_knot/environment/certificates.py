"""Certificates that this machine trusts and others don't: those of a company's proxy, say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from dask_knot.environment.distributions import find

BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
#: Where administrators put what the system is to trust besides: Debian's, Fedora's, SUSE's folder.
OF_SYSTEM = (
    "/usr/local/share/ca-certificates",
    "/etc/pki/ca-trust/source/anchors",
    "/etc/pki/trust/anchors",
)

#: What Debian itself trusts: older ones of Mozilla's, too.
OF_DEBIAN = "/usr/share/ca-certificates/mozilla"


def own_certificates(places: Iterable[str]) -> bytes:
    """Give the certificates in files and folders that aren't among those that everybody has."""
    known = {_bare(block) for block in BLOCK.findall(_of_everybody())}
    found: dict[bytes, bytes] = {}
    for file in (file for place in places for file in _files(Path(place))):
        try:
            blocks = BLOCK.findall(file.read_bytes())
        except OSError:
            continue  # what can't be read here is trusted by nobody here
        found |= {_bare(block): block for block in blocks}
    return b"".join(block + b"\n" for bare, block in sorted(found.items()) if bare not in known)


def _of_everybody() -> bytes:
    found = [file.read_bytes() for file in _files(Path(OF_DEBIAN))]
    package = find("certifi")  # without it there are only more of them to carry
    if package is not None:
        found.append(Path(str(package.locate_file("certifi/cacert.pem"))).read_bytes())
    return b"\n".join(found)


def _files(place: Path) -> Iterator[Path]:
    if place.is_dir():
        yield from sorted(file for file in place.rglob("*") if file.suffix in (".crt", ".pem"))
    elif place.is_file():
        yield place


def _bare(block: bytes) -> bytes:
    return b"".join(block.split())
