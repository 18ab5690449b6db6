"""The dictionary: atoms of unit norm, weights that encoder and decoder share, the bias."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import nn

from aecore.api.create import create
from aecore.errors import UserError
from aecore.model.autoencoder import Autoencoder
from helpers.models import adam, gaussian, gen, images, model, plain

X = images(20, 1, 4, 4)


def dictionary(latent: Any = None, classes: int | None = None, **changes: bool) -> Autoencoder:
    options = {"tied": False, "unit_norm": False, "subtract_bias": False} | changes
    latent = plain(12) if latent is None else latent
    return model(network=create("network=dictionary", **options), latent=latent, classes=classes)


def trained(whole: Autoencoder) -> Autoencoder:
    optimizer = adam(0.01)(whole.parameter_groups())
    for _ in range(5):
        optimizer.zero_grad()
        whole.terms(X, gen(), epoch=1.0, noisy=True).loss.backward()
        optimizer.step()
    return whole


def matrices(whole: Autoencoder) -> tuple[torch.Tensor, torch.Tensor]:
    """Those of the encoder and the decoder, (units, pixels) each."""
    encoder, decoder = whole.latent.project[1], whole.decoder[1]  # type: ignore[index]
    assert isinstance(encoder, nn.Linear) and isinstance(decoder, nn.Linear)
    return encoder.weight, decoder.weight.T


def test_the_decoder_begins_as_the_transpose_and_leaves_it() -> None:
    whole = dictionary()
    assert torch.equal(*matrices(whole))
    assert not torch.equal(*matrices(trained(whole)))


def test_tied_it_stays_the_transpose() -> None:
    whole = trained(dictionary(tied=True))
    assert torch.equal(*matrices(whole))
    assert sum(p.numel() for p in whole.parameters()) == 12 * 16 + 12 + 16
    copy = deepcopy(whole).double()
    with torch.no_grad():
        matrices(copy)[0].add_(1)
    assert torch.equal(*matrices(copy))


@pytest.mark.parametrize("tied", [False, True])
def test_atoms_keep_a_norm_of_one(tied: bool) -> None:
    encoder, atoms = matrices(trained(dictionary(unit_norm=True, tied=tied)))
    torch.testing.assert_close(atoms.norm(dim=1), torch.ones(12))
    assert not torch.allclose(encoder.norm(dim=1), torch.ones(12))


def test_the_bias_is_subtracted_first() -> None:
    whole = trained(dictionary(subtract_bias=True))
    encoder, decoder = whole.latent.project[1], whole.decoder[1]  # type: ignore[index]
    assert decoder.bias.any()  # type: ignore[union-attr, operator]
    expected = encoder(X.flatten(1) - decoder.bias)  # type: ignore[operator, union-attr]
    torch.testing.assert_close(whole.encode(X).z, expected)
    torch.testing.assert_close(whole.decode(torch.zeros(1, 12)).flatten(), decoder.bias)  # type: ignore[union-attr, arg-type]


def test_classes_stand_behind_the_pixels() -> None:
    whole, y = dictionary(subtract_bias=True, classes=3), torch.arange(20) % 3
    before = whole.encode(X, y=y).z
    with torch.no_grad():
        whole.decoder[1].bias.add_(0.25)  # type: ignore[index, union-attr, operator]
    torch.testing.assert_close(whole.encode(X + 0.25, y=y).z, before)


def test_it_is_read_back(tmp_path: Any) -> None:
    whole = trained(dictionary(tied=True, unit_norm=True, subtract_bias=True))
    torch.save(whole.state_dict(), tmp_path / "weights")
    again = dictionary(tied=True, unit_norm=True, subtract_bias=True)
    again.load_state_dict(torch.load(tmp_path / "weights"))
    assert torch.equal(again.reconstruct(X), whole.reconstruct(X))
    assert again.decoder[1].bias is again.encoder[1].bias  # type: ignore[index, union-attr]


@pytest.mark.parametrize("words", [{"latent": gaussian(3)}, {"classes": 3}])
def test_what_cannot_be_tied(words: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"network\.tied=true: .* not one matrix"):
        dictionary(tied=True, **words)
    dictionary(**words)
