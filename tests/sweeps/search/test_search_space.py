"""The space of a search: every form of Hydra's grammar, and what cannot be searched."""

from __future__ import annotations

import pytest

pytest.importorskip("optuna", reason="needs the extra 'optuna'")

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from aecore.config.overrides import read
from aecore.errors import UserError
from aecore.sweeps.search.space import corners, split


def space(*overrides: str) -> dict[str, BaseDistribution]:
    """The space of overrides, in Hydra's grammar."""
    return split(read(overrides))[1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("range(2,33)", IntDistribution(2, 32)),
        ("range(4)", IntDistribution(0, 3)),
        ("range(1,11,3)", IntDistribution(1, 10, step=3)),
        ("range(10,1,-3)", IntDistribution(4, 10, step=3)),
        ("range(0,1,0.25)", FloatDistribution(0, 0.75, step=0.25)),
        ("tag(log,range(1,65))", IntDistribution(1, 64, log=True)),
        ("interval(1,2)", FloatDistribution(1, 2)),
        ("tag(log,interval(1e-4,1e-2))", FloatDistribution(1e-4, 1e-2, log=True)),
        ("int(interval(1,12))", IntDistribution(1, 12)),
        ("tag(log,int(interval(1,100)))", IntDistribution(1, 100, log=True)),
        ("2,4,8", CategoricalDistribution(("2", "4", "8"))),
        ("choice([8],[16,8])", CategoricalDistribution(("[8]", "[16,8]"))),
        ("shuffle(a,b)", CategoricalDistribution(("a", "b"))),
        ("'x y',z", CategoricalDistribution(("'x y'", "z"))),
    ],
)
def test_every_form_of_a_space(text: str, expected: BaseDistribution) -> None:
    assert space(f"k={text}") == {"k": expected}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("interval(3,1)", "interval(3,1)"),
        ("range(5,5)", "empty"),
        ("tag(log,interval(0,1))", "low"),
        ("tag(log,choice(1,2))", "log"),
        ("tag(log,range(1,9,2))", "step"),
        ("tag(log,range(0.5,2,0.5))", "use interval"),
        ("tag(lg,interval(1,2))", "no tag 'lg'"),
        ("choice(a,b,a)", "once is enough"),
    ],
)
def test_a_space_that_cannot_be_searched(text: str, told: str) -> None:
    with pytest.raises(UserError, match="k=") as caught:
        space(f"k={text}")
    assert told in str(caught.value)


def test_the_last_of_a_key_counts_and_what_is_fixed_is_kept() -> None:
    fixed, found = split(read(["a=1,2", "b=range(3)", "a=7", "b=1,2", "~c"]))
    assert [o.line for o in fixed] == ["a=7", "~c"]
    assert found == {"b": CategoricalDistribution(("1", "2"))}


def test_corners_show_both_ends_and_each_word() -> None:
    points = list(corners(space("a=interval(0,1)", "b=int(interval(3,5))", "c=x,y,z", "d=u,v")))
    assert {point["a"] for point in points} == {0, 1}
    assert {point["b"] for point in points} == {3, 5}
    assert [point["c"] for point in points] == ["x", "y", "z"]
    assert {point["d"] for point in points} == {"u", "v"}
