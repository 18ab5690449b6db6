"""An autoencoder where scikit-learn expects a transformer: where PCA stood, in a `Pipeline`."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from aecore.errors import UserError
from aecore.trained import Trained
from aecore.training import fit

_FLOATS = (np.float64, np.float32)


class AutoencoderTransformer(
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc]
    TransformerMixin,  # type: ignore[misc]
    BaseEstimator,  # type: ignore[misc]
):
    """Rows (n_samples, n_features) to codes (n_samples, n_components), and back.

    model: a preset, or the words of a sentence: `"denoising"`, `"model=ae penalty=l1"`.
    n_components: numbers of a code (`latent.dim`); None leaves that to the model's own words.
    words: more of the sentence, such as `["network.hidden=[256,128]", "optimizer=adamw"]`.
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
        n_components: int | None = 16,
        *,
        words: Sequence[str] = (),
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
        self.words = words
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.image_shape = image_shape
        self.standardise = standardise
        self.random_state = random_state
        self.device = device

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train on rows; `y` is not used. Raises UserError for words that cannot go together."""
        X = validate_data(self, X, dtype=_FLOATS, ensure_min_samples=2)
        shape = (1, 1, X.shape[1]) if self.image_shape is None else tuple(self.image_shape)
        if int(np.prod(shape)) != X.shape[1]:
            raise UserError(
                f"image_shape={self.image_shape}: {np.prod(shape)} numbers, a row has {X.shape[1]}"
            )
        standardise = self.image_shape is None if self.standardise is None else self.standardise
        own = [] if self.n_components is None else [f"latent.dim={self.n_components}"]
        own += ["dataset.range=standardised"] if standardise else []
        self.trained_ = fit(
            self.model,
            X.reshape(-1, *shape),
            words=[*own, *self.words],
            epochs=self.epochs,
            batch_size=self.batch_size,
            lr=self.lr,
            validation=0,
            seed=int(check_random_state(self.random_state).randint(2**31)),
            device=self.device,
        )
        if self.trained_.model.classes is not None:
            raise UserError("conditional=true: a transformer is told no classes")
        return self

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

        In the units of the data; higher is more normal.
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
        return rows

    @property
    def _n_features_out(self) -> int:
        return int(np.prod(self.trained_.code_shape))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
