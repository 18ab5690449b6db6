"""An autoencoder where scikit-learn expects a transformer: where PCA stood, in a `Pipeline`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from aecore.api.arguments import ARGUMENTS, MODEL, TRAINING, as_overrides, check_overrides
from aecore.api.fit import code_shape, fit
from aecore.api.trained import Trained
from aecore.config.overrides import Override, as_override, read
from aecore.data.pixels import check_shape, range_hint
from aecore.errors import ConfigError, UserError, short
from aecore.types import ImageShape

_FLOATS = (np.float64, np.float32)
_RANGES = {True: "standardised", False: "unit"}  # of `standardise`
_KNOWN = [key for key in (*MODEL, *TRAINING) if key != "dataset.range"]
_ARGUMENTS = {**ARGUMENTS, "seed": "random_state", "dataset.range": "standardise"}


class AutoencoderTransformer(
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc]
    TransformerMixin,  # type: ignore[misc]
    BaseEstimator,  # type: ignore[misc]
):
    """Rows (n_samples, n_features) to codes (n_samples, n_components), and back.

    model: a preset, or overrides: `"denoising"`, `"model=ae penalty=l1"`.
    n_components: latent dimensions (`latent.dim`); a model that cannot have so many is refused.
        None leaves it to the model: `"ae"` has 32, `"ae latent.dim=3"` 3; maps, categories and
        codebook entries come flat.
    overrides: further ones, a text or a list: `["network.hidden=[256,128]", "init=glorot"]`.
    epochs, batch_size, lr: of the training; None for 128 (or all rows) and the optimizer's own.
    image_shape: (C, H, W) where each row is a flat image, for convolutions; None for tables.
    standardise: whether the model sees every column with mean 0 and deviation 1 (of images every
        channel), so that any numbers may come; else they must lie in [0, 1]. None: of tables.
    random_state: the seed, an instance that draws it, or None for another one at each fit.
    device: "auto", "cpu", "cuda" or "mps".

    Fitted: `trained_`, the `aecore.Trained` itself; `n_features_in_`.
    """

    def __init__(
        self,
        model: str = "ae",
        n_components: int | None = None,
        *,
        overrides: str | Sequence[str] = (),
        epochs: int = 10,
        batch_size: int | None = None,
        lr: float | None = None,
        image_shape: tuple[int, int, int] | None = None,
        standardise: bool | None = None,
        random_state: Any = 0,
        device: str = "auto",
    ) -> None:
        self.model = model
        self.n_components = n_components
        self.overrides = overrides
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.image_shape = image_shape
        self.standardise = standardise
        self.random_state = random_state
        self.device = device

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train on rows; `y` is not used. Raises UserError for overrides that cannot be used."""
        X = validate_data(self, X, dtype=_FLOATS, ensure_min_samples=2)
        given = self.image_shape
        shape = check_shape((1, 1, X.shape[1]) if given is None else given)
        if math.prod(shape) != X.shape[1]:
            raise UserError(f"image_shape={given}: {math.prod(shape)} numbers, "
                            f"a row has {X.shape[1]}")  # fmt: skip
        standardise = self._standardises()
        if not standardise:
            _check_range(X)
        with self._named():
            overrides = (*as_overrides(self.model), *as_overrides(self.overrides))
            check_overrides(overrides, _KNOWN, _ARGUMENTS)
            overrides = read([f"dataset.range={_RANGES[standardise]}"]) + overrides
            overrides = self._dim(overrides, shape) + overrides
            self.trained_ = fit(
                [override.typed for override in overrides],
                X.reshape(-1, *shape),
                epochs=self.epochs,
                batch_size=self.batch_size,
                lr=self.lr,
                validation=0,
                seed=int(check_random_state(self.random_state).randint(2**31)),
                device=self.device,
            )
        return self

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Errors that name the parameters of the transformer, and hints that are possible here."""
        try:
            yield
        except ConfigError as error:
            patience = "trainer.early_stopping.patience"
            if error.key == "conditional":
                problem = "a transformer takes no labels"
                error = ConfigError("conditional", True, problem, {"conditional": False})
            elif error.key == "dataset.range":
                error = _of_range(error)
            elif error.key == "network.channels" and self.image_shape is None:
                error = error.with_hint("give an image_shape, or network=mlp")
            elif error.key == patience:
                error = error.with_hint({patience: None})
            names = {} if self.n_components is None else {"latent.dim": "n_components"}
            raise error.renamed(names) from error

    def _standardises(self) -> bool:
        """The value of `standardise`; UserError for another than True, False and None."""
        if not isinstance(self.standardise, bool | np.bool_ | None):
            given = short(self.standardise)
            raise UserError(f"standardise={given}: must be True, False or None")
        return self.image_shape is None if self.standardise is None else bool(self.standardise)

    def _dim(self, overrides: tuple[Override, ...], shape: ImageShape) -> tuple[Override, ...]:
        """The override of `n_components`; UserError where the latent cannot have so many."""
        n = self.n_components
        if n is None:
            return ()
        own, dim = code_shape(overrides, shape), read([as_override("latent.dim", n)])
        if math.prod(own) == n:
            return ()
        try:
            if math.prod(code_shape(dim + overrides, shape)) == n:
                return dim
        except ConfigError:  # of the number
            raise
        except UserError:  # a latent without this key
            pass
        columns = " x ".join(map(str, own)) + (f" = {math.prod(own)}" if own[1:] else "")
        raise UserError(
            f"n_components={n}: this model's codes are not made of so many numbers",
            f"use n_components=None, which takes them as they are: {columns} columns",
        )

    def transform(self, X: Any) -> np.ndarray:
        """The mean codes of rows, (n_samples, n_components)."""
        X = self._rows(X)
        codes: np.ndarray = self._fitted().encode(X).reshape(len(X), -1)
        return codes.astype(X.dtype, copy=False)

    def inverse_transform(self, X: Any) -> np.ndarray:
        """What the model makes of codes, in the units of the data, (n_samples, n_features)."""
        images: np.ndarray = self._fitted().decode(np.asarray(X))
        return images.reshape(len(images), -1)

    def score_samples(self, X: Any) -> np.ndarray:
        """Minus the mean squared error of each row's reconstruction, (n_samples,).

        Of standardised values where `standardise`; higher is more normal.
        """
        errors: np.ndarray = self._fitted().score(self._rows(X))
        return -errors

    def score(self, X: Any, y: Any = None) -> float:
        """The mean of `score_samples`, for a search over parameters; `y` is not used."""
        return float(self.score_samples(X).mean())

    def __getstate__(self) -> dict[str, Any]:
        """As a pickle holds it: the model on the CPU, for machines without this one's device."""
        state = dict(super().__getstate__())
        if "trained_" in state:
            model = deepcopy(self.trained_.model).cpu()
            state["trained_"] = replace(self.trained_, model=model)
        return state

    def _fitted(self) -> Trained:
        check_is_fitted(self)
        return self.trained_

    def _rows(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        rows: np.ndarray = validate_data(self, X, dtype=_FLOATS, reset=False)
        if not self.trained_.model.standardised:
            _check_range(rows)
        return rows

    @property
    def _n_features_out(self) -> int:
        return int(np.prod(self.trained_.code_shape))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _of_range(error: ConfigError) -> ConfigError:
    """An error about `dataset.range`, as one about `standardise`."""
    hint = error.hint
    if isinstance(hint, Mapping):
        rest = {key: value for key, value in hint.items() if key != "dataset.range"}
        hint = {"standardise": "False", **rest}
    return ConfigError("standardise", str(error.value == _RANGES[True]), error.problem, hint)


def _check_range(rows: np.ndarray) -> None:
    low, high = rows.min(), rows.max()
    if low < 0 or high > 1:
        hint = range_hint(low, high, "rows")
        raise UserError(
            f"rows lie in [{low:.4g}, {high:.4g}]: with standardise=False they must lie in [0, 1]",
            f"{hint};\n  or put MinMaxScaler(clip=True) before, or use standardise=True",
        )
