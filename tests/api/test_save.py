"""Saving a trained model, its name, and the bar of its training."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

import aecore
from aecore.cli import main
from aecore.errors import UserError
from helpers.models import images

X = images(60, 1, 5, 5).numpy()


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    ae = aecore.fit("vae latent.dim=3 sampler=gmm", X, epochs=1, device="cpu")
    ae.save(tmp_path / "model")
    again = aecore.load(tmp_path / "model", device="cpu")
    assert np.array_equal(again.reconstruct(X), ae.reconstruct(X))
    assert np.array_equal(again.sample(5), ae.sample(5))
    assert again.metrics == ae.metrics
    again.save(tmp_path / "copy")
    assert np.array_equal(aecore.load(tmp_path / "copy", device="cpu").encode(X), ae.encode(X))
    with pytest.raises(UserError, match="holds a run already"):
        ae.save(tmp_path / "copy")


def test_the_command_line_uses_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    aecore.fit("ae", X, epochs=1, device="cpu").save(tmp_path / "model")
    np.savez(tmp_path / "x.npz", x=X)
    given = ["task=reconstruct", "dataset=arrays", f"dataset.path={tmp_path}/x.npz"]
    assert main([f"run={tmp_path}/model", *given, f"out={tmp_path}/out"]) == 0
    assert "60 images of arrays reconstructed" in capsys.readouterr().out


def test_a_model_of_nowhere_is_not_saved(tmp_path: Path) -> None:
    ae = aecore.fit("ae", X, epochs=1, device="cpu")
    with pytest.raises(UserError, match="neither trained nor loaded"):
        type(ae)(ae.model).save(tmp_path / "model")


def test_its_name_has_the_names_of_options(tmp_path: Path) -> None:
    ae = aecore.fit("ae latent=topk penalty=[l1,contractive]", X, epochs=1, device="cpu")
    parts = "network=mlp latent=topk noise=none reconstruction=mse penalty=[l1,contractive]"
    assert repr(ae) == f"Trained({parts}, images 1x5x5, codes {ae.code_shape[0]}, in memory)"
    joined = aecore.fit(ae.model, X, epochs=1, device="cpu")
    assert repr(joined).startswith("Trained(network=mlp latent=topk noise=none")


@pytest.mark.parametrize(("progress", "where"), [("auto", ""), (True, "out"), (False, "")])
def test_progress_without_a_terminal(
    progress: bool | str, where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    aecore.fit("ae", X, epochs=1, device="cpu", progress=progress)  # type: ignore[arg-type]
    out, err = capsys.readouterr()
    assert ("epoch 1/1" in out) == (where == "out") and "epoch 1/1" not in err


def test_progress_in_a_notebook(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ipykernel", os)
    monkeypatch.setattr("tqdm.tqdm.monitor_interval", 0)  # no thread that stays
    aecore.fit("ae", X, epochs=1, device="cpu")
    assert "epoch 1/1" in capsys.readouterr().err
