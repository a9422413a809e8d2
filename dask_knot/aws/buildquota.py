"""How many builds an account may run at once: new accounts often none."""

from __future__ import annotations

from dask_knot.aws.outputs import StackOutputs
from dask_knot.aws.session import REFUSALS, AwsSession

#: Quotas of builds, by the processors that they are for, with their names in the AWS console.
BUILD_QUOTAS = {
    "amd64": ("L-9D07B6EF", "Concurrently running builds for Linux/Small environment"),
    "arm64": ("L-5ED1D25B", "Concurrently running builds for ARM/Small environment"),
}


def builds_at_once(session: AwsSession, outputs: StackOutputs) -> float | None:
    """Tell how many builds may run at once; None if that can't be told."""
    code, _ = BUILD_QUOTAS[outputs.architecture]
    quotas = session.client("service-quotas")
    try:
        found = quotas.get_service_quota(ServiceCode="codebuild", QuotaCode=code)
    except REFUSALS:  # not everybody may ask, and nobody needs it
        return None
    return float(found["Quota"]["Value"])
