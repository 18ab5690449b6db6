"""`run=RUN task=X`: all from the run but what was given."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from aecore.cli import main
from aecore.config.arguments import parse
from aecore.errors import UserError
from aecore.tasks.base import Request
from aecore.tasks.reuse import use_of_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small trained run on digits; not to be changed."""
    folder = tmp_path_factory.mktemp("used") / "run"
    words = ["model=denoising", "latent.dim=3", "dataset.eval_batch_size=90", "seed=3"]
    tiny = ["logger=none", "figures=none", "trainer.max_epochs=1", "trainer.threads=1"]
    assert main([*words, *tiny, f"hydra.run.dir={folder}"]) == 0
    return folder


def asked(run: Path, *overrides: str) -> Request:
    """The request that the command line makes."""
    arguments = parse([f"run={run}", *overrides])
    return use_of_run(str(arguments.path("run")), arguments)


class TestWhatIsUsed:
    def test_all_is_the_runs_but_the_task(self, run: Path) -> None:
        recorded = yaml.safe_load((run / "config.yaml").read_text())
        config = asked(run, "task=encode").config
        here = {"task", "encode", "run", "paths", "logger", "trainer"}
        assert {k: v for k, v in config.items() if k not in here} == {
            k: v for k, v in recorded.items() if k not in here
        }
        assert config["trainer"]["max_epochs"] == recorded["trainer"]["max_epochs"]
        assert config["task"] == "encode"
        assert config["encode"] == {"sample": False, "points": 2000}

    def test_one_key_of_the_runs_data(self, run: Path) -> None:
        request = asked(run, "task=encode", "dataset.test_size=10")
        assert request.config["dataset"]["test_size"] == 10
        assert request.config["dataset"]["eval_batch_size"] == 90
        assert request.options == {}

    def test_other_data_are_treated_as_the_runs_own_were(self, run: Path) -> None:
        given = ("dataset=image_folder", "dataset.root=/a b/c", "dataset.batch_size=7")
        request = asked(run, "task=encode", *given)
        data = request.config["dataset"]
        assert data["_target_"] == "aecore.data.sources.image_folder.ImageFolder"
        assert (data["root"], data["batch_size"], data["eval_batch_size"]) == ("/a b/c", 7, 90)
        assert (data["image_size"], data["channels"]) == ([8, 8], 1), "what the model takes"
        assert list(request.options) == ["dataset"]

    def test_noise_is_that_of_the_images_here(self, run: Path) -> None:
        recorded = yaml.safe_load((run / "config.yaml").read_text())
        config = asked(run, "task=encode", "noise=dropout", "noise.p=0.25").config
        assert config["evaluate"]["noise"] == {
            "_target_": "aecore.model.noise.noises.Dropout",
            "p": 0.25,
        }
        assert config["noise"] == recorded["noise"], "the word of the model stays"

    def test_a_tasks_options_by_its_name(self, run: Path) -> None:
        assert asked(run, "task=encode", "encode.sample=true").config["encode"]["sample"] is True

    def test_other_data_sets_to_tell_from(self, run: Path) -> None:
        given = asked(run, "task=encode", "evaluate.ood=[uniform]", "evaluate.metrics=[ood]")
        assert list(given.config["evaluate"]["ood"]) == ["uniform"]
        assert list(given.config["evaluate"]["metrics"]) == ["ood"]
        assert asked(run, "task=encode").config["evaluate"]["ood"] == {}


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["task=encode", "latent.dim=9"], r"latent\.dim=9: a trained model keeps its components"),
        (["task=encode", "model=vae"], "model=vae: a trained model keeps its components"),
        (["task=encode", "images=x.npy"], "images: no key 'images'"),
        (["task=encode", "dataset.tset_size=1"], r"no such key \(did you mean 'test_size'"),
        (["task=encode", "sample.n=1"], r"sample\.n=1: this is task=encode\n  use task=sample"),
        (["task=encode", "encode.smaple=1"], "smaple"),
        ([], "say what to do with it, for example task=evaluate"),
        (["task=encode", "-m"], "one thing is done with one run"),
        (["task=encode", "dataset=mnits"], "dataset=mnits: no such dataset"),
    ],
)
def test_is_refused(run: Path, overrides: list[str], told: str) -> None:
    with pytest.raises(UserError, match=told):
        asked(run, *overrides)


@pytest.mark.parametrize(
    ("task", "override", "root"),
    [
        ("sample", "split=val", "split"),
        ("sample", "dataset=faces", "dataset"),
        ("encode", "sampler=gmm", "sampler"),
        ("score", "evaluate.metrics=[probe]", "evaluate"),
        ("reconstruct", "figures=[latent]", "figures"),
        ("traverse", "noise=gaussian", "noise"),
        ("interpolate", "sampler=gmm", "sampler"),
    ],
)
def test_what_would_have_no_effect_is_refused(
    task: str, override: str, root: str, run: Path, refused: Callable[..., None]
) -> None:
    told = f"error: {override}: task={task} has no use for {root}\n  leave it out; it takes "
    refused(told, f"run={run}", f"task={task}", override)


def test_a_noise_is_called_what_it_was_typed_as(run: Path, refused: Callable[..., None]) -> None:
    given = f"run={run}", "task=reconstruct", "noise=gaussian"
    refused("error: noise.std=-1: must be greater than or equal to 0", *given, "noise.std=-1")
    refused("error: noise.sd: noise has no key 'sd' (did you mean 'std'?)", *given, "noise.sd=1")


def test_results_are_mixed_with_nothing(run: Path, tmp_path: Path, capsys: Any) -> None:
    given, out = [f"run={run}", "task=sample", "sampler=gaussian"], tmp_path / "out"
    out.mkdir()
    assert main([*given, f"out={out}"]) == 0, "an empty folder is as good as a new one"
    before = sorted(out.rglob("*"))
    for place, told in ((out, "holds something"), (out / "samples.png", "is a file")):
        assert main([*given, f"out={place}"]) == 2
        assert told in capsys.readouterr().err
    assert main([*given, "out=/proc/x"]) == 2
    assert "error: out=/proc/x: " in capsys.readouterr().err
    assert sorted(out.rglob("*")) == before


@pytest.mark.parametrize("typed", ["[a b/ö 漢.png, 7]", "['a b/ö 漢.png',7]"])
def test_files_are_named_as_they_are_called(run: Path, typed: str) -> None:
    config = asked(run, "task=interpolate", f"interpolate.images={typed}").config
    assert config["interpolate"]["images"] == ["a b/ö 漢.png", 7]


def test_what_changes_nothing_is_not_refused(run: Path) -> None:
    given = ["noise=none", "figures=none", "dataset.eval_batch_size=7", "trainer.threads=1"]
    assert asked(run, "task=sample", *given).options == {}


def test_images_of_another_shape(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    images = tmp_path / "images.npz"
    np.savez(images, x=np.random.default_rng(0).random((5, 9, 7), np.float32))
    given = [f"run={run}", "task=encode", "dataset=arrays", f"dataset.path={images}"]
    out = tmp_path / "codes"
    assert main([*given, f"out={out}"]) == 2
    assert "1x9x7: this model takes grey images, 8 high and 8 wide" in capsys.readouterr().err
    assert not out.exists()
    assert main([*given, f"out={out}", "resize=true"]) == 0
    with np.load(out / "codes.npz", allow_pickle=False) as found:
        assert found["codes"].shape == (5, 3), "all of data that come without a split"
        assert found["ids"].tolist() == ["0", "1", "2", "3", "4"]


def test_tasks_that_use_no_run(run: Path, capsys: pytest.CaptureFixture) -> None:
    for task in ("train", "list"):
        assert main([f"run={run}", f"task={task}"]) == 2
        assert f"task={task}: does nothing with a trained run" in capsys.readouterr().err
    assert main(["task=encode"]) == 2
    assert "task=encode: with which trained run?" in capsys.readouterr().err


def test_the_newest_run(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    given = ["run=last", "task=encode", f"out={tmp_path / 'codes'}"]
    assert main([*given, f"paths.output_dir={run.parent}"]) == 0
    assert f"run=last is {run}" in capsys.readouterr().out
    assert main([*given, f"paths.output_dir={tmp_path / 'empty'}"]) == 2
    assert "run=last: no trained run below" in capsys.readouterr().err


def test_a_checkpoint_alone(run: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone.ckpt"
    alone.write_bytes((run / "checkpoints" / "last.ckpt").read_bytes())
    codes = []
    for place in (run, alone):
        out = tmp_path / f"codes of {place.name}"
        assert main([f"run={place}", "task=encode", f"out={out}"]) == 0
        with np.load(out / "codes.npz", allow_pickle=False) as found:
            codes.append(torch.from_numpy(found["codes"]))
    assert torch.equal(*codes)
    assert len(codes[0]) == 1797, "train, validation and test images"


def test_a_run_that_was_told_more_than_it_needs_goes_on(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "copy")
    config = tmp_path / "copy" / "config.yaml"
    config.write_text(config.read_text().replace("out: null", "out: there"))
    assert main([f"resume={tmp_path / 'copy'}", "trainer.max_epochs=2"]) == 0
