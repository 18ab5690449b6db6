"""Optima that are known exactly, of the objective of real models."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from aecore.model.codes import Code
from aecore.model.noise.noises import GaussianNoise
from aecore.model.penalties.l1 import L1Penalty
from helpers.models import gen, images, linear, model, plain


def test_the_best_linear_denoiser_is_wieners() -> None:
    """Gaussian noise of variance v, rank k: sum_{i<=k} l_i v / (l_i + v) + sum_{i>k} l_i."""
    rank, std = 3, 0.2
    x = images(16, 1, 3, 3, dtype=torch.float64)
    rows = x.flatten(1)
    mean = rows.mean(0)
    values, directions = torch.linalg.eigh((rows - mean).T @ (rows - mean) / len(rows))
    values, directions = values.flip(0), directions.flip(1)
    kept, noise = values[:rank], std**2
    expected = float((kept * noise / (kept + noise)).sum() + values[rank:].sum())
    whole = model(
        image_shape=(1, 3, 3), network=linear(), latent=plain(rank), noise=GaussianNoise(std=std)
    ).double()
    encode, decode = whole.latent.project[1], whole.decoder[1]
    best = (kept / (kept + noise))[:, None] * directions[:, :rank].T
    with torch.no_grad():
        encode.weight.copy_(best)
        encode.bias.copy_(-best @ mean)
        decode.weight.copy_(directions[:, :rank])
        decode.bias.copy_(mean)
    many = x.repeat(2000, 1, 1, 1)

    def loss() -> Tensor:
        return whole.terms(many, gen(), epoch=0.0, noisy=True).loss

    found = loss()
    torch.testing.assert_close(float(found.detach()), expected, rtol=0.02, atol=0)
    found.backward()  # type: ignore[no-untyped-call]
    for parameter in whole.parameters():
        assert parameter.grad is not None and float(parameter.grad.abs().max()) < 0.02
        start = parameter.detach().clone()
        with torch.no_grad():
            for seed in range(4):
                step = torch.randn(start.shape, generator=gen(seed), dtype=start.dtype)
                parameter.copy_(start + 0.1 * step)
                assert float(loss()) > float(found.detach())
            parameter.copy_(start)


def test_the_best_sparse_code_of_an_orthonormal_dictionary_is_shrunk() -> None:
    """argmin_z |x - D z|^2 + w |z|_1 moves each D^T x towards 0 by w / 2, and stops there."""
    weight = 0.3
    whole = model(network=linear(bias=False), latent=plain(6, bias=False)).double()
    dictionary = torch.linalg.qr(torch.randn(16, 6, generator=gen(), dtype=torch.float64))[0]
    with torch.no_grad():
        whole.decoder[1].weight.copy_(dictionary)
    x = images(5, 1, 4, 4, dtype=torch.float64)
    p = whole.run(x, gen(), noisy=False, sample=False)

    def cost(z: Tensor) -> Tensor:
        error = whole.reconstruction(whole.output(z), p.x)
        return error + weight * L1Penalty()(replace(p, code=Code(z, z)))

    projected = x.flatten(1) @ dictionary
    best = projected.sign() * (projected.abs() - weight / 2).clamp_min(0)
    assert 0 < int((best == 0).sum()) < best.numel()
    for seed in range(20):
        step = torch.randn(best.shape, generator=gen(seed), dtype=best.dtype)
        for size in (1.0, 0.1, 1e-3):
            assert bool((cost(best + size * step) > cost(best)).all())
