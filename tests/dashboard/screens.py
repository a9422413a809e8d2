"""What a person sees of what was written to a terminal, and a program that has one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence

SPAWN = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"


def screen(written: str) -> list[str]:
    """Give the lines that stand there in the end."""
    lines = [""]
    column = 0
    for piece in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", written):
        if piece == "\n":
            lines.append("")
            column = 0
        elif piece == "\r":
            column = 0
        elif piece == "\x1b[K":
            lines[-1] = lines[-1][:column]
        elif not piece.startswith("\x1b"):
            lines[-1] = lines[-1][:column] + piece + lines[-1][column + len(piece) :]
            column += len(piece)
    return [line for line in lines if line.strip()]


def in_terminal(command: Sequence[str], **environment: str) -> str:
    """Run a program in a terminal of its own; give all that it wrote there."""
    done = subprocess.run(
        [sys.executable, "-c", SPAWN, *command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
        check=True,
        env={**os.environ, "TERM": "xterm", **environment},
    )
    return done.stdout.decode()
