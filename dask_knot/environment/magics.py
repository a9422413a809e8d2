"""What only IPython understands, taken out of a cell: pure.

By rules of our own, not by IPython's transformer: what is found must be the same wherever an image
is built, with IPython or without.
"""

from __future__ import annotations

import re

# fmt: off
#: Cells of other languages, or for other programs.
OTHER_LANGUAGES = frozenset((
    "!", "R", "ai", "bash", "bigquery", "cmd", "configure", "css", "cython", "file", "fortran",
    "html", "javascript", "js", "julia", "latex", "local_sql", "markdown", "octave", "perl",
    "powershell", "pypy", "python2", "ruby", "scala", "script", "sh", "sparksql", "sql", "svg",
    "sx", "system", "writefile", "zsh",
))
# fmt: on
#: Magics whose line is Python, behind their options.
PYTHON = ("time", "timeit", "prun", "memit", "lprun", "mprun", "snakeviz", "pyinstrument")
CELL = re.compile(r"\s*%%(\S+)[ \t]*(.*)\n?")
#: A line that IPython reads: the indentation, what it is assigned to, its sign, and the rest.
LINE = re.compile(r"^([ \t]*)((?:[\w.\[\]'\" ,]+=)?[ \t]*)(%(?=[\w%])|!!?(?!=)|\?{1,2})(.*)$")
#: Behind the sign: options, and a file that runs in the same session.
RUN = re.compile(r"run\s+(?:-\w+\s+)*['\"]?([^\s'\"]+\.(?:py|ipynb|ipy))")
QUESTION = re.compile(r"^([ \t]*)%{0,2}[\w.*\[\]'\"()]+\?{1,2}[ \t]*;?[ \t]*(#.*)?$")
#: What is pasted with the prompts of a Python or IPython session.
PROMPT = re.compile(r"^[ \t]*(>>>|\.\.\.:?|In \[\d+\]:)( |$)", re.MULTILINE)
FIRST_PROMPT = re.compile(r"\s*(>>>|In \[\d+\]:)")


def without_magics(text: str) -> tuple[str, tuple[str, ...]]:
    """Take out of a cell what isn't Python.

    Parameters
    ----------
    text : str
        The cell, as it stands in a notebook.

    Returns
    -------
    tuple of str and tuple of str
        The Python that is left, on the same lines; and the files that ``%run`` lines name.

    >>> without_magics("%%time\\nimport numpy\\n!pip install a \\\\\\n  b\\n%run more.py")[0]
    '\\nimport numpy\\npass\\n\\npass'
    """
    head = CELL.match(text)
    if head is not None and is_other_language(text):
        return "", ()
    first = ""
    if head is not None:
        first = (_python_of(head[2]) if head[1] in PYTHON else "") + "\n"
        text = text[head.end() :]
        if CELL.match(text):  # %%time above %%capture
            more, runs = without_magics(text)
            return first + more, runs
    if FIRST_PROMPT.match(text):
        text = PROMPT.sub("", text)
    lines, named = _lines(text.split("\n"))
    return first + "\n".join(lines), tuple(named)


def is_other_language(cell: str) -> bool:
    """Tell a cell that isn't Python by its magic."""
    head = CELL.match(cell)
    return head is not None and head[1] in OTHER_LANGUAGES


def _lines(lines: list[str]) -> tuple[list[str], list[str]]:
    found: list[str] = []
    runs: list[str] = []
    is_continued = False
    for line in lines:
        if is_continued:
            is_continued = line.rstrip().endswith("\\")
            found.append("")
        elif magic := LINE.match(line):
            indent, target, sign, rest = magic.groups()
            is_continued = line.rstrip().endswith("\\")
            if sign == "%" and (
                run := re.match(r"run\s+(?:-\w+\s+)*(\S+\.(?:py|ipynb|ipy))", rest)
            ):
                runs.append(run[1].strip("'\""))
            found.append(f"{indent}{target}None" if target.strip() else indent + _left(sign, rest))
        else:
            question = QUESTION.match(line)
            found.append(f"{question[1]}pass" if question else line)
    return found, runs


def _left(sign: str, rest: str) -> str:
    """Give the Python that stands behind a magic."""
    name, _, code = rest.partition(" ")
    if sign != "%":
        return "pass"
    if name == "pylab":
        return "import numpy, matplotlib"
    return (_python_of(code) if name.lstrip("%") in PYTHON else "") or "pass"


def _python_of(line: str) -> str:
    """Take the options off the line of a magic."""
    code = re.sub(r"^(?:\s*-{1,2}\w+(?:[ =]?\d+)?(?=\s|$))+\s*", "", line).strip()
    return code if not code.endswith("\\") else ""
