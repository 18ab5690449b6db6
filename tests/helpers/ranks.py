"""What one of several processes does to a codebook; imported by each of them."""

from __future__ import annotations

import torch
from torch import Tensor

from aecore.model.latents.codebook import Codebook


def points(n: int, width: int, seed: int = 0) -> Tensor:
    """(n, width) normal numbers."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, width, generator=generator, dtype=torch.float64)


def codebook(
    vectors: Tensor, *, learned: bool = False, decay: float = 0.0, restart_below: float = 0.0
) -> Codebook:
    """A codebook of those vectors with uniform usage."""
    made = Codebook(*vectors.shape, learned=learned, decay=decay, restart_below=restart_below).to(
        vectors.dtype
    )
    with torch.no_grad():
        made.vectors.copy_(vectors)
        made.usage.fill_(1)
    return made


def share(rank: int, start: str, folder: str) -> None:
    """Learn from 30 points of its own, start another codebook, and save both."""
    torch.distributed.init_process_group("gloo", init_method=start, rank=rank, world_size=2)
    x = points(30, 3, seed=10 + rank)
    made = codebook(points(4, 3), decay=0.5)
    made.learn(x, made(x))
    fresh = Codebook(4, 3, learned=False, decay=0.5, restart_below=0.1).double()
    fresh.restart_dead(x, torch.Generator().manual_seed(rank))
    grouped = Codebook(4, 3, learned=False, decay=0.5, restart_below=0.1, kmeans=3).double()
    grouped.restart_dead(x, torch.Generator().manual_seed(rank))
    state = {"vectors": made.vectors, "usage": made.usage, "fresh": fresh.vectors}
    state["grouped"] = grouped.vectors
    torch.save(state, f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()
