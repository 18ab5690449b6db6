"""What codes cost to store: lengths against closed forms, and what is lost."""

from __future__ import annotations

import csv
import io
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import aecore
from aecore.cli import main
from aecore.data.split import Split
from aecore.evaluation.metrics.images import psnr, squared_error
from aecore.evaluation.trial import Trial
from aecore.model.latents.base import Latent
from aecore.model.latents.categorical import Categorical
from aecore.model.latents.fsq import FSQ
from aecore.model.latents.vq import VQ
from aecore.model.penalties.kl import KL
from aecore.tasks.compressing.lossless import PNG_FRAME, as_stored, png_bytes, zlib_bytes
from aecore.tasks.compressing.rates import Row, code_rows
from aecore.tasks.compressing.tables import Grid, Tables, deviation
from helpers.models import conv, gaussian, gen, images, model, plain

TINY = ["model=pca", "latent.dim=4", "logger=none", "figures=none", "trainer.threads=1",
        "hydra.run.dir=run"]  # fmt: skip


class TestTables:
    def test_numbers_that_are_alike_take_their_logarithm(self) -> None:
        numbers = torch.arange(60).view(-1, 1) % torch.tensor([[4, 5, 6]])
        low, high = torch.zeros(3, dtype=torch.int64), torch.tensor([3, 4, 5])
        tables = Tables(numbers, low, high)
        wanted = math.log2(4 * 5 * 6)
        assert tables.fixed == pytest.approx(wanted)
        torch.testing.assert_close(tables.length(numbers), torch.full((60,), wanted).double())

    @pytest.mark.parametrize("shared", [False, True])
    def test_is_the_sum_over_places(self, shared: bool) -> None:
        seen = torch.randint(-2, 3, (40, 3), generator=gen(1))
        low = torch.full((3,), -2)
        tables = Tables(seen, low, low + 4, shared=shared)
        new = torch.randint(-2, 3, (7, 3), generator=gen(2))
        for row, found in zip(new.tolist(), tables.length(new).tolist(), strict=True):
            bits = 0.0
            for place, number in enumerate(row):
                column = seen if shared else seen[:, place]
                count = int((column == number).sum())
                bits -= math.log2((count + 0.5) / (column.numel() + 2.5))
            assert found == pytest.approx(bits)

    def test_approaches_the_entropy(self) -> None:
        p = torch.tensor([0.7, 0.2, 0.1])
        numbers = torch.multinomial(p, 20_000, replacement=True, generator=gen()).view(-1, 1)
        zero = torch.zeros(1, dtype=torch.int64)
        mean = float(Tables(numbers, zero, zero + 2).length(numbers).mean())
        assert mean == pytest.approx(-float((p * p.log2()).sum()), abs=0.02)


class TestGrid:
    def test_is_at_most_half_a_step_off(self) -> None:
        codes = torch.randn(50, 4, generator=gen())
        for step in (1.0, 0.3, 1e-3):
            grid = Grid(step, codes)
            again = grid.codes(grid.numbers(codes))
            assert float((again - codes).abs().max()) <= step / 2 * (1 + 1e-5)

    def test_zeros_stay_and_outliers_become_the_nearest(self) -> None:
        grid = Grid(0.5, torch.tensor([[0.0, -1.1], [2.2, 0.0]]))
        outliers = torch.tensor([[9.0, -9.0], [0.1, 0.2]])
        wanted = torch.tensor([[2.0, -1.0], [0.0, 0.0]])
        assert torch.equal(grid.codes(grid.numbers(outliers)), wanted)

    def test_of_codes_that_never_change_costs_nothing(self) -> None:
        codes = torch.full((5, 2), 0.3)
        assert deviation(codes) == 1
        grid = Grid(1.0, codes)
        assert grid.tables.fixed == 0
        assert float(grid.tables.length(grid.numbers(codes)).sum()) == 0


def rows_of(whole: Any, x: Tensor, steps: list[float], y: Tensor | None = None) -> list[Row]:
    trial = Trial(whole.eval(), Split(x, y), batch_size=5)
    with torch.no_grad():
        return code_rows(trial, trial, steps)


def test_a_tiny_step_loses_nothing_and_less_is_lost_by_smaller_steps() -> None:
    x = images(24, 1, 4, 4)
    *rounded, exact = rows_of(model(latent=plain(5)), x, [0.25, 1e-5, 4])
    assert [row.step for row in rounded] == [4, 0.25, 1e-5]
    coarse, middle, fine = rounded
    assert fine.mse == pytest.approx(exact.mse, rel=1e-6)
    assert abs(middle.mse - exact.mse) < abs(coarse.mse - exact.mse)
    assert 0 < coarse.bits < middle.bits < fine.bits
    assert (exact.fixed, exact.coded) == (32 * 5, None)


def discrete(name: str) -> Latent:
    if name == "vq":
        ema: dict[str, Any] = {"update": "ema", "decay": 0.9, "restart_below": 0.1}
        return VQ(codebook_size=8, dim=3, tokens=None, commitment=0.25, **ema)
    if name == "fsq":
        return FSQ(levels=[4, 3], tokens=None)
    return Categorical(
        variables=3, categories=5, temperature=1.0, temperature_end=0.5, epochs=1, hard=False
    )


@pytest.mark.parametrize(("name", "fixed"), [
    ("vq", 2 * 2 * 3), ("fsq", 2 * 2 * math.log2(12)), ("categorical", 3 * math.log2(5)),
])  # fmt: skip
def test_code_words_cost_their_logarithm_and_make_the_images(name: str, fixed: float) -> None:
    whole, x = model(network=conv(5), latent=discrete(name)).eval(), images(30, 1, 4, 4)
    with torch.no_grad():
        code = whole.encode(x)
        assert code.indices is not None
        made = whole.latent.decode_indices(code.indices)
    if name == "categorical":  # the likeliest category of each variable
        assert torch.equal(made.view(30, 3, 5).argmax(-1), code.mean.view(30, 3, 5).argmax(-1))
        assert torch.equal(made.view(30, 3, 5).sum(-1), torch.ones(30, 3))
    else:
        assert torch.equal(made, code.z)
    row = rows_of(whole, x, [1])[0]
    assert row.name == "codebook entries"
    assert row.fixed == pytest.approx(fixed)
    assert row.mse == pytest.approx(float(squared_error(whole.decode(made), x).mean().detach()))


def test_a_class_and_a_drawn_code() -> None:
    whole = model(latent=gaussian(2), penalties={"kl": KL()}, classes=4)
    x, y = images(20, 1, 4, 4), torch.arange(20) % 4
    _, drawn, exact = rows_of(whole, x, [1], y)
    with torch.no_grad():
        nats = float(whole.prior_density.kl(whole.encode(x, y=y)).sum(1).mean())
    assert drawn.coded == pytest.approx(nats / math.log(2) + 2, rel=1e-5)  # 2 bits are the class
    assert exact.fixed == 32 * 2 + 2


def test_files_are_those_that_pillow_and_zlib_write() -> None:
    grey = as_stored(images(3, 1, 9, 7))
    colour = as_stored(images(3, 3, 9, 7))
    sizes = []
    for picture in (Image.fromarray(a) for a in grey[:, 0].numpy()):
        file = io.BytesIO()
        picture.save(file, "png", optimize=True)
        assert np.array_equal(np.array(Image.open(file)), np.array(picture))
        sizes.append(len(file.getvalue()))
    assert png_bytes(grey) == sum(sizes) / 3
    raw = [a.transpose(1, 2, 0).tobytes() for a in colour.numpy()]
    assert zlib_bytes(colour) == sum(len(zlib.compress(r, 9)) for r in raw) / 3
    assert png_bytes(colour) is not None
    assert png_bytes(torch.zeros(1, 2, 4, 4, dtype=torch.uint8)) is None
    black = (images(2, 1, 64, 64) > 0.5).to(torch.uint8) * 255
    # random bits: an eighth of a byte each; PNG has a byte more for each row, and its frame
    assert 512 < zlib_bytes(black, True) < 530
    png = png_bytes(black, True)
    assert png is not None and 512 + 64 < png - PNG_FRAME < 530 + 64


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a run lies, in `run`."""
    folder = tmp_path_factory.mktemp("compress")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(TINY) == 0
    return folder


def written(out: str) -> list[dict[str, str]]:
    return [*csv.DictReader(Path(out, "compress.csv").read_text().splitlines())]


def test_from_the_command_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    argv = ["run=run", "task=compress", "compress.steps=[1,0.01]"]
    assert main([*argv, "compress.images=100", "out=out"]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.startswith("100 of 360 test images of digits, bits an image:\n")
    assert "Not counted: the model (580 weights, 0.0023 MB)" in said.out
    assert Image.open("out/rate_distortion.png").size[0] > 600
    rows = written("out")
    names = [row["name"] for row in rows]
    assert names == ["rounded, step 1", "rounded, step 0.01", "as it is, float32", "PNG",
                     "zlib of the pixels"]  # fmt: skip
    mse = [float(row["mse"]) for row in rows]
    assert mse[0] > mse[1] == pytest.approx(mse[2], rel=1e-3)
    assert float(rows[0]["psnr"]) == pytest.approx(psnr(mse[0]))
    assert float(rows[2]["bits_per_pixel"]) == 4 * 32 / 64
    # of all test images the code as it is has the run's own error
    assert main([*argv, "compress.images=360", "out=whole"]) == 0
    rows = written("whole")
    own = aecore.load("run", device="cpu").metrics["test/mse"]
    assert float(rows[2]["mse"]) == pytest.approx(own, rel=1e-6)


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["compress.steps=[1,0]"], "compress.steps=[1,0]: each must be greater than 0"),
        (["compress.steps=[]"], "compress.steps=[]: List should have at least 1 item"),
        (["noise=dropout"], "noise=dropout: task=compress has no use for noise"),
    ],
)
def test_bad_input(
    argv: list[str],
    told: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    assert main(["run=run", "task=compress", *argv]) == 2
    assert capsys.readouterr().err.startswith(f"error: {told}")
    assert not (folder / "run" / "compress").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["model=ae", "network=conv_unpool", "network.channels=[2]", "trainer.max_epochs=1",
             "dataset.train_size=64"],
            "the places of the maxima pass by this code",
        ),
        (
            ["model=pca", "dataset=arrays", "dataset.path=table.npy", "dataset.range=standardised"],
            "the rows of a table have no PNG",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused(
    words: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("table.npy", images(200, 6).numpy())
    assert main([*words, *TINY[1:]]) == 0
    assert main(["run=run", "task=compress"]) == 2
    assert f"error: task=compress: {told}" in capsys.readouterr().err
    assert not Path("run/compress").exists()
