"""Where a run's numbers and pictures go while it trains."""

from aecore.loggers.base import RunLogger, recording
from aecore.loggers.mlflow import MLflow
from aecore.loggers.step_csv import StepCSV
from aecore.loggers.tensorboard import TensorBoard
from aecore.loggers.wandb import WandB

__all__ = ["MLflow", "RunLogger", "StepCSV", "TensorBoard", "WandB", "recording"]
