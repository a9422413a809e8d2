"""The life of a child of the fork server, from the fork to the exit code."""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import runpy
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from dask_knot.local import warmth
from dask_knot.local.origins import ElsewhereFinder

#: The variable with the memory of a job in MiB, which it can't see otherwise; no configuration.
MEMORY_LIMIT = "DASK_KNOT_JOB_MEMORY"
NOT_FOUND = 127
NOT_EXECUTABLE = 126
INTERRUPTED = 130
_PYTHONS = frozenset({"python", "python3", sys.executable})
_PR_SET_PDEATHSIG = 1
#: What Python looks up once in a process, and another process may find to be different.
_FORGOTTEN = (("tempfile", "tempdir"), ("uuid", "_node"), ("uuid", "_last_timestamp"))


@dataclass(frozen=True, slots=True)
class Inheritance:
    """All that a child has from the server.

    Attributes
    ----------
    server
        The server's process id.
    lessons
        The pipe for the names of modules that the server should import.
    lifeline
        A pipe that ends when the server does.
    closing
        Descriptors that are the server's business only.
    environ
        The server's variables when it started: modules may have set others since.
    """

    server: int
    lessons: int
    lifeline: int
    closing: tuple[int, ...]
    environ: Mapping[str, str]


def load_prctl() -> Callable[..., int] | None:
    """Return Linux's ``prctl``; loaded in the server once rather than in each child."""
    if sys.platform != "linux":
        return None
    prctl: Callable[..., int] = ctypes.CDLL(None).prctl
    return prctl


_prctl = load_prctl()


def run_child(request: Mapping[str, Any], inherited: Inheritance) -> NoReturn:
    """Be the process that the request describes; never returns."""
    try:
        detach(inherited)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    become(request, inherited)


def become(request: Mapping[str, Any], inherited: Inheritance) -> NoReturn:
    """Turn from a process of its own into that which the request describes; never returns."""
    code = 1
    try:
        _redirect(request["log"])
        _enter(request, inherited.environ)
        command = request["command"]
        if _is_module_run(command):
            code = _run_module(command[2], command[3:], inherited.lessons)
        else:
            code = _execute(command)
    except BaseException:
        traceback.print_exc()
    finally:
        _flush()
        os._exit(code)


def detach(inherited: Inheritance) -> None:
    """Be a process of its own, which ends with the server."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.set_wakeup_fd(-1)
    for descriptor in inherited.closing:
        os.close(descriptor)
    _tie_to_server(inherited)


def _tie_to_server(inherited: Inheritance) -> None:
    """Make sure that this process does not outlive the server."""
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        threading.Thread(target=_die_with, args=(inherited.lifeline,), daemon=True).start()
    # The server may have ended before that took effect.
    if os.getppid() != inherited.server:
        os._exit(128 + signal.SIGKILL)


def _die_with(lifeline: int) -> None:
    os.read(lifeline, 1)
    os.killpg(0, signal.SIGKILL)


def _redirect(log: str) -> None:
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError:  # its disk is full at the moment, say: no job fails for want of a log
        descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    # What a task prints must be in the log even if the task is killed right afterwards.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]


def practise_entry(inherited: Inheritance) -> None:
    """Enter what is there already, which changes nothing but has the pages for it copied."""
    here = {"environ": dict(os.environ), "path": [*sys.path], "cwd": os.getcwd()}
    _enter(here, inherited.environ)


def _enter(request: Mapping[str, Any], before: Mapping[str, str]) -> None:
    given: Mapping[str, str] = request["environ"]
    changed = _config_variables(os.environ) != _config_variables(given)
    # What modules have set while they were imported, they would set here.
    added = {
        name: value
        for name, value in os.environ.items()
        if value != before.get(name) == given.get(name)
    }
    os.environ.clear()
    os.environ.update({**given, **added})
    sys.path[:] = request["path"]
    sys.meta_path[:] = [one for one in sys.meta_path if not isinstance(one, ElsewhereFinder)]
    os.chdir(request["cwd"])
    _renew(changed)


def _config_variables(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environment.items()
        if name.startswith("DASK_") and name != MEMORY_LIMIT
    }


def _renew(config_changed: bool) -> None:
    """Renew what modules made when they were imported, and which no two processes may share."""
    random = sys.modules.get("numpy.random")
    if random is not None:
        # Else all children would draw the same numbers.
        random.seed()
    processes = sys.modules.get("multiprocessing.process")
    if processes is not None:
        # Else all children would have one secret, and start processes in the server's folder.
        current: Any = processes.current_process()
        current.authkey = os.urandom(32)
        processes.ORIGINAL_DIR = os.getcwd()  # type: ignore[attr-defined]
    if "distributed.client" in sys.modules:
        from dask_knot.internals import renew_futures  # it imports all of Dask

        renew_futures()
    for name, attribute in _FORGOTTEN:
        if name in sys.modules:
            setattr(sys.modules[name], attribute, None)
    config = sys.modules.get("dask.config")
    if config is not None and config_changed:
        config.refresh()
    gc.enable()


def _is_module_run(command: Sequence[str]) -> bool:
    return len(command) > 2 and command[0] in _PYTHONS and command[1] == "-m"


def _run_module(module: str, arguments: Sequence[str], lessons: int) -> int:
    known = len(sys.modules)
    sys.argv = [module, *arguments]
    # The program itself may be one of the modules that the server has imported in advance.
    warnings.filterwarnings("ignore", ".*found in sys.modules", RuntimeWarning)
    code = _exit_code_of(lambda: runpy.run_module(module, run_name="__main__", alter_sys=True))
    warmth.report(lessons, warmth.new_installed_modules(known))
    return max(code, _exit_code_of(_run_exit_functions))


def _run_exit_functions() -> None:
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()


def _exit_code_of(function: Callable[[], object]) -> int:
    """Call a function and return what Python's own exit code would be."""
    try:
        function()
    except SystemExit as error:
        return _exit_code(error)
    except KeyboardInterrupt:
        traceback.print_exc()
        return INTERRUPTED
    except BaseException as error:
        _print_traceback(error)
        return 1
    return 0


def _exit_code(error: SystemExit) -> int:
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code & 0xFF
    print(error.code, file=sys.stderr)  # noqa: T201
    return 1


def _print_traceback(error: BaseException) -> None:
    """Print the traceback as ``python -m`` would: without the frames of this file."""
    frame = error.__traceback__
    while frame is not None and frame.tb_frame.f_code.co_filename == __file__:
        frame = frame.tb_next
    sys.excepthook(type(error), error.with_traceback(frame), frame)


def _execute(command: Sequence[str]) -> int:
    program = sys.executable if command[0] in _PYTHONS else command[0]
    # Python ignores it, and what is ignored stays so in the program that takes our place.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execvpe(program, [program, *command[1:]], os.environ)
    except FileNotFoundError as error:
        print(f"{program}: command not found ({error})", file=sys.stderr)  # noqa: T201
        return NOT_FOUND
    except OSError as error:
        print(f"{program}: can't be executed ({error})", file=sys.stderr)  # noqa: T201
        return NOT_EXECUTABLE


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # a task may have put anything there, or None
            continue
