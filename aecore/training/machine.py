"""Device, threads and processes of a run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from aecore.config.schema import Config
from aecore.errors import ConfigError, short
from aecore.training.processes import check_processes

_ASK_NVML = "PYTORCH_NVML_BASED_CUDA_CHECK"
_DEFAULT_THREADS = torch.get_num_threads()  # before any run sets them


def set_up_machine(config: Config) -> None:
    """Check device and processes, and set the number of threads, which the config then holds.

    Raises UserError where this machine or the way it was started does not fit the config.
    """
    options = config.trainer
    check_device(config)
    check_processes(options.devices, options.num_nodes)
    options.threads = set_threads(options.threads, options.devices)


def set_threads(threads: int | str, processes: int = 1) -> int:
    """Set and return the number of threads of this process.

    'auto': OMP_NUM_THREADS where set, else SLURM_CPUS_PER_TASK where set, else the cores (those
    that Slurm gives), shared by the processes of a training over several devices.
    """
    if isinstance(threads, str):
        cores = min(_DEFAULT_THREADS, _variable("SLURM_CPUS_ON_NODE") or _DEFAULT_THREADS)
        wanted = _variable("OMP_NUM_THREADS") or _variable("SLURM_CPUS_PER_TASK")
        threads = wanted or max(cores // processes, 1)
    torch.set_num_threads(threads)
    if processes > 1:
        os.environ["OMP_NUM_THREADS"] = str(threads)  # else Lightning would set them again
    return threads


@contextmanager
def cuda_checked_by_torch() -> Iterator[None]:
    """Undo a choice of Lightning's: torch asks NVML whether there is a GPU.

    Optimizers ask in every step, and NVML's library is loaded anew each time, which takes 0.3 ms.
    """
    nvml = os.environ.pop(_ASK_NVML, None)
    try:
        yield
    finally:
        if nvml is not None:
            os.environ[_ASK_NVML] = nvml


def _variable(name: str) -> int | None:
    """A positive integer in an environment variable, None where there is none."""
    text = os.environ.get(name, "")
    return int(text) if text.isdigit() and int(text) > 0 else None


def check_device(config: Config) -> None:
    """Raise ConfigError where the accelerator is missing."""
    options = config.trainer
    name = options.accelerator
    if name == "gpu" and not torch.cuda.is_available():
        missing = "no CUDA GPU is visible to torch"
    elif name == "mps" and not torch.backends.mps.is_available():
        missing = "no Apple GPU is visible to torch"
    elif options.devices * options.num_nodes > 1 and options.strategy != "ddp":
        problem = "several devices need a strategy"
        raise ConfigError("trainer.devices", options.devices, problem, {"trainer": "ddp"})
    elif name == "gpu" and options.devices > torch.cuda.device_count():
        missing = f"trainer.devices={options.devices} but {torch.cuda.device_count()} found"
    else:
        return
    key = "trainer.accelerator"
    raise ConfigError(key, name, missing, {key: f"auto or {key}=cpu"})


def device_of(config: Config) -> torch.device:
    """The device on which a model is evaluated: the CPU where the accelerator is missing."""
    return _first(config.trainer.accelerator)


def device_named(name: str) -> torch.device:
    """The device of that name; "auto" is the first GPU, else the CPU."""
    hint = {"device": "'auto' or 'cpu'"}
    if not isinstance(name, str | torch.device):
        raise ConfigError("device", short(name), "must be a name", hint)
    if name == "auto":
        return _first(name)
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ConfigError("device", name, "torch cannot use it here", hint) from error
    return device


def _first(accelerator: str) -> torch.device:
    """The first device of that kind ("auto": of any) which is here, else the CPU."""
    if accelerator in ("auto", "gpu") and torch.cuda.is_available():
        return torch.device("cuda")
    if accelerator in ("auto", "mps") and torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")
