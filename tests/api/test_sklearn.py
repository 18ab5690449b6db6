"""The autoencoder that stands where scikit-learn's PCA stood."""

from __future__ import annotations

import io
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import estimator_checks_generator

from aecore.errors import UserError
from aecore.sklearn import AutoencoderTransformer

IMAGES = {"image_shape": (1, 8, 8), "n_components": 4}


def small(**changes: Any) -> AutoencoderTransformer:
    """Of few numbers, trained for a moment."""
    values: dict[str, Any] = {"n_components": 2, "epochs": 1, "overrides": ["network.hidden=[4]"]}
    return AutoencoderTransformer(**(values | changes))


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Rows (1797, 64) of numbers from 0 to 16, with their labels."""
    rows, labels = load_digits(return_X_y=True)
    return rows, labels


# the one left out takes an environment variable that stands before SciPy is loaded
CHECKS = {
    repr(check): (one, check)
    for one, check in estimator_checks_generator(small())
    if "check_array_api_input" not in repr(check)
}


@pytest.mark.parametrize(("one", "check"), CHECKS.values(), ids=map(str, range(len(CHECKS))))
def test_scikit_learns_own_checks(one: AutoencoderTransformer, check: Any) -> None:
    check(one)


def test_an_exact_linear_one_is_pca(digits: tuple[np.ndarray, np.ndarray]) -> None:
    """The same subspace: the same images of the same rows, and the same errors."""
    x = digits[0]
    pca = PCA(5).fit(x[:1000])
    exact = AutoencoderTransformer("pca", 5, image_shape=(1, 8, 8), standardise=True)
    codes = exact.fit_transform(x[:1000])
    assert codes.shape == (1000, 5)
    theirs = pca.inverse_transform(pca.transform(x[1000:]))
    ours = exact.inverse_transform(exact.transform(x[1000:]))
    np.testing.assert_allclose(ours, theirs, atol=1e-3)
    errors = ((x[1000:] - theirs) ** 2).mean(1)
    np.testing.assert_allclose(exact.score_samples(x[1000:]), -errors, rtol=1e-3)
    np.testing.assert_allclose(exact.score(x[1000:]), -errors.mean(), rtol=1e-3)


def test_stands_where_pca_stood(digits: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = digits
    model = small(n_components=8, epochs=12, overrides=["network.hidden=[64]"], lr=5e-3)
    pipeline = make_pipeline(model, KNeighborsClassifier(5)).fit(x[:1000], y[:1000])
    assert pipeline.score(x[1000:], y[1000:]) > 0.85
    names = [f"autoencodertransformer{n}" for n in range(8)]
    assert [*pipeline[:-1].get_feature_names_out()] == names


def test_is_cloned_searched_and_kept(digits: tuple[np.ndarray, np.ndarray]) -> None:
    x = digits[0][:200]
    search = GridSearchCV(small(), {"n_components": [1, 3]}, cv=2).fit(x)
    assert search.best_estimator_.trained_.code_shape == (search.best_params_["n_components"],)
    fitted = clone(search.best_estimator_).fit(x)
    np.testing.assert_array_equal(fitted.transform(x), search.best_estimator_.transform(x))
    file = io.BytesIO()
    joblib.dump(fitted, file)
    file.seek(0)
    np.testing.assert_array_equal(joblib.load(file).transform(x), fitted.transform(x))


def test_seeds(digits: tuple[np.ndarray, np.ndarray]) -> None:
    x = digits[0][:100]
    codes = [small(random_state=seed).fit_transform(x) for seed in (0, 0, 1, None, None)]
    np.testing.assert_array_equal(codes[0], codes[1])
    assert not np.array_equal(codes[0], codes[2])
    assert not np.array_equal(codes[3], codes[4])


def test_rows_are_images(digits: tuple[np.ndarray, np.ndarray]) -> None:
    x = digits[0][:100]
    shape = {"image_shape": (1, 8, 8), "n_components": None}
    conv = small(model="conv_ae", overrides=[], **shape).fit(x / 16)
    assert conv.transform(x / 16).shape == (100, 16), "a map of features, flat"
    assert conv.inverse_transform(conv.transform(x / 16)).shape == (100, 64)
    with pytest.raises(UserError, match=r"16 in scikit-learn's digits;\n.*MinMaxScaler.*=True"):
        small(**shape).fit(x)
    with pytest.raises(UserError, match=r"rows lie in .* standardise=False"):
        conv.transform(x)
    whole = small(**shape, standardise=True).fit(x)
    assert whole.trained_.model.scale.shape == (1, 1, 1), "one for each channel, not each pixel"


def test_codes_are_of_as_many_numbers_as_were_said(digits: tuple[np.ndarray, np.ndarray]) -> None:
    x = digits[0][:40]
    for model, changes, columns in [
        ("ae latent.dim=3", {"n_components": None}, 3),
        ("ae latent.dim=3", {"n_components": 3}, 3),
        ("ae", {"overrides": "network.hidden=[4] latent.dim=5", "n_components": None}, 5),
        ("ae", {"n_components": 6}, 6),
        ("ae", {"n_components": None}, 32),
        ("gumbel_vae latent.categories=2 latent.variables=3", {"n_components": 6}, 6),
    ]:
        one = small(model=model, standardise=False, **changes).fit(x / 16)
        assert one.transform(x / 16).shape == (40, columns)
        assert one.inverse_transform(one.transform(x / 16)).shape == (40, 64)
    assert AutoencoderTransformer().n_components is None


def test_words_in_one_text(digits: tuple[np.ndarray, np.ndarray]) -> None:
    words = "network.hidden=[4] optimizer=sgd"
    x = digits[0][:40]
    text, several = (small(overrides=said).fit(x) for said in (words, words.split()))
    np.testing.assert_array_equal(text.transform(x), several.transform(x))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model": "vea"}, "did you mean 'vae'"),
        ({"model": 3}, '3: no model\n.*latent.dim=8"$'),
        ({"n_components": 0}, "^n_components=0: must be greater than or equal to 1"),
        ({"n_components": "a"}, "^n_components=a: must be a valid integer"),
        (
            {"n_components": 3, "overrides": "latent.dim=4"},
            "n_components=3: .*\n.* 4 columns",
        ),
        ({"n_components": 3, "model": "gumbel_vae"}, "use n_components=None.*: 200 columns"),
        (
            {**IMAGES, "model": "conv_ae", "overrides": ()},
            "n_components=None.* 16 x 1 x 1 = 16 columns",
        ),
        (
            {**IMAGES, "model": "vq_vae", "overrides": ()},
            "n_components=None.* 16 x 2 x 2 = 64 columns",
        ),
        ({"model": "vae"}, "standardise=True: .*\n  use .*standardise=False"),
        (
            {"overrides": "dataset.range=unit", "standardise": True},
            "argument standardise",
        ),
        ({"overrides": "seed=3"}, "argument random_state"),
        ({"image_shape": 8}, "image_shape=8: give .channels"),
        ({"image_shape": (1, 8, 9)}, "72 numbers, a row has 64"),
        ({"overrides": ["dataset=mnist"]}, "not an option of fit"),
        ({"model": "cvae", "standardise": False}, "takes no labels\n  use conditional=false"),
        ({"epochs": -1}, "epochs=-1"),
    ],
)
def test_is_refused(
    digits: tuple[np.ndarray, np.ndarray], changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UserError, match=reason) as error:
        small(**changes).fit(digits[0][:50] / 16)
    assert len(str(error.value).splitlines()) <= 3
