"""Which key or option was meant: a wrong one is compared with all that there are."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from functools import cache

import yaml

from aecore.config.folders import CONF, builtin_options, groups
from aecore.config.tree import leaves
from aecore.errors import normal, option

_GUESSES = {  # names that other programs use
    "dataset": ("data",),
    "evaluate.metrics": ("metric", "metrics"),
    "dataset.batch_size": ("batch", "batchsize", "bs"),
    "latent.dim": ("codesize", "latentdim", "latentsize", "numlatents", "zdim", "zsize"),
    "network.hidden": ("hidden", "hiddendim", "hiddensize", "layers"),
    "noise.std": ("sigma",),
    "optimizer.lr": ("learningrate", "lr"),
    "paths.data_dir": ("datadir",),
    "paths.output_dir": ("outdir", "outputdir"),
    "penalty.kl.weight": ("beta", "klweight", "lambda"),
    "reconstruction": ("loss",),
    "seed": ("randomseed",),
    "trainer.accelerator": ("cuda", "device", "gpu"),
    "trainer.accumulate": ("accumulategradbatches", "gradientaccumulation"),
    "trainer.warmup": ("lrwarmup", "optimizerwarmup", "schedulerwarmup", "warmupepochs"),
    "trainer.devices": ("gpus",),
    "trainer.early_stopping.patience": ("patience",),
    "trainer.max_epochs": ("epochs", "maxsteps", "nepochs", "numepochs"),
}
_VALUES = {"trainer.accelerator": {"cuda": "gpu", "true": "gpu", "1": "gpu"}}
_SPELLINGS = {  # of options, by their group
    "model": {"cae": "contractive", "dae": "denoising", "sae": "sparse"},
    "reconstruction": {
        "bce": "bernoulli",
        "crossentropy": "bernoulli",
        "l2": "mse",
        "lpips": "perceptual",
        "mae": "l1",
    },
    "noise": {"bernoulli": "dropout", "mask": "dropout", "masking": "dropout"},
    "optimizer": {
        "adamwithweightdecay": "adamw",
        **{
            name.lower(): f"torch optimizer.name={name}"
            for name in ("Adadelta", "Adafactor", "Adagrad", "Adamax", "NAdam", "RAdam", "RMSprop")
        },
    },
    "network": {"cnn": "conv", "fc": "mlp", "dense": "mlp"},
    "latent": {"normal": "gaussian", "vae": "gaussian"},
    "evaluate/metrics": {"fid": "inception", "is": "inception", "mig": "disentanglement"},
    "task": {
        "test": "evaluate",
        "eval": "evaluate",
        "predict": "reconstruct",
        "generate": "sample",
        "embed": "encode",
        "plot": "compare",
        "detect": "score",
    },
    "dataset": {"fashion": "fashion_mnist", "cifar": "cifar10", "folder": "image_folder"},
}
_NUMBERS = {  # what a number is that is given for an option
    "latent": "latent.dim={}",
    "network": "network.hidden=[{}]",
    "noise": "noise=gaussian noise.std={}",
    "optimizer": "optimizer.lr={}",
    "penalty": "penalty=l1 penalty.l1.weight={}",
}
_UNIQUE = 3  # keys of the same last part that are all named
_FILES = ("experiment", "model", "sweeps")  # groups whose files choose other options


@cache
def keys() -> dict[str, tuple[str, str] | None]:
    """Every key of the configuration; with it a group and option that have it, None for all."""
    owners: dict[str, tuple[str, str] | None] = {}
    for group in groups():
        if group in _FILES:
            continue
        for name, file in builtin_options(group).items():
            text = file.read_text("utf-8")
            if group == "task":  # `score.quantile`, which is there with any task
                owners |= dict.fromkeys(_keys_in(text))
            elif "@package" not in text:
                owners |= dict.fromkeys(_keys_of(group, name), (group, name))
    return owners | dict.fromkeys(_keys_in((CONF / "config.yaml").read_text("utf-8")))


def keys_below(node: str) -> list[str]:
    """The keys below a node of the configuration, with dots."""
    return sorted(key for key in keys() if key.startswith(f"{node}."))


def _keys_in(text: str, place: str = "") -> Iterator[str]:
    """The keys in a YAML file, whose own key is `place`."""
    for key, _ in leaves(yaml.safe_load(text) or {}, place):
        if not key.endswith(("defaults", "_target_")) and not key.startswith("hydra."):
            yield key


def meant(key: str, text: str) -> str | None:
    """The override that was meant by a wrong key, `optimizer.lr=0.1` by `lr=0.1`; None if unknown.

    text: its value in Hydra's grammar.
    """
    if (sure := surely_meant(key, text)) is not None:
        return sure
    name, known = key.rpartition(".")[2], keys()
    if (owner := known.get(key)) is not None:
        candidates = [f"{owner[0]}={other} {key}={text}" for other in _owners(owner[0], key)]
    else:
        root = key.partition(".")[0]
        if root in builtin_options("task"):
            return None
        inside = {k for k in known if k.partition(".")[0] == root}
        same = sorted(k for k in inside or known if normal(k.rpartition(".")[2]) == normal(name))
        parts = {k.rpartition(".")[2] for k in inside or known}
        close = difflib.get_close_matches(name, parts, n=1, cutoff=0.8)
        near = sorted(k for k in inside or known if k.rpartition(".")[2] in close)
        candidates = [_with_option(k, text) for k in same or near]
        whole = [] if same or "." in key else difflib.get_close_matches(key, groups(), 1, 0.8)
        candidates = [f"{group}={text}" for group in whole] or candidates
    return " or ".join(candidates) if 1 <= len(candidates) <= _UNIQUE else None


def surely_meant(key: str, text: str) -> str | None:
    """What was meant by a name that other programs use, or that a key outside the groups has."""
    known, name, root = keys(), normal(key.rpartition(".")[2]), key.partition(".")[0]
    if key in known:
        return None
    whole = [there for there, names in _GUESSES.items() if normal(key) in names]
    part = [there for there, names in _GUESSES.items() if name in names]
    near = [there for there in part if root in (there.partition(".")[0], "trainer")]
    guess = next(iter(whole + near), None)
    if guess is None:
        return f"{name}={text}" if name in known else None  # of all parts, as `seed`
    group, name = guess.replace(".", "/"), text.strip("[]")
    unknown = group in groups() and name not in builtin_options(group)
    other = spelling(group, name) if unknown else None
    return other or _with_option(guess, _VALUES.get(guess, {}).get(text.lower(), text))


def _with_option(key: str, text: str) -> str:
    """An override, with the choice that it needs where only one option has the key."""
    owner = keys().get(key)
    if owner is None:
        return f"{key}={text}"
    group, name = owner
    needed = len(_owners(group, key)) == 1 and name != "default"
    return f"{group}={name} {key}={text}" if needed else f"{key}={text}"


def _owners(group: str, key: str) -> list[str]:
    """The options of a group that have a key."""
    return [name for name in builtin_options(group) if key in _keys_of(group, name)]


@cache
def _keys_of(group: str, name: str) -> frozenset[str]:
    text = builtin_options(group)[name].read_text("utf-8")
    return frozenset(_keys_in(text, group.replace("/", ".")))


def spelling(group: str, name: str) -> str | None:
    """The override that was meant by an option that a group has not; None if unknown.

    The same option in another spelling, as `VQ-VAE`, that name in another group, or a number.
    """
    if group in _NUMBERS and name.replace(".", "", 1).isdigit():
        return _NUMBERS[group].format(name)
    other = _SPELLINGS.get(group, {}).get(normal(name))
    same = [known for known in builtin_options(group) if normal(known) == normal(name)]
    if other or same:
        return option(group, other or same[0])
    return _elsewhere(name, (where for where in groups() if where not in _FILES)) or _elsewhere(
        name, ["model"]
    )


def _elsewhere(name: str, where: Iterable[str]) -> str | None:
    """The option of that name in one of these groups; None if there are none or several."""
    candidates = [
        option(group, known)
        for group in where
        for known in builtin_options(group)
        if normal(known) == normal(name) and known not in ("default", "none")
    ]
    return candidates[0] if len(candidates) == 1 else None
