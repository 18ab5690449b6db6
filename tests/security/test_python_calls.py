"""Random calls of the Python interface: done, or refused in a few lines."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

import aecore
from aecore.errors import NonFiniteError, UserError
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
