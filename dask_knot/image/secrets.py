"""What a build must know and an image must not have: made here, open while pip runs, then gone.

The way in
----------
BuildKit mounts a secret as a file, for one step. The plain builder, and Podman's, have no such
thing. What they have are build arguments, which they write into the image's history, but for a few
that they promise not to, since proxies have passwords in them: ``HTTP_PROXY`` and its like, among
them ``FTP_PROXY``, which neither pip nor git nor apt asks for anything that isn't FTP's. So all
secrets travel in that one. They are in the environment of the build's containers and nowhere else:
in no layer, no history, no cache, no configuration of an image. A stage of its own for secrets, or
a file copied and deleted, would stay on the engine's disks whenever a build is killed.

`install.py` opens them. What it runs finds them as pip and git look for them: in variables and in
files of a folder in memory.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from dask_knot.environment.credentials import MASK, SHORTEST, redact, secrets_of
from dask_knot.errors import ImageError
from dask_knot.image.install import MARK, VARIABLE

#: The secret's name at BuildKit.
ID = "dask-knot"
ALL_PROXY = "ALL_PROXY"
#: A variable of a process has at most 128 KiB.
MOST_BYTES = 2**17 - 1024

#: The secrets as they travel: an engine may say what it was told.
PACKED = re.compile(rf"{MARK}[A-Za-z0-9+/=]+")


@dataclass(frozen=True, slots=True, repr=False)
class BuildSecrets:
    """What a build is told beside its Dockerfile and its context.

    Tracebacks that show variables show nothing of it.

    Attributes
    ----------
    environment, files : mapping of str to str
        Variables for pip, and contents of files that variables name.
    certificates : str
        Whom to trust besides.
    proxies : mapping of str to str
        The way to everything, for all steps of the build.
    words : frozenset of str
        What must never be shown.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    certificates: str = ""
    proxies: Mapping[str, str] = field(default_factory=dict)
    words: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        """Tell whether a build here must be told anything that it would keep."""
        told = (self.environment, self.files, self.certificates)
        return any(told) or ALL_PROXY in self.proxies

    def document(self, is_here: bool = True) -> str:
        """Write all that pip must know, for `install.py`; nothing if there is nothing.

        Parameters
        ----------
        is_here : bool
            This machine builds: its proxies count. pip hears of `ALL_PROXY` in no other way, since
            older engines hand on only those of one protocol.
        """
        names = (ALL_PROXY,) if is_here else ()
        proxies = {name: self.proxies[name] for name in names if name in self.proxies}
        if not (self.environment or self.files or self.certificates or proxies):
            return ""
        words = self.words if is_here else self.words - secrets_of(self.proxies.values())
        content = {
            "environment": {**self.environment, **proxies},
            "files": dict(self.files),
            "certificates": self.certificates,
            "words": sorted(
                (word for word in words if len(word) >= SHORTEST), key=len, reverse=True
            ),
        }
        return MARK + base64.b64encode(zlib.compress(json.dumps(content).encode())).decode()

    def mounted(self) -> dict[str, bytes]:
        """Give what BuildKit should mount on a machine elsewhere, by its id."""
        document = self.document(is_here=False)
        return {ID: document.encode()} if document else {}

    def arguments(self) -> dict[str, str]:
        """Give the build arguments of a builder that mounts nothing.

        Raises
        ------
        ImageError
            If there is more than such an argument may have.
        """
        document = self.document()
        if len(document) > MOST_BYTES:
            raise ImageError(
                "the certificates and credentials of this machine's pip are "
                f"{len(document):,} bytes long, and without BuildKit a build can take only "
                f"{MOST_BYTES:,}: install Docker's buildx, or set PIP_CERT to a file with "
                "only your own certificates"
            )
        return self.proxy_arguments() | ({VARIABLE: document} if document else {})

    def proxy_arguments(self) -> dict[str, str]:
        """Give the proxies by both spellings: some programs know only one."""
        small = {name.lower(): url for name, url in self.proxies.items()}
        return dict(self.proxies) | small

    def redact(self, text: str) -> str:
        """Take all secrets out of a text."""
        return redact(PACKED.sub(MASK, text), self.words)
