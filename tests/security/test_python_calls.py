"""Random calls of the Python interface: done, or refused in a few lines."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

import aecore
from aecore.errors import NonFiniteError, UserError
from aecore.sklearn import AutoencoderTransformer
from helpers.python_calls import call


@pytest.fixture(scope="module")
def trained() -> list[aecore.Trained]:
    """One of each kind: variational, conditional, of a table."""
    images = np.random.default_rng(0).random((20, 1, 4, 4), dtype=np.float32)
    small = "latent.dim=2 network.hidden=[4]"
    table = f"ae {small} dataset.range=standardised reconstruction=mse"
    return [
        aecore.fit(f"vae {small}", images, epochs=1),
        aecore.fit(f"cvae {small}", images, np.arange(20) % 3, epochs=1),
        aecore.fit(table, images.reshape(20, 16), epochs=1),
    ]


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


ONCE = {  # calls that ended in an error of torch, NumPy or the system
    "classes": lambda ae: aecore.Autoencoder(
        image_shape=(1, 4, 4), network=aecore.create("network=mlp"),
        latent=aecore.create("latent=gaussian"), classes=2**70,
    ),
    "penalties": lambda ae: aecore.Autoencoder(
        image_shape=(1, 4, 4), network=aecore.create("network=mlp"),
        latent=aecore.create("latent=gaussian"), penalties=np.zeros(2),  # type: ignore[arg-type]
    ),
    "no pixels": lambda ae: aecore.fit("ae", np.zeros((6, 0), np.float32)),
    "standardise": lambda ae: AutoencoderTransformer(standardise=np.zeros(2)).fit(np.eye(6)),
    "a long name": lambda ae: aecore.load("9" * 5000),
    "a folder of code": lambda ae: aecore.load("run", config_dir=False),  # type: ignore[arg-type]
    "how many": lambda ae: ae.sample(2**70),
    "how warm": lambda ae: ae.sample(2, temperature="warm"),
    "whether": lambda ae: ae.encode(np.zeros((1, 4, 4), np.float32), sample=np.zeros(2)),
    "by what": lambda ae: ae.score(np.zeros((1, 4, 4), np.float32), by=np.zeros(2)),
    "where": lambda ae: aecore.fit("ae", np.zeros((6, 4, 4), np.float32), device=2**70),  # type: ignore[arg-type]
    "how long": lambda ae: aecore.fit("ae", np.zeros((6, 4, 4), np.float32), epochs=np.zeros(3)),  # type: ignore[arg-type]
}  # fmt: skip


@pytest.mark.parametrize("function", ONCE.values(), ids=ONCE)
def test_calls_that_once_ended_otherwise(
    function: Callable[[Any], Any], trained: list[aecore.Trained]
) -> None:
    with pytest.raises(UserError) as raised:
        function(trained[0])
    assert len(str(raised.value).splitlines()) <= 3


@seed(0)
@settings(max_examples=1000, deadline=None, database=None)
@given(draw=st.randoms(use_true_random=False))
def test_every_call_is_done_or_refused(trained: list[aecore.Trained], draw: Random) -> None:
    with TemporaryDirectory() as folder:
        name, function = call(draw, trained, Path(folder, "run"))
        try:
            function()
        except (UserError, NonFiniteError) as error:
            text = str(error)
            assert len(text.splitlines()) <= 3 and len(text) < 3100
        except (TypeError, ValueError):
            if not name.startswith("transformer"):  # its arrays are checked by scikit-learn
                raise
