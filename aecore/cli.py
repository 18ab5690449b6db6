"""The command line: from arguments to a task, and from errors to exit statuses.

Imports neither torch nor pydantic before a task runs, so that help and mistakes are reported at
once.

Exit status: 0 done; 1 a bug (with its traceback); 2 wrong input; 3 a loss that was not
finite; 128 + n ended by signal n, as 130 for Ctrl-C and 143 for SIGTERM.
"""

from __future__ import annotations

import atexit
import errno
import io
import logging
import os
import shlex
import signal
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.utils import env_override

from aecore.config.arguments import Arguments, named_folders, parse
from aecore.config.compose import Composition, compose, composing
from aecore.config.folders import CONF, command, flags, resuming, set_user_folders
from aecore.config.groups import check_choices, environment_of, options_by_group
from aecore.config.option_help import help_of
from aecore.config.overrides import quoted, read
from aecore.config.terminal import say, warn_on_stderr
from aecore.errors import Interrupted, NonFiniteError, UserError
from aecore.runs.places import is_place
from aecore.training.processes import check_alone, is_leader
from aecore.training.signals import listening

if TYPE_CHECKING:
    from aecore.tasks.base import Request

# errors of disks, paths and permissions: not a bug of this program
_DISK = {
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM,
    errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.EFBIG, errno.ENOENT,
}  # fmt: skip
_NO_READER = 141  # as shells tell of SIGPIPE: the status of a command whose reader has gone
_GRID, _SEARCH = "basic", "optuna"  # options of hydra/sweeper


def script() -> None:
    """Run the command of this process, and exit with its status.

    Exit handlers run, but the many objects of torch and Lightning are not deallocated, which would
    take longer than many tasks.
    """
    status: int | None = None  # as long as it is not known, Python ends as it does

    def leave() -> None:
        if status is None or sys.gettrace() is not None:  # a debugger has an end of its own
            return
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:  # closed by who started this
                stream.flush()
        os._exit(status)

    atexit.register(leave)  # first of all, so it is called last
    status = main()
    sys.exit(status)


def main(argv: list[str] | None = None) -> int:
    """Run a command, by default that of this process; returns the exit status."""
    argv = sys.argv[1:] if argv is None else argv
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller: no other file may take its number
            setattr(sys, name, open(os.devnull, "r+"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the terminal cannot show is no error
            stream.reconfigure(errors="backslashreplace")
    threading.excepthook, sys.unraisablehook = _in_thread, _ignored
    with listening():
        return _main(argv)


def _ignored(args: sys.UnraisableHookArgs) -> None:
    """Leave a signal that came within a `__del__` to where signals are asked for."""
    if not isinstance(args.exc_value, Interrupted):
        sys.__unraisablehook__(args)


def _in_thread(args: threading.ExceptHookArgs) -> None:
    """Leave a full disk or a lost folder to the main thread, which the writer of events tells."""
    if not isinstance(args.exc_value, OSError):
        threading.__excepthook__(args)


def _main(argv: list[str]) -> int:
    folder: list[Path] = []
    try:
        # each warning once
        warn_on_stderr(logging.WARNING if is_leader() else logging.ERROR)
        status = _run(argv, folder)
        sys.stdout.flush()  # while a closed pipe, as of `| head`, can still be reported
        return status
    except UserError as error:
        return _fail(error, f"error: {error}", error.exit_status)
    except NonFiniteError as error:
        message = f"error: {error}\n  the last good checkpoint is kept"
        return _fail(error, message, error.exit_status)
    except KeyboardInterrupt as error:
        ended = error if isinstance(error, Interrupted) else Interrupted()
        return _fail(ended, _interruption(ended, argv, folder), ended.exit_status)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing more is written
        return _NO_READER
    except OSError as error:
        if error.errno not in _DISK:
            raise
        where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        hint = f"\n  continue with: {_resuming(argv, folder[0])}" if folder else ""
        return _fail(error, f"error: {where}{error.strerror}{hint}", UserError.exit_status)
    finally:
        set_user_folders(())


def _run(argv: list[str], folder: list[Path]) -> int:
    """Run the arguments; the folder of the run or sweep is appended to `folder` when known."""
    if "--version" in argv:
        from aecore.version import __version__

        say(f"aecore {__version__}")
        return 0
    set_user_folders(named_folders(argv))
    if "--help" in argv or "-h" in argv:
        say(help_of(argv))
        return 0
    arguments = parse(argv)
    if arguments.informational:
        return _hydra(arguments)
    arguments = _with_last(arguments)
    if (interrupted := arguments.path("resume")) is not None:
        return _resume(interrupted, arguments, folder)
    if (used := arguments.path("run")) is not None:
        from aecore.tasks.reuse import use_of_run

        request = use_of_run(str(used), arguments)
        with env_override(environment_of(arguments.overrides)):
            return _task(request, [])  # whose folder has results, and nothing that could go on
    composition = compose(arguments)
    _check_optimized(composition)
    with env_override(environment_of(arguments.overrides)):
        if composition.multirun:
            return _multirun(arguments, composition, folder)
        from aecore.tasks.base import request_of

        request = request_of(composition)
        if request.config["task"] == "train" and is_leader():
            say(f"loading {request.choices['model']} on {request.choices['dataset']} ...")
        return _task(request, folder)


def _with_last(arguments: Arguments) -> Arguments:
    """The same with `last` of `resume` and `init_from` as the folder of the newest run.

    What is resumed is its sweep, where it belongs to one.
    """
    place = arguments.path("paths.output_dir") or Path("outputs")
    overrides = []
    for override in arguments.overrides:
        if override.key in ("resume", "init_from") and override.value == "last":
            from aecore.runs.folder import newest
            from aecore.runs.sweep import sweep_of
            from aecore.runs.sweep_record import RECORD

            file = "config.yaml" if override.key == "resume" else "checkpoints/last.ckpt"
            folder = newest(place, file)
            if folder is None:
                raise UserError(f"{override.typed}: no such run below {place}")
            if override.key == "resume" and (sweep_of(folder) / RECORD).is_file():
                folder = sweep_of(folder)
            say(f"{override.typed} is {folder}")
            (override,) = read([f"{override.key}={quoted(str(folder))}"])
        overrides.append(override)
    return replace(arguments, overrides=tuple(overrides))


def _hydra(arguments: Arguments) -> int:
    """Call Hydra's application, for `--cfg`, `--info` and similar flags."""
    import hydra

    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors reach us as exceptions
    sys.argv = [sys.argv[0], *arguments.argv]
    check_choices(arguments.overrides, options_by_group(arguments.config_dirs))
    with composing(arguments, arguments.overrides):
        hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(
            lambda _: None
        )()
    return 0


def _resume(interrupted: Path, arguments: Arguments, folder: list[Path]) -> int:
    from aecore.sweeps.callbacks import job_callbacks
    from aecore.sweeps.resume import recorded_sweep
    from aecore.tasks.resume import recorded_run

    sweep = recorded_sweep(interrupted, arguments.overrides)
    if sweep is None:
        request = recorded_run(interrupted, arguments.overrides)
        callbacks = partial(job_callbacks, interrupted, arguments.overrides)
        return _task(replace(request, callbacks=callbacks), folder)
    check_alone()
    folder.append(interrupted)
    return sweep()


def _task(request: Request, folder: list[Path]) -> int:
    from aecore.tasks.run import run

    run(request, folder)
    return 0


def _multirun(arguments: Arguments, composition: Composition, folder: list[Path]) -> int:
    from aecore.sweeps.launch import launch

    check_alone()
    if composition.config["dry_run"]:
        from aecore.sweeps.dry_run import dry_run

        return dry_run(arguments, composition)
    if composition.sweeper == _SEARCH:
        from aecore.sweeps.search.extra import check_optuna

        check_optuna()
        from aecore.sweeps.search.plan import plan_search as plan
    elif composition.sweeper == _GRID:
        from aecore.sweeps.plan import plan_grid as plan
    else:
        raise UserError(
            f"hydra/sweeper={composition.sweeper}: no sweeper of this project",
            "known: hydra/sweeper=basic (every combination), hydra/sweeper=optuna (a search)",
        )
    sweep, selections = plan(arguments, composition)
    folder.append(sweep.folder)
    return launch(sweep, [], selections)


def _check_optimized(composition: Composition) -> None:
    """Raise UserError for a metric to optimize where nothing is searched."""
    searches = composition.multirun and composition.sweeper == _SEARCH
    if "optimized_metric" in composition.overridden and not searches:
        raise UserError(
            "optimized_metric: only a search has a use for it", "add -m hydra/sweeper=optuna"
        )


def _resuming(argv: list[str], folder: Path) -> str:
    """The command that continues this one, with the places that it asks for again."""
    overrides = read(arg for arg in argv if "=" in arg and not arg.startswith("-"))
    places = [o.typed for o in overrides if is_place(o.key) and o.key != "paths.output_dir"]
    return " ".join([resuming(folder), *map(shlex.quote, places)])


def _interruption(error: Interrupted, argv: list[str], folder: list[Path]) -> str:
    """How a command that a signal has ended goes on, and how what was trained is used as it is."""
    name = "" if error.signum == signal.SIGINT else f" by {signal.Signals(error.signum).name}"
    if not folder:
        return f"interrupted{name}"
    message = f"interrupted{name}; continue with: {_resuming(argv, folder[0])}"
    if (folder[0] / "checkpoints" / "last.ckpt").is_file():
        ending = shlex.join([*flags(), f"run={folder[0]}", "task=evaluate"])
        message += f"\n  or evaluate it as it is: {command()} {ending}"
    return message


def _fail(error: BaseException, message: str, status: int) -> int:
    if os.environ.get("AECORE_DEBUG") == "1":
        raise error
    with suppress(OSError):  # the terminal may be gone
        say("\n".join(message.splitlines()[:3]), error=True)
    return status
