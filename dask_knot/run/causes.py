"""What stands between a store and its S3 (names, certificates, proxies), as obstore's errors say.

What it says in one line is that a request could not be sent. Why stands deep in the chain of causes
that it appends for programmers. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_CHAIN = "\n\nDebug source:"
#: How it begins that nobody has signed a request.
NO_CREDENTIALS = "there are no credentials"
#: What stands in the chain; what it means, of a host; what to do.
_CAUSES = (
    (
        r"(/latest/api/token|/latest/meta-data/iam|//169\.254\.170\.2)",
        "there are no credentials: none in variables, and {host} gives none",
        "A job needs its role (knot.aws.job-role; on EC2, a hop limit of 2 or more, and neither "
        "of 169.254.169.254 and 169.254.170.2 behind a proxy: NO_PROXY). Elsewhere give keys in "
        'variables, such as those of a profile: eval "$(aws configure export-credentials '
        '--format env)"',
    ),
    (
        r"InvalidCertificate\(\s*(?:Other\([^\"]*\"?)?(\w+)",
        "the certificate of {host} is not trusted ({found})",
        "If a proxy or a store of your own has signed it, set AWS_CA_BUNDLE to the file of its "
        "authority's certificate",
    ),
    (
        r"failed to lookup address information: ([^\"]+)\"",
        "the name {host} is not known here ({found})",
        "Check the network or VPN, the endpoint, and that the region exists",
    ),
    (
        r"(ProxyAuthRequired|407 Proxy Authentication Required)",
        "the proxy on the way to {host} wants a name and a password (407)",
        "Give them in HTTPS_PROXY (http://NAME:PASSWORD@HOST:PORT)",
    ),
    (
        r"(TunnelUnsuccessful|TunnelUnexpectedEof)",
        "the proxy refuses the way to {host}",
        "Let it allow that, or name the host in NO_PROXY",
    ),
    (
        r"kind: (Timeout)",
        "nothing was heard of {host} for too long",
        "Check the network; what is sent again gets more time",
    ),
    (
        r"message: \"([^\"]+)\"",
        "{host} can't be reached ({found})",
        "Check the network, the endpoint and proxies",
    ),
    (
        r"(IncompleteMessage|UnexpectedEof|ConnectionReset|BrokenPipe)",
        "{host} has closed the connection ({found})",
        "Check the network and proxies",
    ),
)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a request didn't get there, and what to do."""

    text: str
    cure: str


def plain(text: str) -> str:
    """Leave out the chain of causes."""
    return text.partition(_CHAIN)[0].strip()


def cause_in(text: str) -> Obstacle | None:
    """Find why a request didn't get to S3, or its answer not back.

    Parameters
    ----------
    text : str
        An error of obstore's, with its chain of causes.

    Returns
    -------
    Obstacle or None
        None if the chain says nothing that people can use.
    """
    host = re.search(r"https?://([^/\s:,]+)", text)
    for pattern, said, cure in _CAUSES:
        found = re.search(pattern, text)
        if found:
            name = host[1] if host else "the store"
            return Obstacle(said.format(host=name, found=found[1].strip()), cure)
    return None
