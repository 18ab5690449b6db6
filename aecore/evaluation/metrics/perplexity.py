"""How many of the code words are used."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from aecore.config.component import component
from aecore.errors import NotApplicable
from aecore.evaluation.metrics.base import Metric, Subject


class Perplexity(Metric):
    """`perplexity`: so many code words, used alike, would be as hard to guess as those of the test.

    That is exp of the entropy of the words of all test images together, from 1 to their number.
    `codes_used`: the share of the words that any of these images uses. `code_bits`: what the words
    of an image cost where all are taken for equally likely, as no learned prior tells more.

    Where the places of a code choose each from words of its own (the variables of a categorical
    code), the entropy and the share are means over the places.
    """

    @component
    def __init__(self) -> None: ...

    def __call__(self, subject: Subject) -> dict[str, float]:
        """Raises NotApplicable for codes that are no words."""
        codes = subject.model.latent.codes
        if codes is None:
            raise NotApplicable("the code is made of numbers, not of code words")
        found = torch.cat([words(subject, x, y) for x, y in subject.labelled(subject.test)])
        groups = found.flatten()[None] if subject.model.latent.shared_codes else found.T
        counts = [group.unique(return_counts=True)[1].double() for group in groups]
        entropies = [float(torch.special.entr(n / n.sum()).sum()) for n in counts]
        used = sum(len(n) for n in counts) / (codes * len(counts))
        return {
            "perplexity": math.exp(sum(entropies) / len(entropies)),
            "codes_used": used,
            "code_bits": found.shape[1] * math.log2(codes),
        }


def words(subject: Subject, x: Tensor, y: Tensor | None) -> Tensor:
    """Which words the codes of pixels (n, C, H, W) are made of: (n, places) int64 on the CPU."""
    indices = subject.model.encode(x, y=y).indices
    assert indices is not None, "a latent with code words says which it chose"
    return indices.flatten(1).cpu()
