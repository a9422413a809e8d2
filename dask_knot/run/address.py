"""The address of a bucket: where its requests go, and how it is told there. Pure.

Clients resolve it once, by boto3 (`aws/bucket.py`). Jobs have no boto3: they are given what was
found, as a text in their environment, or fall back on the address that AWS documents.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

#: The variable of jobs that holds the address of their store.
VARIABLE = "KNOT_S3"
#: Domains of AWS by how the names of their regions begin; all others are of the first partition.
#: Source: botocore's partitions.json.
DOMAINS = {
    "cn-": "amazonaws.com.cn",
    "eusc-": "amazonaws.eu",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "eu-isoe-": "cloud.adc-e.uk",
    "us-isof-": "csp.hci.ic.gov",
    "eu-isof-": "csp.hci.ic.gov",
}
DOMAIN = "amazonaws.com"
#: Variables that name an address, the narrower one first, as all SDKs of AWS have them.
ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")


#: Letters of certificates that jobs are told: a few authorities of one's own.
MOST_CERTIFICATES = 6000


@dataclass(frozen=True, slots=True)
class BucketAddress:
    """Where the requests for a bucket go.

    Attributes
    ----------
    bucket, region : str
        Its name; the region that signatures are made for.
    endpoint : str
        A URL: with the bucket's name in its host if `is_virtual`, else without it.
    is_virtual : bool
        Whether the host names the bucket, or the path does.
    is_express : bool
        Whether it is a directory bucket (S3 Express One Zone), which has sessions of its own.
    certificates : str
        Certificates (PEM) that vouch for the endpoint beyond those that a machine trusts.
    kms_key : str
        The key that objects are to have, should the bucket want to be told.
    """

    bucket: str
    region: str
    endpoint: str
    is_virtual: bool = False
    is_express: bool = False
    certificates: str = ""
    kms_key: str = ""

    @property
    def host(self) -> str:
        """The name of the machine that is asked."""
        return urlsplit(self.endpoint).hostname or ""

    @property
    def is_here(self) -> bool:
        """Whether this machine itself is meant, which is another one to everybody else."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost" or self.host.endswith(".localhost")

    def options(self) -> dict[str, Any]:
        """Give it in the words of obstore's S3Store, `client_options` among them."""
        client: dict[str, Any] = {"allow_http": self.endpoint.startswith("http://")}
        if self.certificates:
            client["root_certificate"] = self.certificates.encode()
        return {
            "region": self.region,
            "endpoint": self.endpoint,
            # obstore reads a variable of this name, which would win over the endpoint.
            "aws_endpoint_url_s3": self.endpoint,
            "virtual_hosted_style_request": self.is_virtual,
            **({"s3_express": True} if self.is_express else {}),
            **({"kms_key": self.kms_key} if self.kms_key else {}),
            "client_options": client,
        }

    def told(self, usual: str = "") -> str:
        """Write it for jobs; nothing if it is on this machine, which is another one to them.

        Their environment is small. AWS's own addresses need no certificates there: who looks into
        the traffic of this network isn't in theirs.

        Parameters
        ----------
        usual : str
            Certificates that every machine trusts.
        """
        if self.is_here:
            return ""
        known = set(_blocks(usual))
        own = "".join(one for one in _blocks(self.certificates) if one not in known)
        is_of_aws = self.host.endswith((DOMAIN, *DOMAINS.values()))
        fits = len(own) <= MOST_CERTIFICATES and not is_of_aws
        told = {**asdict(self), "certificates": own if fits else ""}
        return json.dumps({name: value for name, value in told.items() if value})


def _blocks(certificates: str) -> list[str]:
    """Part certificates, as they are written everywhere alike."""
    end = "-----END CERTIFICATE-----"
    parts = (one.strip() for one in certificates.replace("\r", "").split(end))
    blocks = (one[one.find("-----BEGIN") :] for one in parts if "-----BEGIN" in one)
    return [f"{one}\n{end}\n".replace("\n\n", "\n") for one in blocks]


def certificates_in(text: str) -> str:
    """Leave out what stands between certificates: names, and whatever letters these have."""
    return "".join(_blocks(text))


def address_of_text(text: str) -> BucketAddress:
    """Read what `BucketAddress.told` has written."""
    return BucketAddress(**json.loads(text))


def address_without_boto(bucket: str, environ: Mapping[str, str]) -> BucketAddress | None:
    """Find the address of a bucket where nobody can ask boto3, as in a job.

    Parameters
    ----------
    bucket : str
        Its name.
    environ : mapping of str to str
        The variables of this process. An endpoint that the user has set for jobs comes first, then
        what the client has found, then AWS's own address in the region.

    Returns
    -------
    BucketAddress or None
        None where no region is named: then obstore decides.
    """
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or ""
    given = configured_endpoint(environ)
    if given:
        return BucketAddress(bucket, region or "us-east-1", given)
    if environ.get(VARIABLE):
        found = address_of_text(environ[VARIABLE])
        if found.bucket == bucket:
            return found
    return BucketAddress(bucket, region, default_endpoint(region, environ)) if region else None


def configured_endpoint(environ: Mapping[str, str]) -> str:
    """Give the endpoint that a user has set by a variable, or nothing."""
    if _is_true(environ, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"):
        return ""
    found = (environ.get(name, "").rstrip("/") for name in ENDPOINTS)
    return next((one for one in found if one), "")


def default_endpoint(region: str, environ: Mapping[str, str]) -> str:
    """Give AWS's own address of S3 in a region: path style, which every bucket has there."""
    domain = next((one for name, one in DOMAINS.items() if region.startswith(name)), DOMAIN)
    fips = "-fips" if _is_true(environ, "AWS_USE_FIPS_ENDPOINT") else ""
    dual = ".dualstack" if _is_true(environ, "AWS_USE_DUALSTACK_ENDPOINT") else ""
    return f"https://s3{fips}{dual}.{region}.{domain}"


def _is_true(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").lower() == "true"
