"""`dask knot prices` and `regions`: what they say of what is known, and of what isn't."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import pytest
from click.testing import CliRunner, Result

from dask_knot.cli.main import knot
from dask_knot.errors import CredentialsError
from dask_knot.prices.shelf import packaged
from dask_knot.settings.defaults import DEFAULTS
from tests.aws.account import account, sign_in
from tests.aws.pricelists import pricing
from tests.aws.test_prices import HISTORY, REGION, Clients, ec2


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    sign_in(monkeypatch)
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with dask.config.set({"knot": DEFAULTS}):
        yield


def run(*arguments: str, session: Any = None) -> Result:
    def opened(**place: str | None) -> Any:
        if session is None:
            raise CredentialsError("there are no AWS credentials")
        return session

    return CliRunner().invoke(knot, list(arguments), obj=opened)


def good(*arguments: str, session: Any = None) -> str:
    result = run(*arguments, session=session)
    assert result.exit_code == 0, result.output
    return result.output


def test_it_says_where_prices_are_from_and_of_when() -> None:
    text = good("prices")
    assert packaged().said() in text
    assert "regions:\n  af-south-1 " in text
    assert " us-west-2\n" in text
    # A hundred columns are enough, but for the line that says what to do about old prices.
    assert max(len(line) for line in text.splitlines()) <= 100
    is_old = packaged().is_old(datetime.datetime.now(datetime.timezone.utc).date())
    assert ("older than a year" in text) == is_old


def test_prices_of_types_in_a_region() -> None:
    text = good("prices", "m5.large", "m5.nano", "g4dn.xlarge", "--region", "eu-central-1")
    assert "2 vCPUs, 8 GiB, amd64: 0.115 USD an hour on demand, not known on Spot" in text
    assert "m5.nano" in text
    assert "neither its size nor its price" in text
    assert "1 GPU: its price is not known" in text
    assert "Fargate, amd64       not known" in text


def test_a_region_that_the_list_lacks_is_said() -> None:
    text = good("prices", "m5.large", "--region", "mars-1")
    assert "prices of machines   not known" in text
    assert "no price for mars-1 is known here: `dask knot prices --refresh --region mars-1`" in text
    assert "2 vCPUs, 8 GiB, amd64: its price is not known" in text


def test_refreshed_prices_are_kept_and_used() -> None:
    session = Clients(pricing=pricing(), ec2=ec2(HISTORY))
    text = good("prices", "m9g.large", "m5.large", "--refresh", session=session)
    assert f"prices of 3 types in {REGION}, kept in " in text
    assert "2 vCPUs, 8 GiB, arm64: 0.09 USD an hour on demand, not known on Spot" in text
    again = good("prices", "m5.large", "--region", REGION)
    assert "0.115 USD an hour on demand, 0.04 to 0.05 USD on Spot" in again
    assert "AWS's price list and Spot prices" in again
    assert "0.0466 USD a vCPU" in again


def test_a_damaged_file_is_said(tmp_path: Path) -> None:
    file = tmp_path / "cache" / "dask_knot" / "prices" / f"{REGION}.prices.json.gz"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"damaged")
    text = good("prices", "m5.large", "--region", REGION)
    assert f"the prices in {file} are not used: it can't be read" in text
    assert "0.115 USD an hour" in text


def test_a_refresh_without_credentials_is_an_error() -> None:
    result = run("prices", "--refresh")
    assert result.exit_code == 1
    assert "Error: there are no AWS credentials" in result.output


def test_regions_are_compared_without_aws() -> None:
    text = good("regions", "--vcpus", "2", "--memory", "4 GiB", "--hours", "100")
    assert "AWS isn't asked about Spot: there are no AWS credentials" in text
    assert text.count("not asked") >= 8
    assert "us-east-1" in text
    assert "for 100 h of jobs with 2 vCPU and 4,096 MiB" in text
    none = good("regions", "--no-ask", "--regions", "mars-1, eu-central-1")
    assert none.index("eu-central-1") < none.index("mars-1        not known")


def test_regions_are_compared_with_what_aws_says() -> None:
    session = Clients(ec2=ec2(HISTORY, scores={REGION: 7}))
    text = good("regions", "--regions", REGION, session=session)
    assert "7 of 10" in text
    assert "0.020 to 0.025 USD" in text  # the half of an m5.large


def test_few_types_have_no_placement_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    asked = ("--regions", "us-east-1", "--instance-types", "c5,m5")
    with account() as session:  # moto knows prices of Spot
        text = good("regions", *asked, session=session)
    assert "placement scores: AWS gives them for at least 3 machine types" in text
    assert "us-east-1  0.0" in text


SCRIPT = """
from dask.distributed import Client
from dask_knot import KnotCluster

if __name__ == "__main__":
    with KnotCluster(jobs=1, memory="1 GiB", dashboard_address=None) as cluster:
        with Client(cluster) as client:
            client.gather(client.map(str, range(20)))
"""


def test_regions_are_compared_for_a_script(tmp_path: Path) -> None:
    script = tmp_path / "work.py"
    script.write_text(SCRIPT)
    text = good("regions", "--no-ask", "--regions", "us-east-1", "--for", str(script))
    assert "h of jobs with 1 vCPU and " in text
    assert "for 1 h of jobs" not in text
    script.write_text("")
    result = run("regions", "--no-ask", "--for", str(script))
    assert "finished without computing anything with dask_knot" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--vcpus", "1000"], "no known machine is large enough for such jobs"),
        (["--instance-types", "x99.large"], "no known machine is large enough for such jobs"),
        (["--for", "nobody", "--store", "{folder}"], "no run 'nobody'"),
    ],
)
def test_errors_are_one_message(arguments: list[str], message: str, tmp_path: Path) -> None:
    given = [one.format(folder=tmp_path / "store") for one in arguments]
    (tmp_path / "store").mkdir()
    result = run("regions", "--no-ask", *given)
    assert result.exit_code == 1
    assert message in result.output
