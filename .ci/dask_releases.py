"""Tests what isn't promised of Dask against the oldest and the newest release that are supported.

``setup.cfg`` says which is the oldest, the package index which is the newest. The whole suite tests
what is installed; another release is put on top of it, in an environment that is thrown away.
"""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
import sysconfig
import tempfile
import venv
from importlib.metadata import version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parent.parent
#: Every name that is used, and what users do first.
TESTS = ("tests/test_internals.py", "tests/internals", "tests/end_to_end/test_futures.py")


def supported() -> list[Version]:
    """Read the releases that the package index has and setup.cfg allows, the oldest first."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    lines = config["options"]["install_requires"].split("\n")
    (allowed,) = (Requirement(line).specifier for line in lines if line.startswith("distributed"))
    command = [sys.executable, "-m", "pip", "index", "versions", "distributed"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    (listed,) = (line for line in text.splitlines() if line.startswith("Available versions:"))
    numbers = re.findall(r"(?<=\s)[\d.]+(?=,|$)", listed)  # an index may have stranger names
    return sorted(one for one in map(Version, numbers) if one in allowed)


def test(release: Version) -> None:
    """Run the tests with another release of dask and distributed."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder)
        python = f"{folder}/bin/python"
        at = f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
        below = sysconfig.get_path("purelib")
        # The project, then what is installed here, whose own .pth files count as well.
        lines = [str(ROOT), f"import site; site.addsitedir({below!r})"]
        Path(folder, at, "below.pth").write_text("\n".join(lines) + "\n")
        packages = [f"{name}=={release}" for name in ("dask", "distributed")]
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        subprocess.run([*pip, "--target", f"{folder}/{at}", *packages], check=True)
        seen = f"import distributed; assert distributed.__version__ == '{release}'"
        subprocess.run([python, "-c", seen], check=True)
        subprocess.run([python, "-m", "pytest", "-q", *TESTS], check=True, cwd=ROOT)


def main() -> None:
    """Test the two releases, or say that there is nothing to do."""
    releases = supported()
    here = Version(version("distributed"))
    others = {releases[0], releases[-1]} - {here}
    print(f"supported are {releases[0]} to {releases[-1]}, installed is {here}")
    for release in sorted(others):
        print(f"-- {release}", flush=True)
        test(release)
    if not others:
        print("nothing to do: the suite tests the one release that there is")


main()
