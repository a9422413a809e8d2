"""The Python and the shell commands of README and documentation, read from their pages, and run.

`python -m tests.blocks` executes the blocks of all pages on one cluster of this machine, and says
how many there are. A page is a program: its blocks share a namespace, in their order. They find a
`cluster` and its `client`, as their readers have one. Two comments, which readers don't see, help:

- `<!-- not executed: reason -->` right above a block: it is compiled only;
- `<!-- executed before: ... -->`: lines of Python that the next block needs.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import re
import shlex
import sys
import tempfile
import time
import traceback
import types
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from dask.distributed import Client

from dask_knot import Knot, KnotCluster

ROOT = Path(__file__).parent.parent
#: What `tests/test_readme.py` pastes into Python, one line after the other.
PASTED = ROOT / "README.md"
PAGES = [PASTED, ROOT / "benchmarks/README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(
    r"^<!-- not executed: (?P<reason>[^\n]*?) -->\n+(?=```python)"
    r"|^<!-- executed before:\s(?P<before>.*?)-->"
    r"|^(?P<fence>```+)(?P<language>[\w-]*)[^\n]*\n(?P<code>.*?)^(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """Python of a page: where it begins, and why it isn't executed, if so."""

    page: str
    line: int
    code: str
    reason: str = ""


def python_of(page: Path, root: Path = ROOT) -> Iterator[Block]:
    """Find the Python of a page, with what is to be executed before."""
    text, reason, before = page.read_text(encoding="utf-8"), "", ""
    for found in BLOCK.finditer(text):
        if found["language"] == "python":
            line = text.count("\n", 0, found.start("code")) + 1
            yield Block(str(page.relative_to(root)), line, before + found["code"], reason)
            reason = before = ""
        reason = found["reason"] or reason
        if found["before"]:
            before += f"{found['before']}\n"


def commands_of(text: str) -> Iterator[list[str]]:
    """Find the commands `dask knot ...` in a page's blocks of shell, without `dask knot`."""
    for found in BLOCK.finditer(text):
        if found["language"] not in ("sh", "console", "bash"):
            continue
        code = found["code"].replace("\\\n", " ")
        if found["language"] == "console":
            code = "\n".join(line[2:] for line in code.splitlines() if line.startswith("$ "))
        for line in code.splitlines():
            called = re.search(r"(?:^|[\s/(])dask knot(?![\w-])([^|;&)>]*)", line.split(" # ")[0])
            if called and not line.lstrip().startswith("#"):
                yield shlex.split(called[1], comments=True)


@dataclass
class Outcome:
    """What became of a block."""

    page: str
    line: int
    reason: str
    error: str
    seconds: float


def compiled(block: Block) -> types.CodeType:
    """Compile a block; tracebacks then name page and line."""
    source = "\n" * (block.line - 1) + block.code
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT if block.reason else 0
    return compile(source, block.page, "exec", flags)


def executed(block: Block, main: types.ModuleType) -> Outcome:
    """Execute a block in its page's namespace, or only compile it."""
    error, start = "", time.perf_counter()
    try:
        code = compiled(block)
        if not block.reason:
            with contextlib.redirect_stdout(io.StringIO()):
                exec(code, main.__dict__)
    except BaseException:
        error = traceback.format_exc()
    return Outcome(block.page, block.line, block.reason, error, time.perf_counter() - start)


def execute_page(blocks: list[Block], cluster: KnotCluster, client: Client) -> Iterator[Outcome]:
    """Execute the blocks of a page as one program, and close what it leaves open."""
    main = types.ModuleType("__main__")
    main.__dict__.update(cluster=cluster, client=client)
    before, sys.modules["__main__"] = sys.modules["__main__"], main
    try:
        for block in blocks:
            yield executed(block, main)
    finally:
        left = [one for one in vars(main).values() if one is not cluster and one is not client]
        for kind in (Client, KnotCluster, Knot):
            for one in (one for one in left if isinstance(one, kind)):
                with contextlib.suppress(Exception):
                    one.close()
        sys.modules["__main__"] = before


def main(pages: list[str]) -> int:
    """Execute pages, or all but the README; each block's outcome is a line of JSON."""
    chosen = [ROOT / page for page in pages] or [page for page in PAGES if page != PASTED]
    outcomes: list[Outcome] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder) if sys.version_info >= (3, 11) else contextlib.nullcontext(),
        KnotCluster(jobs=2, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        for page in chosen:
            blocks = [*python_of(page)]
            # No page finds the named runs of another one, nor yours.
            os.environ["XDG_DATA_HOME"] = str(Path(folder, page.stem))
            for outcome in execute_page(blocks, cluster, client) if blocks else ():
                outcomes.append(outcome)
                print(json.dumps(asdict(outcome)), flush=True)
    idle = [one for one in outcomes if one.reason]
    failed = [one for one in outcomes if one.error]
    ran = len(outcomes) - len(idle)
    print(f"{ran} executed, {len(idle)} compiled only, {len(failed)} failed", file=sys.stderr)
    for one in idle:
        print(f"  {one.page}:{one.line} {one.reason}", file=sys.stderr)
    for one in failed:
        print(f"\n{one.page}:{one.line}\n{one.error}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
