"""Training on images with targets, against frozen noise and reduced-rank regression."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import aecore
from aecore.cli import main
from aecore.data.batches import Batches
from aecore.data.split import Split
from aecore.errors import UserError
from aecore.model.autoencoder import Autoencoder
from aecore.model.noise.noises import Dropout
from aecore.model.objectives.bounds import Iwae
from aecore.model.reconstruction.bernoulli import Bernoulli
from aecore.training.module import epoch_seed
from helpers.models import Memory, adam, data_of, fit, gaussian, gen, images, linear, model, plain
from helpers.training_loop import X, equal


def frozen(noise: Dropout) -> Split:
    """The images as the first epoch of a training with that noise shows them, with targets."""
    batches, generator = Batches(Split(X), 8, shuffle=True, seed=0, chunk=1), gen(epoch_seed(0, 0))
    span = (torch.zeros(1), torch.ones(1))
    noisy = torch.empty_like(X)
    for (batch,) in batches:
        noisy[batch.index] = noise(batch.x, generator, span)
    return Split(noisy, targets=X)


def test_frozen_noise_trains_the_bits_of_drawn_noise() -> None:
    noise = Dropout(p=0.4)
    drawn, given = model(noise=noise), model()
    fit(drawn, data_of(Memory(Split(X))), epochs=1)
    fit(given, data_of(Memory(frozen(noise))), epochs=1)
    assert equal(drawn.state_dict(), given.state_dict())
    assert not equal(drawn.state_dict(), model().state_dict())


def test_a_linear_network_is_reduced_rank_regression() -> None:
    """Izenman 1975: least squares, then the leading principal components of the fitted values."""
    x = images(60, 1, 1, 5, seed=1)
    targets = (x.flatten(1) @ images(5, 5, seed=2) + 0.3 * images(60, 5, seed=3))[:, None, None]
    network = linear(output_activation=None)
    whole = model(image_shape=(1, 1, 5), network=network, latent=plain(2))
    split = Split(x, targets=targets)
    module = data_of(Memory(split), batch_size=60, range="standardised")
    fit(whole, module, epochs=1500, optimizer=adam(0.02))
    inputs, outputs = (some.flatten(1).double().numpy() for some in (x, targets))
    inputs, outputs = inputs - inputs.mean(0), outputs - outputs.mean(0)
    fitted = inputs @ np.linalg.lstsq(inputs, outputs, rcond=None)[0]
    leading = np.linalg.svd(fitted)[2][:2]
    best = float(np.square(outputs - fitted @ leading.T @ leading).mean())
    with torch.no_grad():
        error = float((whole.reconstruct(x) - targets).square().mean())
    assert error == pytest.approx(best, rel=1e-3)


@pytest.mark.parametrize("objective", [None, Iwae(samples=3)])
def test_the_likelihood_is_that_of_the_targets(objective: Iwae | None) -> None:
    x, targets = images(6, 1, 4, 4, seed=1), images(6, 1, 4, 4, seed=2).round()
    bernoulli = Bernoulli(targets="soft", threshold=0.5)

    def loss(whole: Autoencoder, **given: torch.Tensor) -> float:
        terms = whole.terms(x, gen(), epoch=0, noisy=False, **given)
        return float(terms.loss.detach())

    whole = model(latent=gaussian(3), reconstruction=bernoulli, objective=objective)
    assert loss(whole, target=x) == loss(whole)
    p = whole.run(x, gen(), noisy=False, sample=True, target=targets)
    again = whole.run(x, gen(), noisy=False, sample=True)
    assert torch.equal(p.x_in, x) and torch.equal(p.x, targets)
    assert torch.equal(p.output, again.output)
    output = p.output.detach()
    cost = torch.nn.functional.binary_cross_entropy_with_logits(output, targets, reduction="none")
    if objective is None:
        assert loss(whole, target=targets) == pytest.approx(float(cost.flatten(1).sum(1).mean()))
    else:
        assert loss(whole, target=targets) != loss(whole)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on rows whose targets are the rows backwards; x and target in one file beside it."""
    folder = tmp_path_factory.mktemp("targets")
    x = images(80, 1, 6, 6).numpy()
    np.savez(folder / "pairs.npz", x=x, target=x[:, :, ::-1])
    given = ["dataset=arrays", f"dataset.path={folder}/pairs.npz", "model=ae", "logger=none"]
    given += ["trainer.max_epochs=2", "trainer.threads=1", f"hydra.run.dir={folder}/run"]
    assert main([*given, "figures=reconstructions", "evaluate.noise=dropout"]) == 0
    return folder / "run"


def test_metrics_are_of_the_targets(run: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    ae = aecore.load(run, device="cpu")
    assert ae.run is not None
    config = ae.run.config
    content = np.load(config.dataset["path"])
    from aecore.training.setup import build_data

    test = build_data(config).test
    x, target = test.pixels(), test.of_targets.pixels()
    assert torch.equal(target, x.flip(2)) and len(content["x"]) == 80
    with torch.no_grad():
        made = ae.model.reconstruct(x)
    assert metrics["test/mse"] == pytest.approx(float((made - target).square().mean()), rel=1e-5)
    assert metrics["test/input_mse"] == pytest.approx(float((x - target).square().mean()), rel=1e-5)
    spread = (target - target.mean(0)).square().mean()
    assert metrics["test/mean_image_mse"] == pytest.approx(float(spread), rel=1e-5)
    assert metrics["test_noisy/input_mse"] > metrics["test/input_mse"]


def test_reconstruct_compares_with_the_targets(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    assert main([f"run={run}", "task=reconstruct", f"out={tmp_path}/all"]) == 0
    mse, inputs = (f"{metrics[f'test/{key}']:.4g}" for key in ("mse", "input_mse"))
    assert f"mse {mse} per pixel, {inputs} of the inputs" in capsys.readouterr().out
    assert (tmp_path / "all" / "errors.csv").read_text().startswith("name,mse,input_mse,file")


def test_in_python() -> None:
    x = images(40, 1, 4, 4)
    ae = aecore.fit("ae", x, targets=x.flip(3), epochs=1, device="cpu")
    assert ae.metrics["val/input_mse"] > 0
    with pytest.raises(UserError, match=r"targets of shape \(40, 1, 4, 3\)"):
        aecore.fit("ae", x, targets=x[..., :3], epochs=1)
    with pytest.raises(UserError, match="targets: images hold NaN"):
        aecore.fit("ae", x, targets=x / 0 * 0, epochs=1)
    with pytest.raises(UserError, match="targets: images lie in"):
        aecore.fit("ae", x, targets=3 * x, epochs=1)


def test_what_cannot_go_with_targets(run: Path, capsys: pytest.CaptureFixture) -> None:
    path = run.parent / "pairs.npz"
    for given, reason in {
        "optimizer=closed_form model=pca latent.dim=2": "these images have targets",
        "dataset.binarise=threshold": "images with targets are not made black and white",
    }.items():
        argv = ["dataset=arrays", f"dataset.path={path}", *given.split()]
        assert main(argv) == 2
        assert reason in capsys.readouterr().err
