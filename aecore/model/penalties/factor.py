"""The penalty of the FactorVAE: the total correlation of the codes, by a critic."""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from typing_extensions import override

from aecore.errors import UserError
from aecore.model.codes import at_least_float32
from aecore.model.critics import fake_loss, frozen, real_loss
from aecore.model.passes import Model, Pass
from aecore.model.penalties.checks import need_parts, need_posterior, parts_of
from aecore.model.penalties.code_adversary import CodeAdversary


class Factor(CodeAdversary):
    """log q(z) - log prod_j q(z_j) at each sampled code, by a critic; its mean is TC(z), in nats.

    Kim & Mnih 2018, eq. 2 and 3 and algorithm 1, with `kl` of weight 1; the weight is their
    gamma. The critic discriminates codes of the batch from codes with each part (a dimension, or a
    variable of a categorical code) permuted over the images; the logit of the optimal critic is the
    log ratio of the two densities. The paper permutes a second batch; permuting the same one needs
    no second pass, and leaves a share 1/N of the parts in place.

    units, layers: of the critic, fully connected; the paper's are 1000 and 6.
    """

    @override
    def connect(self, model: Model) -> None:
        super().connect(model)
        self.parts = parts_of(model)

    @override
    def forward(self, p: Pass) -> Tensor:
        return at_least_float32(frozen(self.critic, p.code.z))

    @override
    def critic_loss(self, p: Pass) -> Tensor:
        z = p.code.z.detach().flatten(1)
        both = torch.cat([z, permuted(z, self.parts, p.generator)])
        joint, product = self.critic(both).chunk(2)
        return 0.5 * (real_loss(joint) + fake_loss(product))

    @override
    def check(self, model: Model) -> None:
        need_posterior(model, "factor")
        need_parts(model, "factor")
        if model.latent.uneven:
            raise UserError(
                "penalty=factor: it permutes parts of equal width, and this latent's differ",
                "use latent=gaussian, or penalty=total_correlation",
            )


def permuted(z: Tensor, parts: int, generator: Generator | None) -> Tensor:
    """Codes (N, dim) with each of `parts` blocks of equal width permuted over images separately."""
    keys = torch.rand((len(z), parts), generator=generator, device=z.device)
    order = keys.argsort(0).repeat_interleave(z.shape[1] // parts, 1)
    return z.gather(0, order)
