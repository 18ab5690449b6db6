"""What is assumed of other people's files is said, and nothing is left out in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from aecore.cli import main
from aecore.data.module import ImageData
from aecore.data.sources.arrays import Arrays
from aecore.data.sources.image_folder import ImageFolder
from aecore.data.split import Source
from aecore.errors import UserError
from helpers.models import data_of


def folder(root: Path, **changes: Any) -> ImageFolder:
    values: dict[str, Any] = {
        "root": str(root), "image_size": 8, "channels": "auto", "skip_broken": False,
        "test_fraction": 0.25,
    }  # fmt: skip
    return ImageFolder(**(values | changes))


def arrays(path: Path, **changes: Any) -> Arrays:
    return Arrays(**({"path": str(path), "test_fraction": 0.25} | changes))


def module(source: Source, **changes: Any) -> ImageData:
    return data_of(source, batch_size=2, **changes)


def blobs(n: int, top: float, kind: str) -> np.ndarray:
    """(n, 8, 8) smooth values from 0 to `top`."""
    ramp = np.linspace(0, 1, 64).reshape(8, 8)
    return np.round(np.stack([np.roll(ramp, i) for i in range(n)]) * top).astype(kind)


def saved(root: Path, images: np.ndarray, ending: str = "png") -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for n, image in enumerate(images):
        Image.fromarray(image).save(root / f"{n:02d}.{ending}")
    return root


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    texts = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return texts


class TestWhite:
    """A8: pixels that use little of their container."""

    @pytest.mark.parametrize(
        ("top", "kind", "ending"),
        [
            (4095, "uint16", "png"),
            (1, "uint8", "png"),
            (255, "int32", "tif"),
            (1023, "uint16", "tif"),
        ],
    )
    def test_of_files(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, top: int, kind: str, ending: str
    ) -> None:
        root = saved(tmp_path / "x", blobs(8, top, kind), ending)
        assert float(module(folder(root)).train.pixels().max()) < 0.1
        (text,) = warned(caplog)
        assert text.startswith("dataset: the images are almost black, their largest pixel is ")
        assert text.endswith(f"use dataset.white={top} if that is white")
        found = module(folder(root, white=top)).train
        expected = torch.from_numpy(blobs(8, top, kind) / top).float()[:, None]
        places = [int(Path(name).stem) for name in found.names or ()]
        torch.testing.assert_close(found.pixels(), expected[places], rtol=0, atol=0.5 / 255 + 1e-6)
        assert warned(caplog) == []
        _ = module(folder(root, white=8 * top)).train
        (text,) = warned(caplog)
        assert text.endswith(f"use dataset.white={top} if that is white"), "a level far too high"

    def test_full_ranges_are_silent(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        for top, kind in ((65535, "uint16"), (255, "uint8")):
            root = saved(tmp_path / kind, blobs(8, top, kind))
            assert float(module(folder(root)).train.pixels().max()) > 0.9
        assert warned(caplog) == []

    def test_beyond_white_is_refused(self, tmp_path: Path) -> None:
        root = saved(tmp_path / "x", blobs(8, 4095, "uint16"))
        with pytest.raises(UserError, match=r"\[0, 4095\], not in \[0, 1000\]"):
            folder(root, white=1000).load("train", Path())

    @pytest.mark.parametrize(("top", "kind"), [(1, "uint8"), (0.1, "float32"), (20, "uint8")])
    def test_of_arrays(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture, top: float, kind: str
    ) -> None:
        x = (blobs(8, 100, "float32") / 100 * top).astype(kind)
        np.save(tmp_path / "x.npy", x)
        _ = module(arrays(tmp_path / "x.npy")).train
        (text,) = warned(caplog)
        assert text.endswith(f"use dataset.white={top} if that is white")
        found = arrays(tmp_path / "x.npy", white=top).whole(Path())[0].pixels()
        torch.testing.assert_close(found, torch.from_numpy(x / top).float()[:, None])

    def test_of_a_table_of_yes_and_no(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        answers = np.random.default_rng(0).integers(0, 2, (40, 6))
        np.save(tmp_path / "x.npy", answers.astype("uint8"))
        for data_range in ("unit", "standardised"):
            source = arrays(tmp_path / "x.npy")
            _ = module(source, range=data_range).train
            (text,) = warned(caplog)
            assert text.endswith(
                "largest value is 0.003922 of 1; use dataset.white=1 if that is white"
            )
            assert source.note == "layout ND, 8 bits, read as [0, 1]"
        for same in ({"white": 1}, {}):  # floats of a table have no white
            np.save(tmp_path / "x.npy", (answers * (1.0 if same else 0.1)).astype("float32"))
            _ = module(arrays(tmp_path / "x.npy", **same)).train
            assert warned(caplog) == []

    def test_of_standardised_images(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        np.save(tmp_path / "x.npy", blobs(8, 1, "uint8"))
        _ = module(arrays(tmp_path / "x.npy"), range="standardised").train
        (text,) = warned(caplog)
        assert text.endswith("use dataset.white=1 if that is white")
        np.save(tmp_path / "x.npy", -0.1 * blobs(8, 1, "float32"))  # not on [0, 1], so not dark
        _ = module(arrays(tmp_path / "x.npy"), range="standardised").train
        assert warned(caplog) == []

    def test_of_targets(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        images, masks = blobs(8, 255, "uint8"), blobs(8, 1, "uint8")
        root, targets = saved(tmp_path / "x", images), saved(tmp_path / "y", masks)
        np.savez(tmp_path / "x.npz", x=images, target=masks)
        for source in (folder(root, targets=str(targets)), arrays(tmp_path / "x.npz")):
            _ = module(source).train
            (text,) = warned(caplog)
            assert "the targets are almost black, their largest pixel is 0.003922 of 1" in text

    def test_white_makes_other_integers_images(self, tmp_path: Path) -> None:
        np.save(tmp_path / "x.npy", blobs(8, 4095, "uint16"))
        with pytest.raises(UserError, match=r"\[0, 4095\], not in \[0, 1\]"):
            _ = module(arrays(tmp_path / "x.npy")).train
        found = module(arrays(tmp_path / "x.npy", white=4095)).train.pixels()
        assert float(found.max()) == 1


class TestSplits:
    """A9: held-out images are not trained on."""

    @pytest.mark.parametrize(
        ("train", "held_out"),
        [
            ("train", "val"), ("Train", "Test"), ("training_set", "test_set"), ("TRAIN", "valid"),
            ("training", "validation"), ("train", "testing"), ("train-images", "dev"),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("classes", [True, False])
    def test_in_usual_spellings(
        self,
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
        train: str,
        held_out: str,
        classes: bool,
    ) -> None:
        for kind in ("cat", "dog") if classes else (".",):
            saved(tmp_path / train / kind, blobs(6, 255, "uint8"))
            saved(tmp_path / held_out / kind, blobs(2, 200, "uint8"))
        source = folder(tmp_path)
        times = 2 if classes else 1
        splits = source.load("train", Path()), source.load("test", Path())
        assert [len(split) for split in splits] == [6 * times, 2 * times]
        assert int(splits[1].images.max()) == 200
        names = ("cat", "dog") if classes else None
        assert splits[0].class_names == splits[1].class_names == names
        said = f"{train}/ is the training split, {held_out}/ the test split"
        assert warned(caplog) == [f"dataset.root={tmp_path}: {said}"]

    def test_only_train(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        for kind in ("cat", "dog"):
            saved(tmp_path / "train" / kind, blobs(6, 255, "uint8"))
        source = folder(tmp_path)
        train, test = source.load("train", Path()), source.load("test", Path())
        assert (len(train), len(test)) == (9, 3)
        assert train.class_names == ("cat", "dog")
        assert not {*(train.names or ())} & {*(test.names or ())}
        assert "train/ holds all images" in warned(caplog)[0]
        assert len(source.whole(Path())[0]) == 12

    def test_folders_that_are_not_used_are_named(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        for name in ("train", "val", "test", "notes"):
            saved(tmp_path / name, blobs(2, 255, "uint8"))
        folder(tmp_path).load("train", Path())
        (text,) = warned(caplog)
        assert text.endswith("test/ the test split; not used: notes/, val/")

    def test_two_of_one_kind_are_refused(self, tmp_path: Path) -> None:
        for name in ("train", "Training", "test"):
            saved(tmp_path / name, blobs(2, 255, "uint8"))
        with pytest.raises(UserError, match=r"Training/ and train/ may be the same split"):
            folder(tmp_path).load("train", Path())

    def test_a_class_may_be_called_train(self, tmp_path: Path) -> None:
        for name in ("train", "bus", "tram"):
            saved(tmp_path / name, blobs(4, 255, "uint8"))
        assert folder(tmp_path).load("train", Path()).class_names == ("bus", "train", "tram")


class TestLeftOut:
    """A10: inputs that are not used are named, with a count."""

    @pytest.mark.parametrize("ending", ["jfif", "jpe", "avif", "jp2", "dib", "pnm"])
    def test_formats_of_pillow(self, tmp_path: Path, ending: str) -> None:
        kinds = {"jfif": "JPEG", "jpe": "JPEG", "pnm": "PPM"}
        for n, image in enumerate(blobs(4, 255, "uint8")):
            kind = kinds.get(ending, {"jp2": "JPEG2000"}.get(ending, ending.upper()))
            Image.fromarray(image).save(tmp_path / f"{n}.{ending}", format=kind)
        assert len(folder(tmp_path, test_fraction=0.0).load("train", Path())) == 4

    def test_other_files_and_pages(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        saved(tmp_path, blobs(6, 255, "uint8"))
        for name in ("a.heic", "b.heic", "readme.txt", "Makefile"):
            (tmp_path / name).write_bytes(b"x")
        pages = [Image.fromarray(image) for image in blobs(3, 255, "uint8")]
        for name in ("stack.tif", "film.gif"):
            pages[0].save(tmp_path / name, save_all=True, append_images=pages[1:])
        assert len(folder(tmp_path, test_fraction=0.0).load("train", Path())) == 8
        assert warned(caplog) == [
            f"dataset.root={tmp_path}: 4 other files are not used: "
            ".heic (2), .txt (1), Makefile (1)",
            f"dataset.root={tmp_path}: files of which only the first page is used: 2",
        ]

    def test_a_program_is_never_started(self, tmp_path: Path) -> None:
        """An EPS file called x.png would start Ghostscript."""
        (tmp_path / "x.png").write_text(
            "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\nshowpage\n"
        )
        with pytest.raises(UserError, match="no image format is recognised"):
            folder(tmp_path, test_fraction=0.0).load("train", Path())

    def test_keys_of_an_npz(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        x, y = blobs(8, 255, "uint8"), np.arange(8) % 2
        np.savez(tmp_path / "a.npz", x=x, target=y)
        arrays(tmp_path / "a.npz").load("train", Path())
        arrays(tmp_path / "a.npz").load("test", Path())
        assert warned(caplog) == [f"dataset.path={tmp_path}/a.npz: not used: target"]
        np.savez(tmp_path / "b.npz", x_train=x, x_val=x, x_test=x, y_train=y, y_test=y, y_val=y)
        arrays(tmp_path / "b.npz").load("train", Path())
        said = "not used: x_val, y_val; validation images are drawn from x_train"
        assert warned(caplog) == [f"dataset.path={tmp_path}/b.npz: {said}"]


class TestLayouts:
    """A14: which axis is which."""

    @pytest.mark.parametrize(
        ("layout", "shape", "axes"),
        [
            ("auto", (9, 5), (None, None, 0)), ("auto", (9, 5, 6), (None, 0, 1)),
            ("auto", (9, 5, 6, 3), (2, 0, 1)), ("auto", (9, 3, 5, 6), (0, 1, 2)),
            ("auto", (9, 12, 5, 6), (0, 1, 2)), ("NCHW", (9, 5, 6, 3), (0, 1, 2)),
            ("NHWC", (9, 5, 6, 12), (2, 0, 1)), ("NCT", (9, 2, 50), (0, None, 1)),
            ("NTC", (9, 50, 2), (1, None, 0)), ("NHW", (9, 50, 2), (None, 0, 1)),
        ],
    )  # fmt: skip
    def test_places(
        self, tmp_path: Path, layout: str, shape: tuple[int, ...], axes: tuple[int | None, ...]
    ) -> None:
        x = np.random.default_rng(0).random(shape).astype("f4")
        np.save(tmp_path / "x.npy", x)
        source = arrays(tmp_path / "x.npy", layout=layout)
        found = source.whole(Path())[0].images.numpy()
        assert found.shape == (9, *(1 if axis is None else shape[1:][axis] for axis in axes))
        for at in np.ndindex(*found.shape[1:]):
            index = {axis: i for axis, i in zip(axes, at, strict=True) if axis is not None}
            assert (found[:, *at] == x[:, *(index[a] for a in range(len(index)))]).all()
        assert source.note.startswith("layout ")

    def test_another_number_of_axes(self, tmp_path: Path) -> None:
        np.save(tmp_path / "x.npy", np.zeros((9, 5, 6)))
        with pytest.raises(UserError, match=r"^dataset\.layout=NCHW: .*\(9, 5, 6\)"):
            arrays(tmp_path / "x.npy", layout="NCHW").whole(Path())

    def test_the_announcement_states_it(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        np.save("x.npy", np.random.default_rng(0).random((40, 20, 3)).astype("f4"))
        words = ["model=ae", "dataset=arrays", "dataset.path=x.npy", "network.hidden=[4]"]
        words += ["latent.dim=2", "trainer.max_epochs=1", "dataset.batch_size=8", "figures=none"]
        assert main([*words, "dataset.layout=NTC"]) == 0
        assert "images of 3x1x20 (layout NTC)\n" in capsys.readouterr().out
        assert main(words) == 0
        assert "images of 1x20x3 (layout NHW)\n" in capsys.readouterr().out
