"""Executes the notebooks of the site: `python -m tests.pages [NAME...]` stores what they show.

A page is a notebook in `docs` whose text and code are written by hand, and whose outputs are stored
with it, as the site doesn't execute anything. Stored is what a reader sees: no times of execution,
and no names or folders of the machine that executed it. A cell that names an example in its
metadata has its definitions from there: `{"example": "dmri", "names": ["find_mask", "denoise"]}`.
"""

from __future__ import annotations

import getpass
import os
import re
import shutil
import socket
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionComplete
from nbformat import NotebookNode

from tests.notebooks import KERNEL, definitions
from tests.rig.instance import telling
from tests.rig.machine import Rig, running

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
#: Executed in the emulated AWS; the others on this machine.
IN_RIG = "aws-session"
#: Whose home it is on the site, in all pages.
PERSON, HOME = "ada@laptop", "/home/ada"
SECONDS = 900
#: The line that moves while somebody waits, and that is gone when the result is there.
MOVING = re.compile(r"(dask_knot \d+:\d\d .*)?")
#: Widgets need a kernel that lives; the text beside them doesn't.
NOT_STORED = ("application/vnd.jupyter.widget-view+json",)
#: What is told of this machine and of no other: where its pip finds packages, and that it is so
#: busy that processes of a LocalCluster need seconds to stop.
NOISE = re.compile(
    r"^(pip looks in(to)? |.* - distributed\.nanny - WARNING - Worker process still alive).*\n",
    re.MULTILINE,
)
#: Of a longer text, such as the build of an image, so many lines at both ends are stored.
LONGEST, FIRST, LAST = 30, 8, 6
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
#: What is another one in each execution and says nothing to a reader.
CHANGING = (
    (re.compile(r"/tmp/ipykernel_\d+/\d+\.py"), "cell"),
    (re.compile(r"(tcp://127\.0\.0\.1):\d+"), r"\1:…"),
    (re.compile(r"(http://127\.0\.0\.1):\d+(?=/status)"), r"\1:8787"),
    (re.compile(r"/tmp/dask-scratch-space"), f"{HOME}/dask-scratch-space"),
    (re.compile(r"Client-[0-9a-f]{8}(-[0-9a-f]+)+"), "Client-…"),
    (re.compile(r"[ \t]+$", re.MULTILINE), ""),
)
#: Columns of the terminal in which commands print.
WIDTH = "100"


def names() -> list[str]:
    """List the pages."""
    return sorted(path.stem for path in DOCS.glob("*.ipynb"))


def path_of(name: str) -> Path:
    """Say where a page is."""
    return DOCS / f"{name}.ipynb"


def read(name: str) -> NotebookNode:
    """Read a page as it is stored."""
    return nbformat.read(path_of(name), as_version=4)


class Executor(NotebookClient):
    """Executes a notebook, and shows late what comes late, as Jupyter does.

    A bar moves on while the next cell runs: nbclient leaves out what isn't of the cell that runs.
    """

    async def _async_poll_output_msg(
        self, parent_msg_id: str, cell: NotebookNode, cell_index: int
    ) -> None:
        while True:
            message = await self.kc.iopub_channel.get_msg(timeout=None)
            if message["parent_header"].get("msg_id") == parent_msg_id:
                try:
                    self.process_message(message, cell, cell_index)
                except CellExecutionComplete:
                    return
            elif message["msg_type"] == "update_display_data":
                self._update_display_id(message["content"]["transient"]["display_id"], message)


def fill(book: NotebookNode) -> None:
    """Put the examples' definitions into the cells that name them."""
    for cell in book.cells:
        if "example" in cell.metadata:
            cell.source = definitions(cell.metadata.example, cell.metadata.names)


def set_variables(book: NotebookNode, variables: Mapping[str, object]) -> None:
    """Give the variables of the cell that is tagged `parameters` other values."""
    [cell] = [cell for cell in book.cells if "parameters" in cell.metadata.get("tags", ())]
    known = set(re.findall(r"^\w+", cell.source, re.MULTILINE))
    if not known >= variables.keys():
        raise ValueError(f"no variables of the page: {sorted(variables.keys() - known)}")
    cell.source += "".join(f"\n{key} = {value!r}" for key, value in variables.items())


def execute(
    name: str, book: NotebookNode, home: Path, variables: Mapping[str, str] | None = None
) -> None:
    """Execute a page in a home of its own, as somebody who has just installed dask_knot.

    Parameters
    ----------
    name : str
        What the page is called.
    book : NotebookNode
        The page, which gets the outputs.
    home : Path
        An empty folder.
    variables : mapping of str to str, optional
        With which the account is found, such as those of `in_account`.
    """
    nbformat.write(book, home / f"{name}.ipynb")
    resources = {"metadata": {"path": str(home)}}
    client = Executor(
        book, timeout=SECONDS, iopub_timeout=60, record_timing=False, resources=resources
    )
    client.execute(env=_environment(name, home) | dict(variables or {}))
    clean(book, home)


def _environment(name: str, home: Path) -> dict[str, str]:
    ours = ("AWS_", "DASK", "XDG_", "JPY_", "PYTEST")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    variables |= {
        "HOME": str(home),
        "JPY_SESSION_NAME": str(home / f"{name}.ipynb"),
        "COLUMNS": WIDTH,
        "PATH": os.pathsep.join((sysconfig.get_path("scripts"), os.environ["PATH"])),
        "PYTHONPATH": str(ROOT),
        "DASK_CONFIG": str(home / ".config/dask"),
        # Another program may have the usual port, which Dask would warn of.
        "DASK_KNOT__DASHBOARD_ADDRESS": ":0",
        # tqdm, which Dipy imports, would rather have widgets.
        "PYTHONWARNINGS": "ignore:IProgress not found",
    }
    if (fonts := _fonts()) is not None:
        variables["MPLCONFIGDIR"] = fonts
    return variables


@contextmanager
def in_account(rig: Rig, **build: str) -> Iterator[dict[str, str]]:
    """Give the variables of somebody who works in the emulated AWS, on instances of EC2."""
    with telling(rig) as told:
        inside = {"AWS_ENDPOINT_URL": rig.endpoint, **told}
        # The emulated AWS is where no container would look for it.
        variables = {**rig.environment, "DASK_KNOT__ENVIRONMENT": repr(inside)}
        build = {"NETWORK": "host", **build}
        yield variables | {f"DASK_KNOT__BUILD__{name}": value for name, value in build.items()}


def _fonts() -> str | None:
    """Say where matplotlib's list of fonts is: to make it takes seconds and is told."""
    try:
        import matplotlib.font_manager  # makes it
    except ImportError:
        return None
    return str(matplotlib.get_cachedir())


def clean(book: NotebookNode, home: Path) -> None:
    """Leave of the outputs what a reader sees, and nothing of this machine."""
    book.metadata = {
        "kernelspec": KERNEL,
        "language_info": {"name": "python", "pygments_lexer": "ipython3"},
    }
    for cell in book.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            kept = [_cleaned(output, home) for output in _merged(cell.outputs)]
            cell.outputs = [output for output in kept if not _is_passing(output)]


def _merged(outputs: Iterable[NotebookNode]) -> list[NotebookNode]:
    """Make one output of each stream, at the place of its first piece."""
    merged: list[NotebookNode] = []
    for output in outputs:
        same = [one for one in merged if _is_stream(one) and one.name == output.get("name")]
        if _is_stream(output) and same:
            same[0].text += output.text
        else:
            merged.append(output)
    return merged


def _is_stream(output: NotebookNode) -> bool:
    return output.output_type == "stream"


def _is_passing(output: NotebookNode) -> bool:
    if _is_stream(output):
        return not output.text.strip()
    data = output.get("data", {})
    is_text = output.output_type == "display_data" and data.keys() <= {"text/plain"}
    return is_text and bool(MOVING.fullmatch(data.get("text/plain", "")))


def _cleaned(output: NotebookNode, home: Path) -> NotebookNode:
    if output.output_type == "error":
        output.traceback = [_without_machine(line, home) for line in output.traceback]
        return output
    if _is_stream(output):
        lines = CONTROL.sub("", output.text).replace("\r\n", "\n").split("\n")
        output.text = _shortened(NOISE.sub("", "\n".join(line.split("\r")[-1] for line in lines)))
        output.text = _without_machine(output.text, home)
        return output
    for kind in NOT_STORED:
        output.data.pop(kind, None)
    for kind, shown in output.data.items():
        if kind.startswith("text/"):
            output.data[kind] = _without_machine(shown, home)
    output.metadata = {}
    return output


def _shortened(text: str) -> str:
    lines = text.splitlines(True)
    if len(lines) <= LONGEST:
        return text
    left_out = f"[… {len(lines) - FIRST - LAST} more lines …]\n"
    return "".join([*lines[:FIRST], left_out, *lines[-LAST:]])


def _without_machine(text: str, home: Path) -> str:
    installed = Path(sysconfig.get_path("purelib"))
    known = {
        str(home): HOME,
        str(installed): "…/site-packages",
        str(ROOT / "dask_knot"): "…/site-packages/dask_knot",
        str(ROOT): "…",
        sys.prefix: f"{HOME}/env",
        f"{getpass.getuser()}@{socket.gethostname()}": PERSON,
    }
    for ours, theirs in known.items():
        text = text.replace(ours, theirs)
    for pattern, instead in CHANGING:
        text = pattern.sub(instead, text)
    return text


def kinds(book: NotebookNode) -> list[set[str]]:
    """Say of each cell with code which kinds of outputs it has: not how many, or which numbers."""
    cells = [cell for cell in book.cells if cell.cell_type == "code"]
    return [{kind for output in cell.outputs for kind in _kinds(output)} for cell in cells]


def _kinds(output: NotebookNode) -> Iterator[str]:
    if _is_stream(output):
        yield output.name
    elif output.output_type == "error":
        yield output.ename
    else:
        yield from output.data


def as_text(name: str, book: NotebookNode) -> str:
    """Write a page as it is stored."""
    for number, cell in enumerate(book.cells):
        cell.id = f"{name}-{number}"
    nbformat.validate(book)
    return nbformat.writes(book).rstrip() + "\n"


@contextmanager
def a_home() -> Iterator[Path]:
    """Make a home for one execution."""
    folder = Path(tempfile.mkdtemp(prefix="page-")).resolve()
    folder.chmod(0o755)  # containers read there
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def store(name: str) -> None:
    """Execute a page and store what it shows."""
    book = read(name)
    fill(book)
    with a_home() as home:
        if name == IN_RIG:
            with a_home() as folder, running(folder) as rig, in_account(rig) as variables:
                execute(name, book, home, variables)
        else:
            execute(name, book, home)
    path_of(name).write_text(as_text(name, book))


if __name__ == "__main__":
    for one in sys.argv[1:] or names():
        store(one)
