"""A search: Optuna chooses each job of a multirun by what the jobs before it reached.

    sweep.json          what was asked for, the space, the jobs so far: all that `resume` needs
    study.db            Optuna's record of every trial (unless `hydra.sweeper.storage` is given)
    0/ 1/ 2/ ...        the run folders, named by the number of the trial

Importing this package raises UserError where Optuna is not installed.
"""

from __future__ import annotations

from aecore.config.folders import installing
from aecore.errors import UserError

try:
    import optuna
except ImportError as error:
    raise UserError(
        f"hydra/sweeper=optuna: Optuna is not installed\n  {installing('optuna')} brings it"
    ) from error

optuna.logging.set_verbosity(optuna.logging.WARNING)
