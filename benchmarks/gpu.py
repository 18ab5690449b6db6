"""`python benchmarks/gpu.py`: images a second on a CUDA GPU, ours against loops by hand.

Contenders: `eager`, a training step written by hand; `graph`, that step captured as a CUDA graph;
`ours`, the objective and optimizer of run.py's words, stepped eagerly; `ours, graph` and
`ours, compiled`, the same captured, and through torch.compile. `limit` is the FLOPs of a step at
the speed of a large matrix product. Says so in one line where there is no GPU; `--cpu` then tries
all that needs none, with batches of two.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import pairwise
from statistics import median

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from aecore.config.arguments import parse
from aecore.config.compose import compose
from aecore.model.autoencoder import Autoencoder
from aecore.training.setup import build_experiment
from contenders.models import Model
from options import NETWORKS

Step = Callable[[], Tensor]
CASES = {
    "MLP 784-64-784": (list(NETWORKS["shallow"].overrides), (1, 28, 28)),
    "CNN VAE 64x64x3": (["model=cnn_vae", "network.channels=[32,64,128,256]"], (3, 64, 64)),
    "ResNet VAE 64x64x3": (
        ["model=cnn_vae", "network=resnet", "network.channels=[32,64,128]", "init=default"],
        (3, 64, 64),
    ),
}
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


class VAE(nn.Module):
    """A VAE of images (N, 3, 64, 64) with a code of 20 by hand: its loss, a scalar."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, x: Tensor) -> Tensor:
        """The loss, a scalar."""
        mean, log_var = self.encoder(x).chunk(2, 1)
        output = self.decoder(mean + torch.randn_like(mean) * (0.5 * log_var).exp())
        cost = nn.functional.binary_cross_entropy_with_logits(output, x, reduction="sum")
        kl = -0.5 * (1 + log_var - mean.square() - log_var.exp()).sum()
        loss: Tensor = (cost + kl) / len(x)
        return loss


def convolutional() -> VAE:
    """The CNN VAE."""
    widths = [3, 32, 64, 128, 256]
    down: list[nn.Module] = []
    for a, b in pairwise(widths):
        down += [nn.Conv2d(a, b, 3, 2, 1), nn.ReLU()]
    up: list[nn.Module] = []
    for a, b in zip(widths[:0:-1], widths[-2::-1], strict=True):
        up += [nn.ConvTranspose2d(a, b, 3, 2, 1, 1), nn.ReLU()]
    start = [nn.Linear(20, 4096), nn.ReLU(), nn.Unflatten(1, (256, 4, 4))]
    return VAE(
        nn.Sequential(*down, nn.Flatten(), nn.Linear(4096, 40)), nn.Sequential(*start, *up[:-1])
    )


class Residual(nn.Module):
    """x + convolution(relu(norm(x))), twice (He et al. 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [nn.GroupNorm(8, width), nn.ReLU(), nn.Conv2d(width, width, 3, 1, 1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        y: Tensor = x + self.layers(x)
        return y


def residual() -> VAE:
    """The ResNet VAE."""
    widths = [3, 32, 64, 128]
    down: list[nn.Module] = []
    for a, b in pairwise(widths):
        down += [nn.Conv2d(a, b, 3, 2, 1), Residual(b)]
    down += [nn.GroupNorm(8, 128), nn.ReLU(), nn.Flatten(), nn.Linear(8192, 40)]
    up: list[nn.Module] = [nn.Linear(20, 8192), nn.Unflatten(1, (128, 8, 8))]
    for a, b in zip(widths[:0:-1], widths[-2::-1], strict=True):
        last = [nn.GroupNorm(8, a), nn.ReLU()] if b == widths[0] else []
        up += [Residual(a), *last, nn.Upsample(scale_factor=2), nn.Conv2d(a, b, 3, 1, 1)]
    return VAE(nn.Sequential(*down), nn.Sequential(*up))


BY_HAND: dict[str, Callable[[], nn.Module]] = dict(
    zip(CASES, (lambda: Model("shallow"), convolutional, residual), strict=True)
)


class Ours(nn.Module):
    """An Autoencoder's objective as a module, drawing from the GPU's own generator."""

    def __init__(self, autoencoder: Autoencoder) -> None:
        super().__init__()
        self.autoencoder = autoencoder

    def forward(self, x: Tensor) -> Tensor:
        """The loss, a scalar."""
        return self.autoencoder.terms(x, None, epoch=0.0, noisy=True).loss


def build(case: str, ours: bool) -> nn.Module:
    """A fresh model on the GPU that turns images into a loss."""
    overrides, shape = CASES[case]
    if ours:
        model = build_experiment(compose(parse(overrides)).config).components.autoencoder(
            shape, None, None
        )
        return Ours(model).to(DEVICE)
    return BY_HAND[case]().to(DEVICE)


def autocast(precision: str) -> AbstractContextManager[None]:
    """bf16 where asked for; its cache of casts cannot outlive a captured step."""
    return torch.autocast(DEVICE, torch.bfloat16, enabled=precision == "bf16", cache_enabled=False)


def stepper(model: nn.Module, x: Tensor, precision: str, capturable: bool) -> Step:
    """A training step with fused Adam; gradients keep their memory, as a graph needs."""
    optimizer = torch.optim.Adam(model.parameters(), 1e-3, fused=True, capturable=capturable)

    def step() -> Tensor:
        optimizer.zero_grad(set_to_none=not capturable)
        with autocast(precision):
            loss: Tensor = model(x)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.detach()

    return step


def graphed(step: Step) -> Step:
    """The step as one CUDA graph, after a few on a side stream."""
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(5):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = step()

    def replay() -> Tensor:
        graph.replay()
        return loss

    return replay


def wait() -> None:
    """Wait for the GPU."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def seconds(step: Step, steps: int, repeats: int) -> float:
    """Median seconds a step; the GPU is waited for once a repeat."""
    for _ in range(10):
        step()
    found = []
    for _ in range(repeats):
        wait()
        start = time.perf_counter()
        for _ in range(steps):
            loss = step()
        wait()
        found.append((time.perf_counter() - start) / steps)
    assert bool(loss.isfinite())
    return median(found)


def limit(case: str, batch: int, precision: str, repeats: int) -> float:
    """Seconds of a step's FLOPs at the speed of a product of two 8192 x 8192 matrices."""
    model, x = build(case, ours=False), torch.rand(batch, *CASES[case][1], device=DEVICE)
    with FlopCounterMode(display=False) as counter:
        loss: Tensor = model(x)
        torch.autograd.backward(loss)
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    side = 8192 if DEVICE == "cuda" else 256
    a, b = (torch.randn(side, side, device=DEVICE, dtype=kind) for _ in range(2))
    rate = 2 * side**3 / seconds(lambda: torch.mm(a, b)[0, 0], 5, repeats)
    return float(counter.get_total_flops() / rate)


def measure(case: str, batch: int, precision: str, steps: int, repeats: int) -> dict[str, float]:
    """Seconds a step of every contender."""
    x = torch.rand(batch, *CASES[case][1], device=DEVICE)

    def timed(ours: bool, how: str) -> float:
        model = build(case, ours)
        if how == "compiled":
            model = torch.compile(model)  # type: ignore[assignment]
        step = stepper(model, x, precision, capturable=how == "graph")
        return seconds(graphed(step) if how == "graph" else step, steps, repeats)

    contenders = {
        "eager": (False, "eager"),
        "graph": (False, "graph"),
        "ours": (True, "eager"),
        "ours, graph": (True, "graph"),
        "ours, compiled": (True, "compiled"),
    }
    if DEVICE == "cpu":
        contenders = {who: what for who, what in contenders.items() if what[1] == "eager"}
    found = {who: timed(*what) for who, what in contenders.items()}
    return found | {"limit": limit(case, batch, precision, repeats)}


def main() -> None:
    """Measure all cases, print one table."""
    parser = argparse.ArgumentParser(description="images a second on a CUDA GPU")
    parser.add_argument("--steps", type=int, default=100, help="of each repeat")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cpu", action="store_true", help="try what needs no GPU")
    given = parser.parse_args()
    if DEVICE == "cpu" and not given.cpu:
        print("no CUDA GPU is visible to torch: nothing was measured")
        return
    torch.backends.cuda.matmul.allow_tf32 = False  # fp32 means fp32, in convolutions too
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    name = torch.cuda.get_device_name() if DEVICE == "cuda" else "CPU"
    print(f"{name}, torch {torch.__version__}; million images a second\n")
    print("| model | batch | precision | contender | images/s (10^6) | share of limit |")
    print("|-------|-------|-----------|-----------|-----------------|----------------|")
    for case in CASES:
        for batch in (128, 1024) if DEVICE == "cuda" else (2,):
            for precision in ("fp32", "bf16"):
                found = measure(case, batch, precision, given.steps, given.repeats)
                for who, time_a_step in found.items():
                    rate, share = batch / time_a_step / 1e6, found["limit"] / time_a_step
                    print(f"| {case} | {batch} | {precision} | {who} | {rate:.3f} | {share:.1%} |")


if __name__ == "__main__":
    main()
