"""`run=RUN task=...`: the request of a task with a trained model.

The configuration is that of the run, except for the overrides.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aecore.config.arguments import Arguments
from aecore.config.compose import compose
from aecore.config.folders import builtin_options, command, expanded, groups, resuming
from aecore.config.near import keys
from aecore.config.overrides import OOD, Override
from aecore.config.secret import without_secrets
from aecore.config.terminal import say
from aecore.config.tree import at, put
from aecore.errors import UserError, nearest
from aecore.runs.files import make_folder
from aecore.runs.folder import progress, reserve
from aecore.tasks.base import Request

if TYPE_CHECKING:
    from aecore.runs.open import Run

log = logging.getLogger("aecore")
TEST_NOISE = "evaluate.noise"
_OWN = ("task", "run", "out", "split", "resize", "paths", "logger")  # never the run's
_OURS_ALONE = ("trainer.threads", "trainer.accelerator")
_REPLACED = ("dataset", TEST_NOISE, "evaluate.metrics", "figures", "sampler", OOD)  # as a whole
OPTIONS = ("dataset", "split", "resize", "noise", "evaluate", "figures", "sampler")
_PLACES = ("dataset.root", "dataset.path")  # paths of data: other paths are other data
_KEPT = ("eval_batch_size", "range", "binarise", "columns")  # how a model's data are treated


def use_of_run(run: str, arguments: Arguments) -> Request:
    """The request to do something with a trained run; raises UserError before anything is done."""
    if arguments.multirun:
        raise UserError(f"run={run}: one thing is done with one run", "leave out --multirun")
    several = [o.typed for o in arguments.overrides if o.is_sweep]
    if several:
        raise UserError(f"{several[0]}: several values", "give one")
    if arguments.last("task") is None:
        raise UserError(
            f"run={run}: say what to do with it, for example task=evaluate",
            f"`{command()} --help` lists the tasks",
        )
    overrides = [_of_images(o) for o in arguments.overrides]
    replaced = {node for o in overrides if o.group for node in _REPLACED if o.is_below(node)}
    changes = [o for o in overrides if _changes_record(o, replaced)]
    rest = tuple(o for o in overrides if o not in changes)
    composed = compose(replace(arguments, overrides=rest))
    from aecore.runs.open import NEWEST, open_run  # torch comes in here

    trained = open_run(run, below=Path(composed.config["paths"]["output_dir"]))
    if run == NEWEST:
        say(f"run={NEWEST} is {trained.folder}")
    if trained.folder is not None and (state := progress(trained.folder)) is not None:
        log.warning("%s: %s; %s goes on", trained.folder, state, resuming(trained.folder))
    typed = {o.key for o in overrides}
    config = _merged(trained, composed.config, replaced, typed)
    for override in changes:
        _set(config, override)
    options = _options(overrides)
    if "dataset" in options and "dataset.batch_size" not in typed:
        config["dataset"]["batch_size"] = "auto"  # nothing is trained: there may be very few images
    config, secrets = without_secrets(config, composed.secrets)
    choices = composed.choices
    if "dataset" not in typed:
        choices = {**choices, "dataset": _data_of(trained)}
    return Request(
        config,
        choices,
        composed.overrides,
        _folder(trained, config),
        run=trained,
        secrets=secrets,
        options=options,
    )


def _of_images(override: Override) -> Override:
    """`noise=` is that of the images here; the components of the model are refused."""
    root = override.key.partition(".")[0]
    if root == "noise":
        place = f"evaluate.{override.key}"
        return replace(override, key=place, package=place if override.group else None)
    tasks = builtin_options("task")
    own = root in (*_OWN, "dataset", "evaluate", "figures", "sampler", "hydra", *tasks)
    known = root in {key.partition(".")[0] for key in (*keys(), *groups())}
    if known and not own and override.key not in _OURS_ALONE:  # composing reports unknown ones
        raise UserError(
            f"{override.typed}: a trained model keeps its components",
            "with run= go task, dataset, noise, evaluate, sampler, figures, split, resize, out\n"
            "  and the options of the task, as score.quantile=0.95 of task=score",
        )
    if override.key == "evaluate.weights":
        raise UserError(
            f"{override.typed}: a run is used with the weights that it was measured with",
            f"for others give a checkpoint, run=RUN/checkpoints/{override.text}.ckpt",
        )
    return override


def _changes_record(override: Override, replaced: Collection[str]) -> bool:
    """Whether it changes a key of the recorded configuration, not of a replaced node."""
    return (
        override.group is None
        and override.key.startswith(("dataset.", "evaluate.", "figures.", "sampler."))
        and not any(override.is_below(node) for node in replaced)
    )


def _options(overrides: Iterable[Override]) -> dict[str, str]:
    """What a task may have no use for, `split` or `noise` say, with the override that names it.

    How images are read is none of these, nor what says that there be nothing of a kind.
    """
    options = {}
    for override in overrides:
        key = override.key
        root = "noise" if override.is_below(TEST_NOISE) else key.partition(".")[0]
        if root == "dataset" and key not in ("dataset", *_PLACES):
            continue
        is_option = override.group is not None or "." not in key
        nothing = is_option and override.text in ("none", "null", "false")
        if root in OPTIONS and not nothing:
            options[root] = override.typed
    return options


def _data_of(run: Run) -> str | None:
    """The name of the run's data set, None if it is not recorded."""
    name = run.choices.get("dataset")
    return name if isinstance(name, str) and re.fullmatch(r"[\w-]+", name) else None


def _merged(
    run: Run, own: dict[str, Any], replaced: Iterable[str], typed: Collection[str]
) -> dict[str, Any]:
    """The run's configuration with what replaces parts of it. typed: the keys of the overrides."""
    tasks = {*builtin_options("task")} - {"evaluate"}  # its options are in every run
    config = {key: node for key, node in run.config.model_dump().items() if key not in tasks}
    before = config["dataset"]
    config |= dict.fromkeys(("resume", "init_from", *_OWN))
    config |= {key: node for key, node in own.items() if key in tasks or key in _OWN}
    for key in _OURS_ALONE:
        put(config, key, at(own, key))
    for place in replaced:
        put(config, place, at(own, place) or {})
    if "dataset" in replaced:
        config["dataset"] = own["dataset"] | _as_trained(run, before, own["dataset"], typed)
    recorded = [] if "dataset" in replaced else [config["dataset"]]
    recorded += [] if OOD in replaced else config["evaluate"]["ood"].values()
    for node in recorded:
        if "cache_dir" in node:
            node["cache_dir"] = None  # output paths are never taken from the run
    return config


def _as_trained(
    run: Run, before: dict[str, Any], data: dict[str, Any], typed: Collection[str]
) -> dict[str, Any]:
    """Options of the training data that other images inherit unless overridden."""
    channels, *size = run.image_shape
    stays = {key: before[key] for key in _KEPT if key in before and key in data}
    fits = {"image_size": size, "channels": channels if channels in (1, 3) else "auto"}
    stays |= {key: value for key, value in fits.items() if key in data}
    return {key: value for key, value in stays.items() if f"dataset.{key}" not in typed}


def _set(config: dict[str, Any], override: Override) -> None:
    """Change a key of the recorded configuration; UserError if there is no such key."""
    place, _, name = override.key.rpartition(".")
    node = at(config, place)
    node = node if isinstance(node, dict) else {}
    if name not in node:
        known = sorted(k for k in node if k != "_target_")
        there = f"known there: {', '.join(known) or 'none'}"
        if override.is_below(TEST_NOISE):
            there = f"say which noise it is of: noise=gaussian noise.{name}={override.text}"
        if override.key in _PLACES:
            option = "image_folder" if name == "root" else "arrays"
            there = f"for other images: dataset={option} {override.typed}"
        raise UserError(f"{override.typed}: the run has no such key{nearest(name, known)}", there)
    node[name] = override.value


def _folder(run: Run, config: dict[str, Any]) -> Callable[[], Path]:
    """A function that creates the folder of the results on first use."""
    out = None if config["out"] is None else expanded(str(config["out"]))
    inside = out.iterdir() if out is not None and out.is_dir() else ()
    if out is not None and (out.is_file() or any(not f.name.startswith(".") for f in inside)):
        what = "is a file" if out.is_file() else "holds something, which would be mixed with this"
        raise UserError(f"out={out}: {what}", "give a new folder")

    def make() -> Path:
        if out is not None:
            try:
                return make_folder(out)
            except OSError as error:
                raise UserError(f"out={out}: {error.strerror}", "give another folder") from error
        root = run.folder or Path(config["paths"]["output_dir"])
        return reserve(root / config["task"] / f"{datetime.now():%Y-%m-%d_%H-%M-%S}")

    return make
