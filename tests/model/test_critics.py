"""Critics beside the model: whom each loss moves, and what a critic comes to know."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from aecore.data.sources.digits import Digits
from aecore.errors import UserError
from aecore.model.autoencoder import Autoencoder
from aecore.model.codes import Code, Posterior
from aecore.model.critics import ImageCritic, code_critic, frozen
from aecore.model.latents.base import Latent
from aecore.model.latents.categorical import Categorical
from aecore.model.latents.deterministic import Spatial
from aecore.model.latents.gaussian import DiagonalGaussian
from aecore.model.latents.hypersphere import Hypersphere
from aecore.model.objectives.base import Terms
from aecore.model.passes import Pass
from aecore.model.penalties.adversarial import AdversarialPenalty
from aecore.model.penalties.factor import Factor, permuted
from aecore.model.penalties.kl import KL
from aecore.model.reconstruction.adversarial import AdversarialReconstruction as AdversarialImages
from aecore.runs.checkpoint import LAST
from aecore.training.generators import epoch_seed
from aecore.training.optimizers.gradient import SGD
from aecore.types import ImageShape
from helpers.checkpoints import checkpointed, same_checkpoint
from helpers.models import adam, conv, data, fit, gaussian, gen, images, mlp, model, plain, weight
from helpers.passes import same
from helpers.training_loop import equal

Made = Callable[..., Autoencoder]


def factor(critic_lr: float = 0.01, units: int = 8, layers: int = 2) -> Factor:
    return Factor(units=units, layers=layers, critic_lr=critic_lr)


def adversarial(critic_lr: float = 0.01, units: int = 8) -> AdversarialPenalty:
    return AdversarialPenalty(units=units, layers=2, critic_lr=critic_lr)


def vae_gan(realism: float = 0.25, layer: int = 1) -> AdversarialImages:
    return AdversarialImages(realism=realism, channels=[3, 5], units=6, layer=layer, critic_lr=0.01)


def factor_vae(seed: int = 0) -> Autoencoder:
    return model(seed=seed, latent=gaussian(3), penalties={"kl": KL(), "factor": factor()})


def aae(seed: int = 0) -> Autoencoder:
    return model(seed=seed, penalties={"adversarial": adversarial()})


def images_vae(seed: int = 0) -> Autoencoder:
    return model(seed=seed, latent=gaussian(3), penalties={"kl": KL()}, reconstruction=vae_gan())


EACH = pytest.mark.parametrize("made", [factor_vae, aae, images_vae])


def normal(n: int, dim: int) -> Tensor:
    return torch.randn(n, dim, generator=gen(), dtype=torch.float64)


def terms(whole: Autoencoder, n: int = 6) -> Terms:
    x = images(n, *whole.image_shape, seed=3)
    return whole.terms(x, gen(1), epoch=1.0, noisy=True)


def with_codes(z: Tensor, whole: Autoencoder, posterior: Posterior | None, seed: int) -> Pass:
    """A pass of which only the codes matter."""
    nothing = torch.zeros(len(z), 1)
    return Pass(nothing, nothing, nothing, Code(z, z, posterior), nothing, whole, gen(seed))


@EACH
class TestEveryAdversary:
    def test_each_side_moves_its_own_weights(self, made: Made) -> None:
        whole = made()
        (rival,) = whole.adversaries.values()
        critics = {id(p) for p in rival.critic.parameters()}
        assert len(critics) > 2
        found = terms(whole)
        found.loss.backward(retain_graph=True)
        for parameter in whole.parameters():
            assert (parameter.grad is None) == (id(parameter) in critics)
        whole.zero_grad()
        (critic_loss,) = found.critics.values()
        critic_loss.backward()
        for parameter in whole.parameters():
            assert (parameter.grad is not None) == (id(parameter) in critics)

    def test_one_step_is_that_of_two_optimizers(self, made: Made) -> None:
        module = data(images(6, 1, 4, 4), batch_size=6)
        together, apart = made(), made()
        fit(together, module, epochs=1, optimizer=adam(1e-3))
        ((batch,),) = module.train_dataloader()
        found = apart.terms(batch.x, gen(epoch_seed(0, 0)), epoch=0.0, noisy=True)
        (rival,) = apart.adversaries.values()
        own = [p for p in apart.parameters() if all(p is not q for q in rival.critic.parameters())]
        sides = [adam(1e-3)(own), adam(0.01)(rival.critic.parameters())]
        for optimizer, loss in zip(sides, (found.loss, *found.critics.values()), strict=True):
            loss.backward()
            optimizer.step()
        assert equal(together.state_dict(), apart.state_dict())

    def test_each_side_is_clipped_by_its_own_norm(self, made: Made) -> None:
        whole, clip = made(), 1e-3
        sides = [group["params"] for group in whole.parameter_groups()]
        before = [torch.cat([p.detach().flatten() for p in side]) for side in sides]
        sgd = SGD(lr=1.0, momentum=0.0, nesterov=False, weight_decay=0.0)
        fit(whole, data(images(8, 1, 4, 4)), epochs=1, optimizer=sgd, clip=clip)
        steps = [
            float((torch.cat([p.detach().flatten() for p in side]) - start).norm())
            for side, start in zip(sides, before, strict=True)
        ]
        assert steps == pytest.approx([clip, 0.01 * clip], rel=1e-2)

    def test_resumed_is_going_on(self, made: Made, tmp_path: Path) -> None:
        whole, parts = tmp_path / "whole", tmp_path / "parts"
        for folder in (whole, parts):
            folder.mkdir()
        checkpointed(made(), whole, 2)
        checkpointed(made(), parts, 1)
        training = checkpointed(made(seed=8), parts, 2, resume=True)
        same_checkpoint(whole / LAST, parts / LAST)
        told = {name for name in training.train_mean.sums if name.endswith("_critic")}
        assert told == {f"{name}_critic" for name in made().adversaries}


def test_frozen_weights_get_no_gradient_but_the_input_does() -> None:
    critic = code_critic(3, units=4, layers=2).double()
    z = normal(5, 3).requires_grad_()
    (expected,) = torch.autograd.grad(critic(z).sum(), z)
    found = frozen(critic, z)
    assert torch.equal(found, critic(z))
    found.sum().backward()
    assert z.grad is not None and torch.equal(z.grad, expected)
    assert all(weight.grad is None for weight in critic.parameters())


class TestFactor:
    @pytest.mark.parametrize("rho", [0.9, 0.0])
    def test_comes_to_the_total_correlation(self, rho: float) -> None:
        """Of two normal numbers of correlation rho: -log(1 - rho^2) / 2, so 0.8304 and 0."""
        penalty = factor(units=64)
        whole = model(latent=gaussian(2), penalties={"factor": penalty})
        (rival,) = whole.adversaries.values()
        draws = gen(5)

        def drawn(n: int, step: int) -> Pass:
            z = torch.randn(n, 2, generator=draws)
            z[:, 1] = rho * z[:, 0] + math.sqrt(1 - rho**2) * z[:, 1]
            return with_codes(z, whole, DiagonalGaussian(z, torch.zeros_like(z)), step)

        optimizer = torch.optim.Adam(rival.critic.parameters(), lr=5e-3)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 200)
        for step in range(200):
            optimizer.zero_grad()
            rival.critic_loss(drawn(512, step)).mean().backward()
            optimizer.step()
            schedule.step()
        costs = whole.penalties["factor"](drawn(20_000, 200))
        assert costs.shape == (20_000,)
        assert float(costs.mean()) == pytest.approx(-0.5 * math.log(1 - rho**2), abs=0.05)

    @pytest.mark.parametrize("made", [factor_vae, aae])
    def test_a_critic_that_knows_nothing_costs_log_two(self, made: Made) -> None:
        whole = made().double()
        (rival,) = whole.adversaries.values()
        for one in rival.critic.parameters():
            torch.nn.init.zeros_(one)
        loss = rival.critic_loss(with_codes(normal(5, 3), whole, None, seed=2))
        assert loss.detach().mean().item() == pytest.approx(math.log(2))

    @pytest.mark.parametrize("made", [factor_vae, aae])
    def test_the_critic_judges_what_was_drawn(self, made: Made) -> None:
        whole = made().double()
        (name,) = whole.adversaries
        z = normal(5, 3)
        drawn, still = (
            replace(with_codes(z, whole, None, seed=2), code=Code(z, mean))
            for mean in (torch.zeros_like(z), z)
        )
        same(whole.penalties[name](drawn), whole.penalties[name](still))
        drawn.generator.manual_seed(2)  # type: ignore[union-attr]
        losses = [whole.adversaries[name].critic_loss(p) for p in (drawn, still)]
        same(*losses)

    def test_a_code_of_one_part_has_none(self) -> None:
        latent = Categorical(
            variables=1, categories=3, temperature=0.5, temperature_end=0.5, epochs=1, hard=False
        )
        for one in (latent, Hypersphere(dim=3)):
            with pytest.raises(UserError, match="no independent parts"):
                model(latent=one, penalties={"kl": KL(), "factor": factor()})

    def test_permuted_parts_keep_their_values_and_lose_their_company(self) -> None:
        z = normal(50, 6)
        mixed = permuted(z, 3, gen(2))
        company = z.view(50, 3, 2), mixed.view(50, 3, 2)
        for part in range(3):
            before, after = (codes[:, part] for codes in company)
            order = after[:, 0].argsort(), before[:, 0].argsort()
            assert torch.equal(after[order[0]], before[order[1]])
            assert not torch.equal(after, before)
        pairs = {tuple(row) for row in z[:, [0, 2]].tolist()}
        assert sum(tuple(row) in pairs for row in mixed[:, [0, 2]].tolist()) < 10

    def test_needs_a_posterior(self) -> None:
        with pytest.raises(UserError, match="penalty=factor: this latent has no posterior"):
            model(penalties={"factor": factor()})


class TestAdversarialCodes:
    def test_digits_come_nearer_to_the_prior(self) -> None:
        x = Digits().load("train", Path()).pixels(torch.arange(640))

        def gap(weighs: float) -> float:
            """How far means and deviations of the codes are from 0 and 1."""
            whole = model(
                image_shape=(1, 8, 8),
                network=mlp(32, activation="relu"),
                latent=plain(2),
                penalties={"adversarial": adversarial(1e-3, units=32)},
                weights={"adversarial": weight(weighs)},
            )
            fit(whole, data(x, batch_size=32), epochs=20, optimizer=adam(3e-3))
            codes = whole.eval().encode(x).mean.detach()
            return float(codes.mean(0).abs().max() + (codes.std(0) - 1).abs().max())

        with_it, without = gap(1.0), gap(0.0)
        assert with_it < 0.5 < without

    def test_makes_images_of_codes_without_a_posterior(self) -> None:
        assert aae().can_sample and not model().can_sample
        assert aae().sample(5, gen()).shape == (5, 1, 4, 4)

    def test_takes_maps(self) -> None:
        latent = Spatial(channels=2, activation=None)
        whole = model(
            image_shape=(1, 8, 8),
            network=conv(3),
            latent=latent,
            penalties={"adversarial": adversarial()},
        )
        assert torch.isfinite(terms(whole).loss)


class TestAdversarialImages:
    @pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 13), (1, 4, 4), (1, 1, 7), (2, 3, 3)])
    def test_any_image_has_a_critic(self, shape: ImageShape) -> None:
        """Convolutions where two halvings fit, else fully connected layers; alone in its batch."""
        critic = ImageCritic(shape, [3, 5], units=6, layer=1).double()
        x = images(4, *shape, dtype=torch.float64)
        assert critic(x).shape == (4,)
        same(torch.cat([critic(one[None]) for one in x]), critic(x))
        convolved = any(isinstance(part, nn.Conv2d) for part in critic.modules())
        assert convolved == (min(shape[1:]) >= 4)

    def test_compares_features(self) -> None:
        whole = images_vae().double()
        x, output = (images(4, 1, 4, 4, seed=s, dtype=torch.float64) for s in (1, 2))
        reconstruction = whole.reconstruction
        assert isinstance(reconstruction, AdversarialImages)
        wanted, seen = (reconstruction.critic.trunk(i).flatten(1) for i in (x, output.sigmoid()))
        assert seen.shape == (4, 3 * 2 * 2)
        same(reconstruction(output, x), 0.5 * (seen - wanted).square().sum(1))
        same(reconstruction(x.logit(), x), torch.zeros(4, dtype=torch.float64))

    def test_only_the_decoder_deceives(self) -> None:
        """As in algorithm 1 of the paper: no gradient of it comes to the encoder."""
        found = []
        for realism in (0.0, 0.5):
            whole = model(
                latent=gaussian(3), penalties={"kl": KL()}, reconstruction=vae_gan(realism)
            )
            terms(whole).loss.backward()
            found.append(
                {name: p.grad for name, p in whole.named_parameters() if p.grad is not None}
            )
        for name, gradient in found[0].items():
            moved = not torch.allclose(gradient, found[1][name], rtol=1e-4, atol=1e-6)
            assert moved == name.startswith("decoder"), name

    def test_both_kinds_of_fakes(self) -> None:
        """The decoder's cost sums over codes of images and of the prior; the critic's averages."""
        whole = images_vae().double()
        reconstruction = whole.reconstruction
        assert isinstance(reconstruction, AdversarialImages)
        x = images(5, 1, 4, 4, dtype=torch.float64)
        p = whole.run(x, gen(1), noisy=False, sample=True)
        drawn = torch.randn(5, 3, generator=gen(4), dtype=torch.float64)
        real, *fakes = (
            reconstruction.critic(i) for i in (x, p.output.sigmoid(), whole.decode(drawn))
        )
        cost = reconstruction.costs(replace(p, generator=gen(4)))["realism"]
        same(cost, -0.25 * 12 * sum(logits.sigmoid().log() for logits in fakes))
        loss = reconstruction.critic_loss(replace(p, generator=gen(4)))
        halves = real.sigmoid().log(), sum((-logits).sigmoid().log() for logits in fakes) / 2
        same(loss, -(halves[0] + halves[1]) / 2)

    @pytest.mark.parametrize("latent", [plain(3), gaussian(3)], ids=type)
    def test_without_a_prior_codes_of_images_alone(self, latent: Latent) -> None:
        whole = model(latent=latent, reconstruction=vae_gan())
        p = whole.run(images(5, 1, 4, 4), gen(), noisy=False, sample=True)
        state = p.generator.get_state()  # type: ignore[union-attr]
        whole.reconstruction.costs(p)
        drew = not torch.equal(state, p.generator.get_state())  # type: ignore[union-attr]
        assert drew == latent.variational

    def test_pixels_are_the_sigmoid_unless_the_network_says_otherwise(self) -> None:
        z = normal(4, 3).float()
        own = model(reconstruction=vae_gan())
        assert torch.equal(own.decode(z), own.output(z).sigmoid())
        said = model(network=mlp(6, output_activation="sigmoid"), reconstruction=vae_gan())
        assert torch.equal(said.decode(z), said.output(z))
        wide = model(
            shift=torch.zeros(1, 1, 1), scale=torch.ones(1, 1, 1), reconstruction=vae_gan()
        )
        assert torch.equal(wide.decode(z), wide.output(z))

    def test_a_layer_that_is_not_there(self) -> None:
        with pytest.raises(UserError, match="layer=3: the critic has only 2 layers"):
            vae_gan(layer=3)
