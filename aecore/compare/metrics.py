"""What a metric's name tells: which way is better, and which runs measure the same by it."""

from __future__ import annotations

from typing import Literal

from aecore.compare.runs import Run
from aecore.compare.values import frozen

Direction = Literal["lower", "higher", "none"]

# how nearly the numbers of a code are the factors of the images
_FACTORS = (
    "mig", "modularity", "sap", "factor_vae_score",
    "dci_disentanglement", "dci_completeness", "dci_informativeness",
)  # fmt: skip
# By the part of a metric's name after the last slash. A divergence (`kl`) has no better side: it
# is zero where the code says nothing. `input_mse` measures the noise, not the model.
# Nor have `pca_mse`, which measures the data, and what only describes a code: how active it is, how
# much it moves, how many bits it takes.
_LOWER = {
    "mse", "loss", "reconstruction", "seconds", "l1", "mae", "rmse", "nll", "fid", "bpd",
    "iwae", "miwae", "ciwae",
    "dead_kernels", "identity_distance", "quantised_mse", "bits_per_dim",
    "frechet_cnn_samples", "frechet_cnn_reconstructions",
    "frechet_inception_samples", "frechet_inception_reconstructions",
}  # fmt: skip
_HIGHER = {
    "psnr", "ssim", "elbo", "images_per_second", "accuracy",
    "compression", "quantised_compression", "knn_accuracy", "logistic_accuracy",
    "precision_cnn", "recall_cnn",
    *_FACTORS,
}  # fmt: skip
_HIGHER_START = ("auroc_", "ap_")  # with the name of a data set
# test images do not depend on these keys of the data set
_TRAINING_ONLY = ("batch_size", "eval_batch_size", "epochs", "range", "val_size", "train_size")
# what must agree, besides the data, for a metric to be the same quantity
SAME_TERMS = {
    "reconstruction": ("reconstruction",),
    "elbo": ("reconstruction",),
    "iwae": ("reconstruction", "objective"),
    "miwae": ("reconstruction", "objective"),
    "ciwae": ("reconstruction", "objective"),
    "nll": ("reconstruction", "evaluate.metrics.likelihood"),
    "loss": ("reconstruction", "penalty", "objective", "latent"),
    "bits_per_dim": ("reconstruction",),
    **dict.fromkeys(("knn_accuracy", "logistic_accuracy"), ("evaluate.metrics.probe",)),
    **dict.fromkeys(
        ("frechet_cnn_samples", "frechet_cnn_reconstructions", "precision_cnn", "recall_cnn"),
        ("evaluate.metrics.frechet",),
    ),
    **dict.fromkeys(
        ("frechet_inception_samples", "frechet_inception_reconstructions"),
        ("evaluate.metrics.inception",),
    ),
    **dict.fromkeys(_FACTORS, ("evaluate.metrics.disentanglement",)),
}
# these are properties of the machine or of training, not of the test images
_ANY_DATA = ("seconds", "images_per_second")


def direction(metric: str) -> Direction:
    """Which way a metric is better; none where that is unknown or not a matter of better."""
    name = metric.rpartition("/")[2]
    if name in _LOWER:
        return "lower"
    return "higher" if name in _HIGHER or name.startswith(_HIGHER_START) else "none"


def data_of(run: Run) -> str:
    """What a run was tested on: equal where the test images are."""
    keys = (key for key in run.values if key.startswith("dataset."))
    kept = {k: run.values[k] for k in keys if k.partition(".")[2] not in _TRAINING_ONLY}
    return frozen([run.values.get("dataset"), kept])


def scope_of(run: Run, metric: str) -> str:
    """Runs of one scope measure the same thing by that metric."""
    name = metric.rpartition("/")[2]
    parts = [] if name in _ANY_DATA else [data_of(run)]
    for word in SAME_TERMS.get(name, ()):
        inside = {k: v for k, v in run.values.items() if k.startswith(f"{word}.")}
        if word == "latent":  # its kind decides what is charged, its size does not
            inside = {k: v for k, v in inside.items() if k.endswith("_target_")}
        parts.append(frozen([run.values.get(word), inside]))
    if name not in _ANY_DATA and metric.startswith("test_noisy/"):
        noise = {k: v for k, v in run.values.items() if k.startswith("evaluate.noise.")}
        parts.append(frozen(noise))
    return "\n".join(parts)
