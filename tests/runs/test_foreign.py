"""A run folder that came from anywhere: it runs nothing, takes no memory, and is refused."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import aecore
from aecore.errors import UserError
from helpers.foreign_runs import (
    LAST,
    SAMPLER,
    configured,
    copied,
    cut,
    pickled,
    recorded,
    repacked,
    saved,
    saying,
    sparing,
    trained,
    valued,
    written,
)

Tamper = Callable[[Path], None]
HUGE, WIDE = 10**12, 20_000


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("own") / "run", "sampler=gaussian")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refused(place: Path) -> str:
    """How it is refused: in few plain lines that name it, and without taking memory."""
    with sparing(100), pytest.raises(UserError) as error:
        aecore.load(place, device="cpu")
    text = str(error.value)
    assert len(text.splitlines()) <= 3
    assert text.replace("\n", "").isprintable()
    assert place.name in text
    return text


TARGETS = [
    "os.system", "subprocess.Popen", "builtins.eval", "torch.load",
    "aecore.runs.folder.shutil.copy",
    "aecore.data.sources.image_folder.chain", "aecore.data.images.files.os.system",
    "aecore.model.networks.base.Network",
    "aecore.model.networks..MLP", "aecore.model.networks.mlp.__loader__", "", "\x1b[31m\n\n\nx.y",
    ["os.system"],
]  # fmt: skip


@pytest.mark.parametrize("target", TARGETS, ids=repr)
def test_what_is_no_word_is_not_made(run: Path, tmp_path: Path, target: Any) -> None:
    word = {"_target_": target, "args": ["touch", "evil"], "command": "touch evil"}
    place = copied(run, tmp_path / "foreign", configured(lambda c: c.update(network=word)))
    refused(place)
    assert not Path("evil").exists()


@pytest.mark.parametrize("target", ["os.system", "\x1b[31m\n\n\nx.y", ["os.system"], None])
def test_wherever_it_stands(run: Path, tmp_path: Path, target: Any) -> None:
    deep = {"steps": [{"more": {"_target_": target}}]}
    place = copied(run, tmp_path / "foreign", configured(lambda c: c["optimizer"].update(deep)))
    assert "optimizer.steps.0.more._target_" in refused(place)


NUMBERS: dict[str, Tamper] = {
    "text that would be replaced": valued("latent", "dim", "${oc.env:HOME}"),
    "a code": valued("latent", "dim", HUGE),
    "more than a machine's number": valued("latent", "dim", 10**30),
    "a layer": valued("network", "hidden", [10**7]),
    "a layer whose numbers cannot be counted": valued("network", "hidden", [2**62, 2**62]),
    "layers": valued("network", "hidden", [1] * 1000),
    "blocks": saying(
        "network", "aecore.model.networks.resnet.ResNet", channels=[4], blocks=10**9, kernel_size=3,
        activation=None, output_activation=None, bias=True, groups=None,
    ),
    "groups": saying(
        "network", "aecore.model.networks.resnet.ResNet", channels=[4], blocks=1, kernel_size=3,
        activation=None, output_activation=None, bias=True, groups=HUGE,
    ),
    "channels": saying(
        "network", "aecore.model.networks.conv.Conv", channels=[10**9], kernel_size=3,
        down="stride",
        activation=None, output_activation=None, bias=True, norm=None, dropout=0.0, ceil_mode=True,
    ),
    "a flow's masks": saying(
        "latent", "aecore.model.latents.flow.FlowLatent", dim=2, transforms=1, hidden=[5000,
        100_000], context=2
    ),
    "a flow's steps": saying(
        "latent", "aecore.model.latents.flow.FlowLatent", dim=2, transforms=HUGE, hidden=[2],
        context=2
    ),
    "a flow's numbers": saying(
        "prior", "aecore.model.priors.flow.FlowPrior", kind="spline", transforms=1, hidden=[2**40]
    ),
    "the most active": saying(
        "latent", "aecore.model.latents.topk.TopK", dim=10**8, k=2, alpha=1.0, restart_weight=0.0,
        patience=1
    ),
    "a codebook": saying(
        "latent", "aecore.model.latents.vq.VQ", codebook_size=10**7, dim=16, tokens=1,
        commitment=0.25, update="ema", decay=0.9, restart_below=0.0,
    ),
    "many codebooks": saying(
        "latent", "aecore.model.latents.residual_vq.ResidualVQ", levels=HUGE, codebook_size=2,
        dim=1, tokens=1, commitment=0.25, update="ema", decay=0.9, restart_below=0.0,
    ),
    "levels": saying("latent", "aecore.model.latents.fsq.FSQ", levels=[9] * 1000, tokens=1),
    "a mixture": saying("prior", "aecore.model.priors.mixture.Mixture", components=HUGE),
    "pseudo-inputs": saying("prior", "aecore.model.priors.vamp.Vamp", components=10**9,
    start="data"),
    "colours": valued("latent", "dim", "\x1b[31m\n\n\n\n"),
    "a chain": saying("noise", "aecore.model.noise.noises.Chain", steps=[{}]),
    "a chain of numbers": saying("noise", "aecore.model.noise.noises.Chain", steps=[[5], None]),
    "a seed": configured(lambda c: c.update(seed=2**63)),
    "a penalty": configured(lambda c: c["penalty"].update(train=c["penalty"]["kl"])),
    "a penalty that is none": configured(lambda c: c["penalty"].update(kl=3)),
    "no words": configured(lambda c: c.update(evaluate=["best"])),
    "classes": configured(lambda c: c.update(conditional=True)),
    "statistics": valued("dataset", "range", "standardised"),
    "an unknown key": configured(lambda c: c.update(more=1)),
}  # fmt: skip


@pytest.mark.parametrize("tamper", NUMBERS.values(), ids=NUMBERS)
def test_models_that_the_weights_are_not_of(run: Path, tmp_path: Path, tamper: Tamper) -> None:
    refused(copied(run, tmp_path / "foreign", tamper))


def laughs(how: str) -> str:
    """A dozen lines of YAML that stand for more than any memory holds."""
    lines = ["a0: &a0 {x: 1}"]
    for n in range(1, 12):
        lines.append(f"a{n}: &a{n} " + how.replace("_", ", ".join(9 * [f"*a{n - 1}"])))
    return "\n".join(lines)


FILES: dict[str, Tamper] = {
    "aliases": written("config.yaml", laughs("[_]")),
    "merged aliases": written("config.yaml", laughs("{<<: [_]}")),
    "depth": written("config.yaml", "a: " + "[" * 1000),
    "balanced depth": written("config.yaml", "a: " + "[" * 60 + "]" * 60),
    "length": written("config.yaml", "a: 1\n" + "# \n" * 10**6),
    "a long number": written("config.yaml", f"a: {'9' * 5000}"),
    "a date that is none": written("config.yaml", "a: 2020-13-45"),
    "a date": written("config.yaml", "a: 2020-12-24"),
    "an object": written("config.yaml", "!!python/object/apply:os.system [touch evil]"),
    "no text": written("config.yaml", bytes(range(128, 256))),
    "nothing": written("config.yaml", ""),
    "a list": written("config.yaml", "[1, 2]"),
    "numbers for names": written("config.yaml", "1: {2: 3}"),
    "no record": lambda run: (run / "run.json").unlink(),
    "a record of nothing": written("run.json", "[]"),
    "a deep record": written("run.json", "[" * 100_000),
    "a record without choices": recorded(choices=[]),
    "a later format": recorded(format=2, version="9.0.0"),
    "a format that is no number": recorded(format=[]),
    "a format that writes": recorded(format="\x1b[2J\n\n\n"),
    "a version that writes": recorded(format=2, version="\x1b[2J\n\n\n"),
}


@pytest.mark.parametrize("tamper", FILES.values(), ids=FILES)
def test_files_that_are_none(run: Path, tmp_path: Path, tamper: Tamper) -> None:
    text = refused(copied(run, tmp_path / "foreign", tamper))
    assert ("config.yaml" in text) or ("run.json" in text) or ("made by aecore" in text)
    assert not Path("evil").exists()


def within_itself(checkpoint: dict[str, Any]) -> None:
    config = checkpoint["aecore"]["config"]
    config["dataset"]["again"] = config


def doubled(checkpoint: dict[str, Any]) -> None:
    node: Any = 1
    for _ in range(29):
        node = [node, node]
    checkpoint["aecore"]["config"]["dataset"]["more"] = node


def expanded(checkpoint: dict[str, Any]) -> None:
    checkpoint["state_dict"]["autoencoder.encoder.1.weight"] = torch.zeros(1).expand(10**5, 10**5)


def one_for_all(run: Path) -> None:
    """A model of many large layers, all of whose weights are the same numbers in the file."""
    hidden = 30 * [1000]
    valued("network", "hidden", hidden)(run)
    with torch.device("meta"):
        large = aecore.Autoencoder(
            image_shape=(1, 4, 4),
            network=aecore.create("network=mlp", hidden=hidden),
            latent=aecore.create("latent=gaussian", dim=2),
        )
    numbers = torch.zeros(WIDE * 50)
    views = {n: numbers[: w.numel()].view(w.shape) for n, w in large.state_dict().items()}
    state = {f"autoencoder.{name}": view for name, view in views.items()}
    saved(lambda c: c.update(state_dict=state))(run)


def compressed(run: Path) -> None:
    saved(lambda c: c.update(more=torch.zeros(15 * 10**7, dtype=torch.uint8)))(run)
    repacked(lambda _, data: data, zipfile.ZIP_DEFLATED)(run)


def meta(checkpoint: dict[str, Any]) -> None:
    weights = torch.zeros(HUGE, 2, device="meta")
    checkpoint["state_dict"]["autoencoder.encoder.1.weight"] = weights


def calling(name: bytes, argument: bytes) -> Tamper:
    """A checkpoint whose `step` is what a function returns."""
    step = b"X\x04\x00\x00\x00step"
    return pickled(
        step, b"X\x04\x00\x00\x00evil" + b"c" + name + b"\n" + argument + b"\x85R" + step
    )


BILLION = b"J" + struct.pack("<i", 2**31 - 1)
CHECKPOINTS: dict[str, Tamper] = {
    "nothing": written(LAST, ""),
    "text": written(LAST, "weights"),
    **{f"cut at {share}": cut(share) for share in (0.1, 0.5, 0.99)},
    "compressed": compressed,
    "a function": calling(b"os\nsystem", b"X\x0a\x00\x00\x00touch evil"),
    "bytes of any length": calling(b"builtins\nbytearray", BILLION),
    "a tensor of any length": calling(b"torch\nFloatTensor", BILLION),
    "an object": saved(lambda c: c.update(more={1, 2})),
    "expanded weights": saved(expanded),
    "weights that are all the same": one_for_all,
    "weights without numbers": saved(meta),
    "no weights": saved(lambda c: c.update(state_dict={})),
    "numbers for weights": saved(lambda c: c["state_dict"].update(a=1)),
    "names that are none": saved(lambda c: c["state_dict"].update({1: torch.ones(1)})),
    "a list": saved(lambda c: c.update(state_dict=[])),
    "no step": saved(lambda c: c.pop("step")),
    "more weights": saved(lambda c: c["state_dict"].update({"autoencoder.more": torch.ones(1)})),
}


@pytest.mark.parametrize("tamper", CHECKPOINTS.values(), ids=CHECKPOINTS)
def test_weights_that_are_none(run: Path, tmp_path: Path, tamper: Tamper) -> None:
    assert "last.ckpt" in refused(copied(run, tmp_path / "foreign", tamper))
    assert not Path("evil").exists()


RECORDS: dict[str, Tamper] = {
    "none": saved(lambda c: c.pop("aecore")),
    "a list": saved(lambda c: c.update(aecore=[])),
    "more than one": saved(lambda c: c["aecore"].update(more=1)),
    "no configuration": saved(lambda c: c["aecore"].update(config=[])),
    "one within itself": saved(within_itself),
    "one of references": saved(doubled),
    "tensors": saved(lambda c: c["aecore"]["config"].update(seed=torch.ones(1))),
    "a number without end": saved(lambda c: c["aecore"]["config"].update(seed=10**5000)),
    "a function's name": saved(
        lambda c: c["aecore"]["config"].update(network={"_target_": "os.system"})
    ),
    "other images": saved(lambda c: c["aecore"].update(image_shape=[1, 4, 5])),
    "large images": saved(lambda c: c["aecore"].update(image_shape=[1, WIDE, WIDE])),
    "no images": saved(lambda c: c["aecore"].update(image_shape=[1, 0, 4])),
    "flat images": saved(lambda c: c["aecore"].update(image_shape=[16])),
    "another format": saved(lambda c: c["aecore"].update(format=2, version="9.0.0")),
}


@pytest.mark.parametrize("tamper", RECORDS.values(), ids=RECORDS)
def test_records_that_are_none(run: Path, tmp_path: Path, tamper: Tamper) -> None:
    place = copied(run, tmp_path / "foreign", tamper)
    refused((place / LAST).rename(tmp_path / "alone.ckpt"))


SAMPLERS: dict[str, Tamper] = {
    "none": lambda run: (run / SAMPLER).unlink(),
    "cut": cut(0.5, SAMPLER),
    "another's": saved(lambda c: c["sampler"].pop("mean"), SAMPLER),
    "other numbers": saved(lambda c: c["sampler"].update(mean=torch.zeros(3)), SAMPLER),
    "no tensors": saved(lambda c: c["sampler"].update(mean=1), SAMPLER),
    "expanded": saved(
        lambda c: c["sampler"].update(factor=torch.zeros(1, 2).expand(10**9, 2)), SAMPLER
    ),
    "a flow": saying(
        "sampler", "aecore.model.samplers.flow.FlowSampler", kind="affine", transforms=1,
        hidden=[5000, 100_000],
        epochs=1, batch_size=1, lr=1.0, images=2,
    ),
}  # fmt: skip


@pytest.mark.parametrize("tamper", SAMPLERS.values(), ids=SAMPLERS)
def test_samplers_that_are_none(run: Path, tmp_path: Path, tamper: Tamper) -> None:
    assert "sampler.ckpt" in refused(copied(run, tmp_path / "foreign", tamper))
