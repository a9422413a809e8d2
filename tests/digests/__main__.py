"""The command `python -m tests.digests`: how often digests are wrong about generated edits."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from dask_knot.digests.files import FileMarks
from tests.digests.edits import PROGRAM, changes, kept, program_digest

#: Marks of a file at this age need no look at its content.
OLD = 3600 * 1_000_000_000


@dataclass
class Count:
    """What came of edits of one kind.

    Attributes
    ----------
    tried : int
        Edits.
    false_hits : int
        Changed what is computed, and not the digest: an old value would be taken for the new one.
    false_misses : int
        Changed nothing, but the digest: work would be done again.
    """

    kind: str
    tried: int = 0
    false_hits: int = 0
    false_misses: int = 0

    def note(self, is_other: bool, should_be_other: bool) -> None:
        """Count one edit."""
        self.tried += 1
        self.false_hits += should_be_other and not is_other
        self.false_misses += is_other and not should_be_other


def keeping(number: int, seed: int, folder: Path) -> Count:
    """Edit programs so that they compute the same: comments, layout, docstrings, names of files."""
    before = program_digest(PROGRAM, folder)
    count = Count("code: the same is computed")
    for one in range(number):
        edited = kept(PROGRAM, Random(seed + one))
        count.note(program_digest(edited, folder) != before, should_be_other=False)
    return count


def changing(number: int, seed: int, folder: Path) -> Count:
    """Change one constant, operator or the like; later also in other words, and elsewhere."""
    before = program_digest(PROGRAM, folder)
    count = Count("code: something else is computed")
    every = [PROGRAM.with_text(change.place, change.text) for change in changes(PROGRAM)]
    for edited in every:
        count.note(program_digest(edited, folder) != before, should_be_other=True)
    while count.tried < number:
        random = Random(seed + count.tried)
        edited = kept(random.choice(every), random)
        count.note(program_digest(edited, folder) != before, should_be_other=True)
    return count


def processes(number: int, seed: int) -> Count:
    """Digest the same program in other processes: another folder, another seed of hashes."""
    count = Count("code: other folder, other hash seed")
    found = set()
    for one in range(number):
        with tempfile.TemporaryDirectory() as folder:
            env = {**os.environ, "PYTHONHASHSEED": str(seed + one)}
            command = [sys.executable, "-m", "tests.digests", "--print", folder]
            done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
        found.add(done.stdout)
        count.note(len(found) > 1, should_be_other=False)
    return count


def files(number: int, seed: int, folder: Path) -> Iterator[Count]:
    """Read files again, and change them: content, size, or a new file under the old name."""
    same, other = Count("files: untouched, read, moved away and back"), Count("files: changed")
    for one in range(number):
        random = Random(seed + one)
        path = folder / f"{one % 50}.bin"
        path.write_bytes(random.randbytes(random.randrange(1, 100)))
        changed = time.time_ns() - OLD - random.randrange(OLD)
        os.utime(path, ns=(changed, changed))
        before = FileMarks().mark(path)
        assert before is not None
        random.choice(_TOUCHES)(path)
        same.note(FileMarks().mark(path) != before, should_be_other=False)
        random.choice(_CHANGES)(path, random)
        other.note(FileMarks().mark(path) != before, should_be_other=True)
    yield same
    yield other


def _move(path: Path) -> None:
    away = path.rename(path.with_suffix(".away"))
    away.rename(path)


def _append(path: Path, random: Random) -> None:
    with path.open("ab") as file:
        file.write(random.randbytes(1))


def _flip(path: Path, random: Random) -> None:
    data = bytearray(path.read_bytes())
    data[random.randrange(len(data))] ^= 1
    path.write_bytes(data)


def _renew(path: Path, random: Random) -> None:
    size = path.stat().st_size
    fresh = path.with_suffix(".new")
    fresh.write_bytes(random.randbytes(size))
    fresh.replace(path)


def _resize(path: Path, random: Random) -> None:
    """Change a file, and give it the time that it had."""
    changed = path.stat().st_mtime_ns
    _append(path, random)
    os.utime(path, ns=(changed, changed))


_TOUCHES: tuple[Callable[[Path], object], ...] = (
    Path.read_bytes,
    _move,
    lambda path: path.chmod(0o600),
    lambda path: None,
)
_CHANGES: tuple[Callable[[Path, Random], None], ...] = (_append, _flip, _renew, _resize)


def main() -> int:
    """Count, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.digests", description=__doc__)
    parser.add_argument("--edits", type=int, default=2000, help="of each kind")
    parser.add_argument("--seed", type=int, default=0, help="another one makes other edits")
    parser.add_argument("--print", type=Path, metavar="FOLDER", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.print:
        sys.stdout.write(program_digest(PROGRAM, args.print).hex())
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        found = [
            keeping(args.edits, args.seed, folder),
            changing(args.edits, args.seed, folder),
            processes(max(2, args.edits // 200), args.seed),
            *files(args.edits, args.seed, folder),
        ]
    lines = ["| edits | tried | false hits | false misses |", "| --- | --- | --- | --- |"]
    lines += [f"| {c.kind} | {c.tried:,} | {c.false_hits} | {c.false_misses} |" for c in found]
    sys.stdout.write("\n".join(lines) + "\n")
    return int(any(count.false_hits or count.false_misses for count in found))


if __name__ == "__main__":
    sys.exit(main())
