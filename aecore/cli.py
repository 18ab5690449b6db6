"""The command line: from arguments to a task, and from errors to exit statuses.

Kept free of torch until a task really runs, so that help and mistyped words answer at once.

Exit status: 0 done; 1 a fault of ours (with its traceback); 2 wrong input; 3 a loss that was not
finite; 130 interrupted.
"""

from __future__ import annotations

import atexit
import errno
import logging
import os
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from aecore.config.arguments import Arguments, own_folders, parse
from aecore.config.compose import Job, compose
from aecore.config.folders import CONF, resuming, set_own_folders
from aecore.config.help import help_text
from aecore.errors import Interrupted, NonFiniteLoss, UserError
from aecore.sweeps.callbacks import job_callbacks
from aecore.sweeps.resume import recorded_sweep
from aecore.tasks.resume import recorded_run, resumed_folder
from aecore.tasks.reuse import asked_run, use_of_run
from aecore.training.processes import check_alone, is_leader

# what a disk, a path or a permission can do to a run: the user's to mend, not ours
_DISK = {
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM,
    errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG,
}  # fmt: skip
_NO_READER = 141  # as shells tell of SIGPIPE: the status of a command whose reader has gone
_GRID = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"
_SEARCH = "hydra_plugins.aecore_optuna.OptunaSweeper"


def script() -> None:
    """This process is a command: do it, and leave with its exit status.

    What is registered for the exit is done, but the half million objects of torch and Lightning are
    not taken apart one by one, which takes longer than many a task.
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
    """Run the command, that of this process where none is given; returns the exit status."""
    argv = sys.argv[1:] if argv is None else argv
    if "--version" in argv:
        from aecore.version import __version__

        print(f"aecore {__version__}")
        return 0
    _warn_on_stderr()
    folder: list[Path] = []
    try:
        set_own_folders(own_folders(argv))
        if any(a in ("--help", "-h") for a in argv):
            print(help_text(), flush=True)
            return 0
        status = _dispatch(argv, folder)
        sys.stdout.flush()  # while a reader that has gone, as `| head` has, can still be told of
        return status
    except (UserError, NonFiniteLoss) as error:
        return _fail(error, f"error: {error}", error.exit_status)
    except (Interrupted, KeyboardInterrupt) as error:
        mend = f"; continue with: {resuming(folder[0])}" if folder else ""
        return _fail(error, f"interrupted{mend}", Interrupted.exit_status)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing more is written
        return _NO_READER
    except OSError as error:
        if error.errno not in _DISK:
            raise
        where = f"{error.filename}: " if error.filename else ""
        mend = f"\n  continue with: {resuming(folder[0])}" if folder else ""
        return _fail(error, f"error: {where}{error.strerror}{mend}", UserError.exit_status)
    finally:
        set_own_folders(())


def _warn_on_stderr() -> None:
    """Give our own logger its own handler: Hydra takes the root's away in a multirun."""
    log = logging.getLogger("aecore")
    log.setLevel(logging.WARNING if is_leader() else logging.ERROR)  # each warning once
    for old in log.handlers[:]:
        log.removeHandler(old)  # its stream may be closed by now
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("warning: %(message)s"))
    log.addHandler(handler)


def _dispatch(argv: list[str], folder: list[Path]) -> int:
    arguments = parse(argv)
    if arguments.informational:
        return _hydra(arguments)
    interrupted = resumed_folder(arguments.overrides)
    if interrupted is not None:
        recorded = recorded_sweep(interrupted)
        if recorded is not None:
            check_alone()
            folder.append(interrupted)
            return recorded(arguments.overrides)
        request = recorded_run(interrupted, arguments.overrides)
        request = replace(request, callbacks=partial(job_callbacks, interrupted))
    elif (used := asked_run(arguments.overrides)) is not None:
        request = use_of_run(used, arguments)
    else:
        job = compose(arguments)
        if job.multirun:
            check_alone()
            return _multirun(arguments, job, folder)
        request = job.request()
    from aecore.tasks.run import run  # torch comes in here

    run(request, folder)
    return 0


def _multirun(arguments: Arguments, job: Job, folder: list[Path]) -> int:
    from aecore.sweeps.launch import launch

    if job.sweeper == _SEARCH:
        from aecore.sweeps.search.plan import plan
    elif job.sweeper == _GRID:
        from aecore.sweeps.plan import plan
    else:
        raise UserError(
            f"hydra.sweeper._target_={job.sweeper}: no sweeper of this project\n"
            "  known: hydra/sweeper=basic (every combination), hydra/sweeper=optuna (a search)"
        )
    sweep, composed = plan(arguments, job)
    folder.append(sweep.folder)
    return launch(sweep, [], composed)


def _hydra(arguments: Arguments) -> int:
    """Hand over to Hydra's own application, which answers `--cfg`, `--info` and the like."""
    import hydra

    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors reach us as exceptions
    sys.argv = [sys.argv[0], *arguments.argv]
    hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(lambda _: None)()
    return 0


def _fail(error: BaseException, message: str, status: int) -> int:
    if os.environ.get("AECORE_DEBUG") == "1":
        raise error
    lines = ["".join(c if c.isprintable() else " " for c in s) for s in message.splitlines()[:3]]
    print("\n".join(lines), file=sys.stderr)  # a foreign file's text cannot move the cursor
    return status
