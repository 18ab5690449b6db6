"""Loggers: what TensorBoard reads back is what was logged, once."""

from __future__ import annotations

import csv
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from google.protobuf import text_format
from PIL import Image
from pydantic import ValidationError
from tensorboard.plugins.hparams import metadata
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

from aecore.config.build import build
from aecore.training.loggers.base import RunLogger
from aecore.training.loggers.step_csv import StepCSV
from aecore.training.loggers.tensorboard import TensorBoard
from helpers import models as making
from helpers.event_files import read
from helpers.extras import MODULES, need

CONF = Path(__file__).parents[3] / "conf" / "logger"


def age(folder: Path) -> None:
    """Make event files older: their order is that of the seconds in their names."""
    for path in list(folder.rglob("events.out.tfevents.*")):
        parts = path.name.split(".")
        parts[3] = f"{int(parts[3]) - 60:010d}"
        path.rename(path.with_name(".".join(parts)))


def scalars(folder: Path, part: str, tag: str) -> list[tuple[int, float]]:
    return [(e.step, pytest.approx(e.value)) for e in read(folder, part).Scalars(tag)]


def tensors(folder: Path, part: str, tag: str) -> list[tuple[int, float]]:
    """Scalars of TensorBoard's newer kind."""
    events = read(folder, part).Tensors(tag)
    return [(e.step, pytest.approx(e.tensor_proto.float_val[0])) for e in events]


@pytest.fixture
def board(tmp_path: Path) -> Iterator[TensorBoard]:
    logger = TensorBoard(folder=tmp_path, purge_step=None)
    yield logger
    logger.finalize("success")


class TestTensorBoard:
    def test_both_splits_share_a_tag(self, board: TensorBoard, tmp_path: Path) -> None:
        board.log_metrics({"train/kl": 1.5, "val/kl": 2.5, "lr": 0.1, "epoch": 3}, 7)
        board.log_metrics({"train/kl": 0.5, "test/mse": 4.0}, 8)
        board.finalize("success")
        assert scalars(tmp_path, "train", "kl") == [(7, 1.5), (8, 0.5)]
        assert scalars(tmp_path, "val", "kl") == [(7, 2.5)]
        assert tensors(tmp_path, "test", "test/mse") == [(8, 4.0)]
        assert read(tmp_path).Tags()["scalars"] == ["lr"]

    def test_files_are_closed_and_opened_again(self, board: TensorBoard, tmp_path: Path) -> None:
        threads = threading.active_count()
        board.log_metrics({"lr": 1.0, "train/loss": 1.0}, 1)
        assert threading.active_count() > threads
        board.finalize("success")
        assert threading.active_count() == threads
        age(tmp_path)
        board.log_metrics({"lr": 2.0}, 2)
        board.finalize("success")
        assert scalars(tmp_path, "", "lr") == [(1, 1.0), (2, 2.0)]

    def test_nothing_is_written_before_it_is_needed(
        self, board: TensorBoard, tmp_path: Path
    ) -> None:
        board.save()
        board.finalize("success")
        assert list(tmp_path.iterdir()) == []

    def test_resumed_run_does_not_double(self, board: TensorBoard, tmp_path: Path) -> None:
        for step in range(1, 6):
            board.log_metrics({"train/loss": step, "val/loss": step, "lr": step}, step)
        board.finalize("success")
        age(tmp_path)
        again = TensorBoard(folder=tmp_path, purge_step=4)
        again.log_metrics({"train/loss": 40.0}, 4)
        again.finalize("success")
        assert scalars(tmp_path, "train", "loss") == [(1, 1), (2, 2), (3, 3), (4, 40)]
        assert scalars(tmp_path, "val", "loss") == [(1, 1), (2, 2), (3, 3)]
        assert scalars(tmp_path, "", "lr") == [(1, 1), (2, 2), (3, 3)]

    def test_hyperparameters_and_results(self, board: TensorBoard, tmp_path: Path) -> None:
        board.hparams({"lr": 0.5, "model": "vae", "bias": True, "norm": None, "hidden": [4, 2]})
        board.results({"test/mse": 0.25})
        board.finalize("success")
        assert tensors(tmp_path, "test", "test/mse") == [(0, 0.25)]
        events = read(tmp_path, "test")
        content = events.PluginTagToContent(metadata.PLUGIN_NAME)
        start = metadata.parse_session_start_info_plugin_data(
            content[metadata.SESSION_START_INFO_TAG]
        )
        values = {k: v.number_value or v.string_value for k, v in start.hparams.items()}
        assert values == {"lr": 0.5, "model": "vae", "bias": "true", "hidden": "[4, 2]"}
        assert metadata.SESSION_END_INFO_TAG in content
        # With such a record TensorBoard would show the columns of one run for all.
        assert metadata.EXPERIMENT_TAG not in content

    def test_unfinished_run_is_not_marked_as_finished(
        self, board: TensorBoard, tmp_path: Path
    ) -> None:
        board.hparams({"lr": 0.5})
        board.finalize("failed")
        content = read(tmp_path, "test").PluginTagToContent(metadata.PLUGIN_NAME)
        assert metadata.SESSION_START_INFO_TAG in content
        assert metadata.SESSION_END_INFO_TAG not in content

    def test_image_and_histogram(self, board: TensorBoard, tmp_path: Path) -> None:
        board.image("grid", making.images(3, 4, 6), 1)
        board.histogram("code", torch.tensor([0.0, 1.0, float("nan"), 1.0]), 2)
        board.histogram("nothing", torch.tensor([float("inf")]), 2)
        board.finalize("success")
        events = read(tmp_path)
        (image,) = events.Images("grid")
        assert (image.step, image.height, image.width) == (1, 4, 6)
        (histogram,) = events.Histograms("code")
        value = histogram.histogram_value
        assert (value.num, value.sum, value.min, value.max) == (3, 2, 0, 1)
        assert events.Tags()["histograms"] == ["code"]

    @pytest.mark.parametrize(
        ("n", "dims", "shape", "columns", "side"),
        [
            (10, 2, (1, 8, 8), 3, 8),
            (10, 5, (3, 40, 20), 5, 32),
            (10, 200, (4, 5, 9), 128, 9),
            (2005, 3, (2, 4, 4), 3, 4),
        ],
    )
    def test_embedding(
        self,
        board: TensorBoard,
        tmp_path: Path,
        n: int,
        dims: int,
        shape: tuple[int, int, int],
        columns: int,
        side: int,
    ) -> None:
        codes = making.images(n, dims)
        board.embedding(codes, [str(i) for i in range(n)], making.images(n, *shape), 12)
        board.finalize("success")
        root = tmp_path / "tensorboard"
        config = text_format.Parse((root / "projector_config.pbtxt").read_text(), ProjectorConfig())
        (found,) = config.embeddings
        shown = min(n, 2000)
        rows = [
            [float(x) for x in line.split("\t")]
            for line in (root / found.tensor_path).read_text().splitlines()
        ]
        assert (len(rows), {len(row) for row in rows}) == (shown, {columns})
        if dims <= 128:
            torch.testing.assert_close(torch.tensor(rows)[:, :dims], codes[:shown])
        names = (root / found.metadata_path).read_text().splitlines()
        assert names == [str(i) for i in range(shown)]
        assert list(found.sprite.single_image_dim) == [side, side]
        grid = -(-(shown**0.5) // 1)
        assert Image.open(root / found.sprite.image_path).size == (grid * side, grid * side)

    def test_the_last_embedding_counts(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        x, root = making.images(4, 3), tmp_path / "tensorboard"
        for step, again in ((0, False), (0, False), (1, False), (0, True)):
            if step == 0 and not again:
                board = TensorBoard(folder=tmp_path, purge_step=None)
            names = None if again else ["a\nb", "c\td", "", "e"]
            board.embedding(x + step, names, None if again else making.images(4, 1, 8, 8), step)
            board.log_metrics({"loss": 1.0}, step)
            text = (root / "projector_config.pbtxt").read_text()
            (found,) = text_format.Parse(text, ProjectorConfig()).embeddings
            assert np.loadtxt(root / found.tensor_path) == pytest.approx((x + step).numpy())
            if not again:
                told = (root / found.metadata_path).read_text()
                assert told.split("\n") == ["a b", "c d", "", "e", ""]
        board.finalize("success")
        assert {path.name for path in (root / "00000" / "code").iterdir()} == {"tensors.tsv"}
        assert capsys.readouterr() == ("", "")

    def test_embedding_of_a_table_without_labels(self, board: TensorBoard, tmp_path: Path) -> None:
        board.embedding(making.images(4, 3), None, None, 1)
        text = (tmp_path / "tensorboard" / "projector_config.pbtxt").read_text()
        assert "sprite" not in text
        assert "metadata" not in text


class TestStepCSV:
    def rows(self, folder: Path) -> list[list[str]]:
        with (folder / "steps.csv").open(newline="") as file:
            return list(csv.reader(file))

    def test_one_line_a_value(self, tmp_path: Path) -> None:
        logger = StepCSV(folder=tmp_path / "new", purge_step=None)
        logger.log_metrics({"train/loss": 0.1, "epoch": 0}, 1)
        logger.log_metrics({"val/loss": 2, "a,b": 3.0}, 2)
        header, *rows = self.rows(tmp_path / "new")
        assert header == ["step", "metric", "value"]
        assert rows == [["1", "train/loss", "0.1"], ["2", "val/loss", "2.0"], ["2", "a,b", "3.0"]]

    def test_resumed_run_does_not_double(self, tmp_path: Path) -> None:
        first = StepCSV(folder=tmp_path, purge_step=None)
        for step in (1, 2, 3):
            first.log_metrics({"loss": step}, step)
        with (tmp_path / "steps.csv").open("a") as file:
            file.write("1,lo")  # cut short by a kill
        again = StepCSV(folder=tmp_path, purge_step=3)
        again.log_metrics({"loss": 30}, 3)
        assert [row[2] for row in self.rows(tmp_path)[1:]] == ["1.0", "2.0", "30.0"]
        assert [path.name for path in tmp_path.iterdir()] == ["steps.csv"]

    def test_a_new_run_starts_afresh(self, tmp_path: Path) -> None:
        for value in (1, 2):
            StepCSV(folder=tmp_path, purge_step=None).log_metrics({"loss": value}, 1)
        assert self.rows(tmp_path)[1:] == [["1", "loss", "2.0"]]


class TestConf:
    @pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
    def test_every_file_names_a_logger(self, path: Path, tmp_path: Path) -> None:
        node = yaml.safe_load(path.read_text())
        assert path.read_text().startswith("# ")
        if path.stem == "none":
            assert node == {}
            return
        if path.stem in MODULES:
            need(path.stem)
        logger = build(node, "logger", RunLogger, folder=tmp_path, purge_step=None)
        assert (logger.name, logger.version, logger.folder) == ("", "", tmp_path)

    def test_wrong_values_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ValidationError):
            TensorBoard(folder=tmp_path, purge_step=-1)


def test_a_projector_leads_nowhere_else(board: TensorBoard, tmp_path: Path) -> None:
    """In a folder from elsewhere, where a link stands in the place of ours."""
    mine = tmp_path / "mine" / "code"
    mine.mkdir(parents=True)
    (mine / "thesis.tex").touch()
    (board.folder / "tensorboard").mkdir(parents=True, exist_ok=True)
    (board.folder / "tensorboard" / "00042").symlink_to(mine.parent)
    board.embedding(torch.randn(5, 4), None, None, 42)
    assert (mine / "thesis.tex").exists()
