"""Installs the project beside JupyterLab in a new environment, and compares what was there.

``python tools/installation.py``: prints what each extra adds, and ends with 1 if any package that
was there has another version afterwards, but for what AWS's own library wants. It asks the package
index, and takes some minutes.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
#: What people have before.
BEFORE = ("jupyterlab", "ipywidgets", "pandas")
#: botocore takes none of a newer major version.
OF_AWS = ("python-dateutil", "urllib3", "jmespath")
EXTRAS = ("", "dashboard", "docker", "aws", "examples,dashboard,aws")


def installed(python: Path) -> dict[str, str]:
    """List what is installed: each package with its version."""
    command = [str(python), "-m", "pip", "list", "--format=freeze", "--disable-pip-version-check"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found = {}
    for line in done.stdout.splitlines():
        name, _, version = line.partition("==")
        found[name] = version
    return found


def size(folder: Path) -> float:
    """Measure a folder, in MB."""
    return sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def install(python: Path, *words: str) -> None:
    """Install with pip, without a word."""
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *words], check=True)


def compare(extras: str) -> bool:
    """Install with some extras beside JupyterLab, and tell whether nothing else has changed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        venv.create(folder, with_pip=True)
        python = folder / "bin/python"
        install(python, *BEFORE)
        before, space = installed(python), size(folder)
        install(python, f"{ROOT}[{extras}]" if extras else str(ROOT))
        after = installed(python)
        changed = {one: after.get(one) for one in before if after.get(one) != before[one]}
        new = len(after.keys() - before.keys())
        grown = f"{new} packages and {size(folder) - space:.0f} MB more"
        print(f"[{extras}] beside {len(before)} packages: {grown}; changed: {changed or 'none'}")
        return not changed.keys() - (OF_AWS if "aws" in extras else ())


if __name__ == "__main__":
    sys.exit(not all([compare(one) for one in sys.argv[1:] or EXTRAS]))
