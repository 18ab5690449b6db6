"""A fully connected layer that trains faster on processors on which MKL is slow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def _through_onednn(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`x` (N, in), weight (out, in) -> x weight^T + bias, (N, out), by oneDNN."""
    result: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return result


def _is_faster() -> bool:
    """Whether oneDNN is available and the processor is by AMD and has AVX-512.

    MKL uses AVX-512 on processors by Intel only; without it, MKL is the faster one everywhere.
    Not determined by timing, so that results are reproducible.
    """
    try:
        _through_onednn(torch.zeros(1, 1), torch.zeros(1, 1), None)
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="ignore")
    except (AttributeError, RuntimeError, OSError):  # other builds of PyTorch, other systems
        return False
    return "AuthenticAMD" in text and torch.backends.cpu.get_cpu_capability() == "AVX512"


FASTER = _is_faster()


class _Product(torch.autograd.Function):
    """`F.linear` and its gradients by oneDNN; second derivatives by PyTorch."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _through_onednn(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (g,) = gradients
        x, weight = ctx.saved_tensors
        product = F.linear if torch.is_grad_enabled() else _through_onednn
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        return (
            product(g, weight.T, None) if needs_x else None,
            product(g.T, x.T, None) if needs_weight else None,
            g.sum(0) if needs_bias else None,
        )


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x` (N, in), weight (out, in) -> x weight^T + bias, (N, out), by the faster library.

    In training in float32 on an AMD processor with AVX-512, oneDNN is twice as fast as the MKL of
    `F.linear`.
    """
    if (
        FASTER
        and torch.is_grad_enabled()
        and x.dim() == 2
        and x.dtype == weight.dtype == torch.float32
        and x.device.type == "cpu"
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    ):
        out: Tensor = _Product.apply(x, weight, bias)
        return out
    return F.linear(x, weight, bias)


class Dense(nn.Linear):
    """A faster `nn.Linear` with the same arguments, initial weights and, up to rounding, results.

    It uses `product` in training mode, and is identical to `nn.Linear` in evaluation.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, in) -> (N, out); any leading dimensions in place of N."""
        return product(x, self.weight, self.bias) if self.training else super().forward(x)
