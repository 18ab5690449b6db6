"""Pictures in TensorBoard: which epochs show them, and that training does not notice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from aecore.data.module import ImageData
from aecore.data.split import Split
from aecore.model.noise.noises import GaussianNoise
from aecore.training.callbacks.images import Images, evaluating
from aecore.training.loggers.tensorboard import TensorBoard
from aecore.training.module import Training
from aecore.training.optimizers.schedulers import Constant
from helpers import models as making
from helpers.event_files import read


def modes(module: nn.Module) -> list[bool]:
    return [part.training for part in module.modules()]


class Watch(pl.Callback):
    """Notes the modes and random states before and after another callback."""

    def __init__(self) -> None:
        self.seen: list[tuple[list[bool], Tensor, Tensor]] = []

    def note(self, module: pl.LightningModule) -> None:
        assert isinstance(module, Training)
        self.seen.append(
            (modes(module), torch.get_rng_state(), module.generators.generator.get_state())
        )

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.note(pl_module)

    on_train_end = on_train_epoch_end


def images_with_labels(shape: tuple[int, int, int], val_size: int, labels: bool) -> ImageData:
    split = Split(making.images(48, *shape), torch.arange(48) % 3 if labels else None)
    return making.data_of(making.Memory(split), val_size=val_size)


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
    module = Training(model, making.adam(), Constant(), seed=0, log_every=2)
    watch = Watch()
    shown = [Images(images=4, dims=2, points=20, seed=0)] if pictures else []
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
        train(tmp_path, epochs=5, latent=making.gaussian(3), noise=GaussianNoise(std=0.1))
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
        noise = {"noise": GaussianNoise(std=0.1)}
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
