"""Posterior collapse, predicted from the images before training and detected after it.

Lucas et al. 2019 ("Don't blame the ELBO!"): a linear VAE of Gaussian noise of variance v whose KL
counts beta times keeps one dimension of its code for each eigenvalue of the covariance of the
images above beta v; all others equal the prior, whatever the image, in every optimum. A deep one
bends the same space, so the count is a hint and no bound.
"""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from aecore.data.split import Split, permutation
from aecore.evaluation.metrics.equivalent import kl_weights
from aecore.evaluation.metrics.principal import LARGEST
from aecore.evaluation.trial import Trial
from aecore.model.autoencoder import Autoencoder
from aecore.model.codes import posterior_of
from aecore.model.networks.base import flat

log = logging.getLogger("aecore")
_IMAGES = 2000
_ACTIVE = 0.01  # Burda et al. 2016; relative to the variance of the drawn code, 1 under the prior


def warn_of_collapse(model: Autoencoder, training: Split) -> None:
    """Warn before training where a linear VAE would use less than half of the code.

    No warning where the theory does not apply: it needs a Gaussian code, a `kl` and Gaussian noise
    of a fixed variance, and images that are their own targets; nor for images so large that
    counting would take long. model: on the CPU.
    """
    variance, pixels = model.noise_variance, flat(model.image_shape)
    learned = any(p.requires_grad for p in model.reconstruction.parameters())
    weights = kl_weights(model)
    beta, dim = sum(weights.values()), flat(model.code_shape)
    if training.targets is not None:
        return
    if variance is None or learned or not model.latent.gaussian or beta == 0 or pixels > LARGEST:
        return
    used = min(directions_above(beta * variance, model, training), dim)
    if 2 * used < dim:
        keys = " ".join(f"penalty.{name}.weight={value:g}" for name, value in weights.items())
        log.warning(
            "%s with noise of variance %.3g: a linear VAE would use %d of %d latent dimensions, "
            "the others collapse; lower the weight, or let reconstruction=gaussian learn the "
            "variance",
            keys, variance, used, dim,
        )  # fmt: skip


def directions_above(level: float, model: Autoencoder, training: Split) -> int:
    """How many principal variances of some training images, as the model sees them, are larger."""
    chosen = permutation(len(training), 0)[:_IMAGES]
    rows = model.normalise(training.pixels(chosen)).flatten(1).double()
    rows = rows - rows.mean(0)
    # the smaller of the two products that share their eigenvalues but for zeros
    product = rows.T @ rows if rows.shape[0] > rows.shape[1] else rows @ rows.T
    return int((torch.linalg.eigvalsh(product / len(rows)) > level).sum())


def warn_if_collapsed(trial: Trial) -> None:
    """Warn where no dimension of a variational code depends on the image; by the first images."""
    model = trial.model
    if not model.latent.variational or len(trial) < 2:
        return
    if bool((explained_share(trial.first(_IMAGES)) > _ACTIVE).any()):
        return
    kls = [name for name, weight in kl_weights(model).items() if weight]
    hint = "".join(f", lower penalty.{name}.weight" for name in kls[:1])
    if kls and model.weights[kls[0]].schedule == "constant":
        key = f"penalty.{kls[0]}"
        hint += f" or let it grow ({key}.schedule=linear {key}.warmup=EPOCHS)"
    log.warning(
        "the code has collapsed, no latent dimension depends on the image; train longer%s", hint
    )


@torch.no_grad()
def explained_share(trial: Trial) -> Tensor:
    """The share of each dimension's variance that images explain, (dim,): 0 is collapsed.

    Var_x(E[z | x]) / (Var_x(E[z | x]) + E_x(Var[z | x])), float64 on the CPU.
    """
    means, variances = [], []
    for x, y in trial.batches():
        posterior = posterior_of(trial.model.encode(x, y=y))
        means.append(posterior.mean.flatten(1).cpu().double())
        variances.append(posterior.variance.flatten(1).cpu().double())
    between = torch.cat(means).var(0, correction=0)
    return between / (between + torch.cat(variances).mean(0)).clamp_min(1e-30)
