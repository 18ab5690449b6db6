"""Loggers: what TensorBoard reads back is what was logged, once; pictures leave training alone."""

from __future__ import annotations

import csv
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import making
import pytest
import pytorch_lightning as pl
import torch
import yaml
from google.protobuf import text_format
from PIL import Image
from pydantic import ValidationError
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig
from torch import Tensor, nn

from aecore.build import build
from aecore.callbacks.pictures import Pictures, evaluating
from aecore.data import ImageData, Split
from aecore.loggers import RunLogger, StepCSV, TensorBoard
from aecore.module import Training
from aecore.noise import Gaussian
from aecore.optimizers import Constant

CONF = Path(__file__).parents[1] / "conf" / "logger"


def read(folder: Path, part: str = "") -> EventAccumulator:
    all_of = dict.fromkeys(("scalars", "tensors", "images", "histograms"), 0)
    return EventAccumulator(str(folder / "tensorboard" / part), size_guidance=all_of).Reload()


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
            (1005, 3, (2, 4, 4), 3, 4),
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
        shown = min(n, 1000)
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
        logger = build(node, "logger", RunLogger, folder=tmp_path, purge_step=None)
        assert (logger.name, logger.version, logger.save_dir) == ("", "", str(tmp_path))

    def test_wrong_values_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ValidationError):
            TensorBoard(folder=tmp_path, purge_step=-1)


def modes(module: nn.Module) -> list[bool]:
    return [part.training for part in module.modules()]


class Watch(pl.Callback):
    """Notes the modes and random states before and after another callback."""

    def __init__(self) -> None:
        self.seen: list[tuple[list[bool], Tensor, Tensor]] = []

    def note(self, module: pl.LightningModule) -> None:
        assert isinstance(module, Training)
        self.seen.append((modes(module), torch.get_rng_state(), module._generator.get_state()))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.note(pl_module)

    on_train_end = on_train_epoch_end


def images_with_labels(shape: tuple[int, int, int], val_size: int, labels: bool) -> ImageData:
    split = Split(making.images(48, *shape), torch.arange(48) % 3 if labels else None)
    source = making.Memory(split)
    return ImageData(
        source=source, data_dir="nowhere", batch_size=8, eval_batch_size=16, range="unit",
        val_size=val_size, train_size=None, test_size=None, seed=0, limit_batches=None,
    )  # fmt: skip


def train(
    folder: Path,
    *,
    epochs: int,
    shape: tuple[int, int, int] = (1, 4, 4),
    val_size: int = 16,
    labels: bool = True,
    pictures: bool = True,
    **words: Any,
) -> tuple[Training, Watch]:
    """A short training of a model of those words, with pictures between two looks at its state."""
    model = making.model(image_shape=shape, network=making.mlp(6, dropout=0.2), **words)
    module = Training(model, making.adam(), Constant(), seed=0, log_every=2, gradient_clip=None)
    watch = Watch()
    shown = [Pictures(images=4, dims=2, points=20, seed=0)] if pictures else []
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        callbacks=[watch, *shown, Again(watch)],
        logger=TensorBoard(folder=folder, purge_step=None),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
    )
    trainer.fit(module, datamodule=images_with_labels(shape, val_size, labels))
    return module, watch


class Again(pl.Callback):
    """Lets a Watch look once more, after the callbacks between the two."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.watch.note(pl_module)

    on_train_end = on_train_epoch_end


@pytest.mark.filterwarnings("ignore")
class TestPictures:
    def test_epochs_that_are_shown(self, tmp_path: Path) -> None:
        train(tmp_path, epochs=5, latent=making.gaussian(3), noise=Gaussian(std=0.1))
        events = read(tmp_path)
        steps = [4, 8, 16, 20]  # epochs 1, 2, 4 and the last, of four steps
        reconstructions, samples = events.Images("reconstructions"), events.Images("samples")
        assert [image.step for image in reconstructions] == steps
        assert [image.step for image in samples] == steps
        assert (reconstructions[0].width, reconstructions[0].height) == (4 * 5 + 1, 3 * 5 + 1)
        assert (samples[0].width, samples[0].height) == (4 * 5 + 1, 2 * 5 + 1)
        assert samples[0].encoded_image_string != samples[1].encoded_image_string
        assert events.Tags()["histograms"] == ["code/00", "code/01"]
        assert [e.step for e in events.Histograms("code/00")] == steps
        assert events.Histograms("code/00")[0].histogram_value.num == 16
        folder = tmp_path / "tensorboard" / "00020" / "code"
        assert sorted((folder / "metadata.tsv").read_text().split()) == sorted(
            str(label) for label in labels_of_val().tolist()
        )

    @pytest.mark.parametrize("latent", [making.plain, making.gaussian])
    def test_training_does_not_notice(self, tmp_path: Path, latent: Any) -> None:
        noise = {"noise": Gaussian(std=0.1)}
        module, watch = train(tmp_path / "a", epochs=2, latent=latent(3), **noise)
        before, after = watch.seen[::2], watch.seen[1::2]
        assert len(before) == len(after) == 3
        for one, other in zip(before, after, strict=True):
            assert one[0] == other[0]
            assert torch.equal(one[1], other[1])
            assert torch.equal(one[2], other[2])
        without, _ = train(tmp_path / "b", epochs=2, latent=latent(3), pictures=False, **noise)
        for name, value in without.state_dict().items():
            assert torch.equal(value, module.state_dict()[name])

    def test_deterministic_codes_without_validation_and_labels(self, tmp_path: Path) -> None:
        train(tmp_path, epochs=1, val_size=0, labels=False)
        events = read(tmp_path)
        assert events.Tags()["images"] == ["reconstructions"]
        assert events.Histograms("code/00")[0].histogram_value.num == 20
        assert not list((tmp_path / "tensorboard").rglob("metadata.tsv"))

    def test_tables_have_no_pictures(self, tmp_path: Path) -> None:
        train(tmp_path, epochs=1, shape=(1, 1, 5))
        tags = read(tmp_path).Tags()
        assert tags["images"] == []
        assert tags["histograms"] == ["code/00", "code/01"]
        assert not list((tmp_path / "tensorboard").rglob("sprite.png"))

    def test_each_part_gets_its_own_mode_back(self) -> None:
        model = nn.Sequential(nn.Linear(1, 1), nn.Sequential(nn.Dropout(), nn.ReLU()))
        model[1].eval()
        before = modes(model)
        with pytest.raises(KeyError), evaluating(model):
            assert not any(modes(model))
            raise KeyError
        assert modes(model) == before
        assert any(before)
        assert not all(before)


def labels_of_val() -> Tensor:
    val = images_with_labels((1, 4, 4), 16, True).val
    assert val is not None
    assert val.labels is not None
    return val.labels
