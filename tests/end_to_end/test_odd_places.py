"""Values are right where shared memory, or the folder of the store, isn't as it usually is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PRIVATE = ("unshare", "--mount", "--propagation", "private")
PROGRAM = Path(__file__).with_name("odd_places_program.py")
#: Of what comes first nothing is seen any more: it is mounted over.
PLACES = {
    "full": "mount -t tmpfs -o size=64m tmpfs /dev/shm; head -c 64m /dev/zero > /dev/shm/other",
    "small": "mount -t tmpfs -o size=1m,noexec,nosuid,nodev tmpfs /dev/shm",
    "without-inodes": "mount -t tmpfs -o nr_inodes=6 tmpfs /dev/shm",
    "read-only": "mount -t tmpfs -o ro tmpfs /dev/shm",
    "no-links": "mount -t tmpfs tmpfs /dev/shm; mount --bind {folder} {folder};"
    " mount -o remount,bind,nosymfollow {folder}",
    "store-no-links": ":",
    "store-slow": "mount -t tmpfs -o sync,dirsync,noexec tmpfs {folder}",
    # A folder of devices without one for shared memory.
    "absent": "mkdir {folder}/dev; mount -t tmpfs tmpfs {folder}/dev; cd {folder}/dev;"
    " for name in null zero random urandom; do touch $name; mount --bind /dev/$name $name; done;"
    " mount --move {folder}/dev /dev",
}


def may_mount() -> bool:
    """Tell whether this user gets a namespace of mounts."""
    mount = ["mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    try:
        return subprocess.run([*PRIVATE, *mount], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.mark.skipif(not may_mount(), reason="needs to mount")
def test_values_are_right_in_odd_places(tmp_path: Path) -> None:
    lines = "".join(f"{name} {do.format(folder=tmp_path)}\n" for name, do in PLACES.items())
    environment = {**os.environ, "PYTHONPATH": str(PROGRAM.parents[2])}
    command = [*PRIVATE, sys.executable, "-W", "error", str(PROGRAM), str(tmp_path)]
    with subprocess.Popen(
        command, env=environment, stdin=-1, stdout=-1, stderr=-1, text=True
    ) as process:
        told, errors = process.communicate(lines, timeout=240)
    assert told.splitlines() == [f"{name} right" for name in PLACES], errors
    assert (process.returncode, errors) == (0, "")
