"""What boto3's clients are made with: how often they ask again, and for how long they wait."""

from __future__ import annotations

from dask_knot.extras import extra

with extra():
    from botocore.config import Config


def _config(attempts: int) -> Config:
    # The adaptive mode slows down by itself when an account has too many callers: Batch takes
    # about 50 calls a second from all of them. The pauses between attempts double, up to 20 s.
    return Config(
        retries={"mode": "adaptive", "total_max_attempts": attempts},
        connect_timeout=10,
        read_timeout=60,
        user_agent_extra="dask_knot",
    )


def regional(config: Config) -> Config:
    """Let requests to S3 in its oldest region, too, go to the region itself.

    The name that boto3 has for it by default has no PrivateLink. A copy for each client: botocore
    writes into it what the profile of one client wants.
    """
    return config.merge(Config(s3={"us_east_1_regional_endpoint": "regional"}))


#: For somebody who waits: without a network it is said after some ten seconds.
CONFIG = _config(6)
#: For a look beside work, which must not be held up.
QUICK = _config(2)
#: For work that must not be lost when AWS is busy for minutes, ...
PATIENT = _config(13)
#: ... or when the network is gone: so many seconds, as the store has it.
OUTAGE = 120.0
