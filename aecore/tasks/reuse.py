"""`run=RUN task=...`: what a task is to do with a trained model.

All of it comes from the run but what was really given.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from aecore.config.arguments import Arguments
from aecore.config.choices import OTHER_DATA, split_override
from aecore.config.compose import compose
from aecore.config.folders import command, known
from aecore.errors import UserError, nearest
from aecore.runs.folder import reserve

if TYPE_CHECKING:
    from aecore.runs.open import Run
    from aecore.tasks.base import Request

TEST_NOISE, _OOD = "noise@evaluate.noise", "dataset@evaluate.ood"
_OWN = ("task", "run", "out", "split", "resize", "paths", "logger")  # never the run's
_OURS_ALONE = ("trainer.threads", "trainer/accelerator")
_GROUPS = {  # what may replace a node of the run, by where that node stands
    "dataset": ("dataset",),
    TEST_NOISE: ("evaluate", "noise"),
    "metrics@evaluate.metrics": ("evaluate", "metrics"),
    "figures": ("figures",),
    "sampler": ("sampler",),
    _OOD: ("evaluate", "ood"),
}
BESIDE = ("dataset", "split", "resize", "noise", "evaluate", "figures", "sampler")
_PLACES = ("dataset.root", "dataset.path")  # where data lie: elsewhere, they are others
_KEPT = ("eval_batch_size", "range", "binarise")  # how a model's images are treated


def asked_run(overrides: list[str]) -> str | None:
    """The run that `run=` names, None where it was not given."""
    text = dict(split_override(o) for o in overrides).get("run", "").strip("'\"")
    return None if text in ("", "null") else text


def use_of_run(run: str, arguments: Arguments) -> Request:
    """The request to do something with a trained run; raises UserError before anything is done."""
    if arguments.multirun:
        raise UserError(f"run={run}: one thing is done with one run\n  leave out --multirun")
    given = [_for_task(o) for o in _unaliased(arguments.overrides)]
    direct = [o for o in given if _is_direct(o)]
    groups = {key for o in given if (key := split_override(o)[0]) in _GROUPS}
    groups |= {_OOD for o in given if o.startswith(OTHER_DATA)}
    direct = [o for o in direct if not _within(o, groups)]
    typed = dict(split_override(o) for o in given)
    if "task" not in typed:
        raise UserError(
            f"run={run}: say what to do with it, for example task=evaluate\n"
            f"  `{command()} --help` lists the tasks"
        )
    try:
        job = compose(replace(arguments, overrides=[o for o in given if o not in direct]))
    except UserError as error:
        told = str(error)
        if told.startswith("task."):  # which was typed as score.quantile
            told = f"{typed['task']}{told.removeprefix('task')}"
        if not any(o.startswith("evaluate.noise") for o in arguments.typed):
            told = told.replace("evaluate.noise", "noise")
        raise UserError(told) from error
    from aecore.runs.open import NEWEST, open_run  # torch comes in here
    from aecore.tasks.base import Request

    trained = open_run(run, below=Path(job.config["paths"]["output_dir"]))
    if run == NEWEST:
        print(f"run={NEWEST} is {trained.folder}")
    config = _merged(trained, job.config, groups, given)
    for override in direct:
        _set(config, *split_override(override))
    folder = _folder(trained, config, job.words["task"])
    replaced = frozenset(groups | _replaced(direct))
    if "dataset" in replaced and "dataset.batch_size" not in typed:
        config["dataset"]["batch_size"] = 1  # nothing is trained: there may be very few images
    chosen = job.words if "dataset" in groups else {**job.words, "dataset": _data_of(trained)}
    return Request(
        config, chosen, job.overrides, folder, run=trained, replaced=replaced, beside=_beside(given)
    )


def _beside(given: list[str]) -> dict[str, str]:
    """What a task may have no use for, `split` or `noise` say, with the override that says it.

    How images are read is none of these, nor what says that there be nothing of a kind.
    """
    found = {}
    for override in given:
        key, value = split_override(override)
        root = re.split(r"[.@]", key.lstrip("+"))[0]
        if key == TEST_NOISE or key.startswith("evaluate.noise."):
            root, override = "noise", f"{key.removeprefix('evaluate.').partition('@')[0]}={value}"
        elif key.startswith((OTHER_DATA, "metrics@")):
            root = "evaluate"
            override = "evaluate.ood" if key.startswith(OTHER_DATA) else f"evaluate.metrics={value}"
        elif root == "dataset" and key not in ("dataset", *_PLACES):
            continue
        if root in BESIDE and value not in ("none", "null", "false"):
            found[root] = override
    return found


def _replaced(direct: list[str]) -> set[str]:
    """The groups of which one key alone makes something else: another noise, another place."""
    keys = [split_override(o)[0] for o in direct]
    found = {TEST_NOISE for key in keys if key.startswith("evaluate.noise.")}
    return found | {"dataset" for key in keys if key in _PLACES}


def _data_of(run: Run) -> str | None:
    """The name of the run's data set, None where it is not recorded."""
    name = run.choices.get("dataset")
    return name if isinstance(name, str) and re.fullmatch(r"[\w-]+", name) else None


def _unaliased(overrides: list[str]) -> list[str]:
    """`encode.sample=true` is `task.sample=true` where the task is `encode`."""
    chosen = dict(split_override(o) for o in overrides).get("task", "train")
    names, found = known("task"), []
    for override in overrides:
        root, _, rest = override.partition(".")
        nodes = ("weights", "noise", "metrics", "ood") if root == "evaluate" else ()
        if root not in names or not rest or rest.startswith(nodes):
            found.append(override)
        elif root != chosen:
            raise UserError(f"{override}: this is task={chosen}\n  use task={root}")
        else:
            found.append(f"task.{rest}")
    return found


def _for_task(override: str) -> str:
    """`noise=` is that of the images here; the words of the model are refused."""
    key, value = split_override(override)
    if key == "noise":
        return f"{TEST_NOISE}={value}"
    if key.startswith("noise."):
        return f"evaluate.{override}"
    root = re.split(r"[./@]", key.lstrip("~+"))[0]
    own = root in (*_OWN, "dataset", "evaluate", "figures", "sampler", "hydra")
    if not (own or key in _OURS_ALONE or key in _GROUPS or key.startswith(OTHER_DATA)):
        raise UserError(
            f"{override}: a trained model keeps its own words\n"
            "  beside run= may stand: task, dataset, noise, evaluate, sampler, figures, split, "
            "resize, out\n  and what the task itself takes, as score.quantile=0.95 of task=score"
        )
    if key == "evaluate.weights":
        raise UserError(
            f"{override}: a run is used with the weights that it was measured with\n"
            f"  for others give a checkpoint, run=RUN/checkpoints/{value}.ckpt"
        )
    return override


def _is_direct(override: str) -> bool:
    """Whether it changes one key of what the run recorded."""
    key = split_override(override)[0]
    return key.startswith(("dataset.", "evaluate.", "figures.", "sampler."))


def _within(override: str, groups: set[str]) -> bool:
    """Whether it is about a node that is replaced as a whole."""
    key = split_override(override)[0]
    places = [".".join(_GROUPS[group]) for group in groups]
    return any(key.startswith(f"{place}.") for place in places)


def _merged(run: Run, own: dict[str, Any], groups: set[str], given: list[str]) -> dict[str, Any]:
    """The run's configuration with what was given in its place."""
    config = run.config.model_dump()
    for key in _OWN:
        config[key] = own.get(key)
    for key in ("threads", "accelerator"):
        config["trainer"][key] = own["trainer"][key]
    config["resume"] = config["init_from"] = None
    for group in groups:
        node, source = config, own
        *place, name = _GROUPS[group]
        for part in place:
            node, source = node[part], source[part]
        if group == "dataset":
            channels, *size = run.image_shape
            stays = {k: node[name][k] for k in _KEPT if k in node[name]}
            fits = {"image_size": size, "channels": channels if channels in (1, 3) else "auto"}
            stays |= {k: v for k, v in fits.items() if k in source[name]}
            keys = {split_override(o)[0] for o in given}
            stays = {k: v for k, v in stays.items() if f"dataset.{k}" not in keys}
            node[name] = source[name] | stays
        else:
            node[name] = source[name]
    if "cache_dir" in config["dataset"] and "dataset" not in groups:
        config["dataset"]["cache_dir"] = None  # files are written where this user says alone
    return config


def _set(config: dict[str, Any], key: str, text: str) -> None:
    """Change one key of what the run recorded; UserError where there is no such key."""
    node: Any = config
    *place, name = key.split(".")
    for part in place:
        node = node.get(part, {}) if isinstance(node, dict) else {}
    node = node if isinstance(node, dict) else {}
    if name not in node:
        known = sorted(k for k in node if k != "_target_")
        there = f"known there: {', '.join(known) or 'none'}"
        if key.startswith("evaluate.noise."):
            there = f"say which noise it is of: noise=gaussian noise.{name}={text}"
        if key in _PLACES:
            word = "image_folder" if name == "root" else "arrays"
            there = f"for other images: dataset={word} {key}={text}"
        raise UserError(f"{key}={text}: the run has no such key{nearest(name, known)}\n  {there}")
    try:
        node[name] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"{key}={text}: cannot be read as a value") from error


def _visible(folder: Path) -> Iterator[Path]:
    """What lies in a folder, but for what its system puts there, as .DS_Store."""
    if folder.is_dir():
        yield from (file for file in folder.iterdir() if not file.name.startswith("."))


def _folder(run: Run, config: dict[str, Any], task: str) -> Any:
    """What makes the folder of the results when it is first needed."""
    out = None if config["out"] is None else Path(str(config["out"])).expanduser()
    if out is not None and (out.is_file() or any(_visible(out))):
        what = "is a file" if out.is_file() else "holds something, which would be mixed with this"
        raise UserError(f"out={out}: {what}\n  give a new folder")

    def make() -> Path:
        if out is not None:
            try:
                out.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise UserError(f"out={out}: {error.strerror}\n  give another folder") from error
            return out
        root = run.folder or Path(config["paths"]["output_dir"])
        return reserve(root / task / f"{datetime.now():%Y-%m-%d_%H-%M-%S}")

    return make
