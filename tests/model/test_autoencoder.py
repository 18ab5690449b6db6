"""The sentence: what each call promises, for every latent; one reduction; the model's own range."""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from aecore.model.autoencoder import Autoencoder
from aecore.model.latents.deterministic import Spatial
from aecore.model.noise.noises import Dropout
from aecore.model.objectives.base import Terms
from aecore.model.penalties.kl import KL
from aecore.model.penalties.l1 import L1Penalty
from aecore.model.reconstruction.bernoulli import Bernoulli
from aecore.model.reconstruction.errors import MSE
from aecore.model.reconstruction.gaussian import GaussianLikelihood
from helpers.models import contractive, conv, gaussian, gen, images, mlp, model, plain, weight


def sentences() -> dict[str, dict[str, Any]]:
    """The words of many kinds of models, made anew."""
    return {
        "plain": {},
        "vae": {"latent": gaussian(3), "penalties": {"kl": KL()}},
        "sparse": {"penalties": {"l1": L1Penalty()}},
        "map": {"network": conv(3), "latent": Spatial(channels=None, activation=None)},
        "contractive": {"network": conv(3), "penalties": {"contractive": contractive("estimate")}},
        "denoising": {"noise": Dropout(p=0.5), "network": mlp(6, norm="batch", dropout=0.3)},
        "bernoulli": {"reconstruction": Bernoulli(targets="stochastic", threshold=0.5)},
        "learned": {"reconstruction": GaussianLikelihood(scale="learned"), "latent": gaussian(2)},
        "standardised": {"shift": torch.full((1, 1, 1), 0.4), "scale": torch.full((1, 1, 1), 0.2)},
    }


def say(name: str, seed: int = 0) -> Autoencoder:
    return model(seed=seed, **sentences()[name])


@pytest.mark.parametrize("name", sentences())
class TestEverySentence:
    def test_shapes(self, name: str) -> None:
        whole, x = say(name), images(5, 1, 4, 4)
        p = whole.run(x, gen(), noisy=True, sample=True)
        assert p.x.shape == p.x_in.shape == p.output.shape == (5, 1, 4, 4)
        assert p.code.z.shape == p.code.mean.shape == (5, *whole.code_shape)
        assert p.model is whole
        assert whole.decode(p.code.z).shape == whole.reconstruct(x).shape == (5, 1, 4, 4)

    def test_the_generator_is_all_the_randomness(self, name: str) -> None:
        whole, x = say(name).eval(), images(5, 1, 4, 4)

        def terms(global_seed: int, seed: int) -> list[float]:
            torch.manual_seed(global_seed)
            found = whole.terms(x, gen(seed), epoch=0, noisy=True)
            return [float(v.detach()) for v in (found.loss, *found.values.values())]

        assert terms(1, 0) == terms(2, 0)

    def test_reconstruct_has_no_randomness(self, name: str) -> None:
        whole, x = say(name).eval(), images(5, 1, 4, 4)
        assert torch.equal(whole.reconstruct(x), whole.reconstruct(x))
        assert torch.equal(whole.reconstruct(x), whole.decode(whole.encode(x).mean))

    def test_saved_is_loaded(self, name: str) -> None:
        whole, x = say(name, 1).eval(), images(5, 1, 4, 4)
        buffer = io.BytesIO()
        torch.save(whole.state_dict(), buffer)
        buffer.seek(0)
        again = say(name, 2).eval()
        before = whole.reconstruct(x)
        assert not torch.equal(before, again.reconstruct(x))
        again.load_state_dict(torch.load(buffer, weights_only=True))
        assert torch.equal(before, again.reconstruct(x))

    def test_a_pure_function_of_its_parameters(self, name: str) -> None:
        """As torch.func wants it: other weights put in give what a model of those weights gives."""
        whole, x = say(name).eval(), images(5, 1, 4, 4)
        doubled = {k: v.detach() * 2 for k, v in whole.named_parameters()}

        def loss(weights: dict[str, Tensor]) -> Tensor:
            return functional_call(Loss(whole), {f"whole.{k}": v for k, v in weights.items()}, (x,))

        found = loss(doubled)
        with torch.no_grad():
            for parameter in whole.parameters():
                parameter.mul_(2)
        torch.testing.assert_close(found, Loss(whole)(x))


class Loss(torch.nn.Module):
    def __init__(self, whole: Autoencoder) -> None:
        super().__init__()
        self.whole = whole

    def forward(self, x: Tensor) -> Tensor:
        return self.whole.terms(x, gen(), epoch=0, noisy=True).loss


class TestReduction:
    @pytest.mark.parametrize("name", ["plain", "vae", "sparse", "map", "standardised", "learned"])
    def test_the_loss_is_the_mean_over_images(self, name: str) -> None:
        """Without randomness a loss of many images is the mean of the losses of each."""
        whole = say(name).double().eval()
        x = images(6, 1, 4, 4, dtype=torch.float64)

        def terms(images: Tensor) -> list[float]:
            p = whole.run(images, None, noisy=False, sample=False)
            costs = [whole.reconstruction(p.output, p.x)]
            costs += [penalty(p) for penalty in whole.penalties.values()]
            assert all(cost.shape == (len(images),) for cost in costs)
            return [float(cost.mean().detach()) for cost in costs]

        alone = torch.tensor([terms(x[i : i + 1]) for i in range(6)], dtype=torch.float64)
        assert terms(x) == pytest.approx(alone.mean(0).tolist(), rel=1e-12)

    def test_sums_over_pixels(self) -> None:
        """Twice the image is twice the cost."""
        output, x = images(3, 2, 4, 4), images(3, 2, 4, 4, seed=1)
        for cost in (
            MSE(),
            GaussianLikelihood(scale=0.3),
            Bernoulli(targets="soft", threshold=0.5),
        ):
            once = cost(output, x)
            wide = cost(torch.cat([output, output], 3), torch.cat([x, x], 3))
            torch.testing.assert_close(wide, 2 * once)

    def test_terms(self) -> None:
        values = {
            "reconstruction": torch.tensor(2.0),
            "a": torch.tensor(3.0),
            "b": torch.tensor(5.0),
        }
        assert float(Terms(values, {"reconstruction": 1.0, "a": 0.5, "b": 1.0}).loss) == 8.5
        assert float(Terms(values, {"reconstruction": 1.0, "a": 0.0, "b": 2}).loss) == 12
        alone = {"reconstruction": torch.tensor(2.0)}
        assert float(Terms(alone, {"reconstruction": 1.0}).loss) == 2

    def test_a_term_of_weight_zero_is_no_part_of_the_loss(self) -> None:
        values = {"reconstruction": torch.tensor(2.0), "a": torch.tensor(float("inf"))}
        assert float(Terms(values, {"reconstruction": 1.0, "a": 0.0}).loss) == 2


class TestRange:
    def test_there_and_back(self) -> None:
        shift, scale = images(3, 1, 1), images(3, 1, 1, seed=1) + 0.1
        whole = model(image_shape=(3, 4, 4), shift=shift, scale=scale)
        x = images(50, 3, 4, 4)
        inner = whole.normalise(x)
        torch.testing.assert_close(inner, (x - shift) / scale)
        torch.testing.assert_close(whole.denormalise(inner), x, rtol=1e-5, atol=1e-6)
        assert torch.equal(whole.run(x, None, noisy=False, sample=False).x, inner)

    def test_the_unit_range_is_left_alone(self) -> None:
        x = images(5, 1, 4, 4)
        whole = model()
        assert whole.normalise(x) is x and whole.denormalise(x) is x and not whole.standardised

    def test_columns_of_a_table(self) -> None:
        shift, scale = images(1, 1, 6), images(1, 1, 6, seed=1) + 0.1
        whole = model(image_shape=(1, 1, 6), shift=shift, scale=scale)
        x = images(5, 1, 1, 6)
        for column in range(6):
            expected = (x[..., column] - shift[..., column]) / scale[..., column]
            torch.testing.assert_close(whole.normalise(x)[..., column], expected)

    def test_statistics_are_part_of_the_weights(self) -> None:
        state = say("standardised").state_dict()
        assert float(state["shift"]) == pytest.approx(0.4)
        assert float(state["scale"]) == pytest.approx(0.2)

    def test_outputs_are_pixels(self) -> None:
        whole = say("standardised")
        z = whole.encode(images(5, 1, 4, 4)).mean
        torch.testing.assert_close(whole.decode(z), whole.decoder(z) * 0.2 + 0.4)


class TestSampling:
    def test_decodes_draws_of_the_prior(self) -> None:
        whole = model(latent=gaussian(3), reconstruction=Bernoulli(targets="soft", threshold=0.5))
        z = torch.empty(7, 3).normal_(generator=gen(4))
        assert torch.equal(whole.sample(7, gen(4)), whole.decode(z))
        assert whole.sample(7, gen(4)).shape == (7, 1, 4, 4)
        assert not torch.equal(whole.sample(7, gen(4)), whole.sample(7, gen(5)))

    def test_in_double_precision(self) -> None:
        assert model(latent=gaussian(3)).double().sample(2, gen()).dtype == torch.float64


def test_weights_follow_the_epoch() -> None:
    whole = model(
        latent=gaussian(3),
        penalties={"kl": KL(), "l1": L1Penalty()},
        weights={"kl": weight(4.0, "linear", 2), "l1": weight(1.0, "cyclic", 4)},
    )
    x = images(3, 1, 4, 4)
    for epoch, kl, l1 in ((0, 0, 0), (1, 2, 0.5), (3, 4, 1), (float("inf"), 4, 1)):
        found = whole.terms(x, gen(), epoch=epoch, noisy=True).weights
        assert dict(found) == {"reconstruction": 1, "kl": kl, "l1": l1}


def test_a_code_as_large_as_asked_for() -> None:
    assert model(latent=plain(7)).code_shape == (7,)
    whole = model(
        image_shape=(3, 9, 8), network=conv(4, 5), latent=Spatial(channels=2, activation=None)
    )
    assert whole.code_shape == (2, 3, 2)
