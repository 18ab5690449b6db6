"""predict.py by itself: pixels of any file, scores beside closed forms, mistakes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from aecore.data.images.decode import Recipe, decode
from aecore.data.images.files import FORMATS
from aecore.tasks.exporting import predict

RULE = {"size": [8, 6], "channels": 3, "crop": None, "white": None, "binarise": False}


def noise(*shape: int, kind: type = np.uint8) -> Image.Image:
    high = np.iinfo(kind).max
    return Image.fromarray(np.random.default_rng(3).integers(0, high, shape).astype(kind))


def turned(path: Path) -> None:
    image = noise(21, 10, 3)
    exif = image.getexif()
    exif[0x0112] = 6  # lies on its side
    image.save(path, exif=exif)


def translucent_palette(path: Path) -> None:
    noise(9, 9, 3).quantize(8).save(path, transparency=2)


FILES: dict[str, Callable[[Path], None]] = {
    "grey.png": lambda path: noise(13, 17).save(path),
    "rgb.png": lambda path: noise(31, 12, 3).save(path),
    "exact.png": lambda path: noise(8, 6, 3).save(path),
    "smaller.png": lambda path: noise(3, 5, 3).save(path),
    "one.png": lambda path: noise(1, 1, 3).save(path),
    "rgba.png": lambda path: noise(20, 20, 4).save(path),
    "grey_alpha.png": lambda path: noise(11, 9, 2).save(path),
    "palette.png": lambda path: noise(9, 40, 3).quantize(16).save(path),
    "translucent.png": translucent_palette,
    "bilevel.png": lambda path: noise(9, 12).convert("1").save(path),
    "wide.png": lambda path: noise(25, 30, kind=np.uint16).save(path),
    "wide.tif": lambda path: noise(25, 30, kind=np.uint16).save(path),
    "turned.jpg": turned,
    "inks.jpg": lambda path: noise(15, 16, 4).convert("RGB").convert("CMYK").save(path),
    "pages.gif": lambda path: noise(12, 9).save(path, save_all=True, append_images=[noise(12, 9)]),
}


@pytest.mark.parametrize("name", FILES)
def test_pixels_are_those_of_the_package(name: str, tmp_path: Path) -> None:
    FILES[name](tmp_path / name)
    white = 65535.0 if "wide" in name else 255.0
    for channels in (1, 3):
        for size, crop, level in (((8, 6), None, None), ((7, 7), 10, None), ((5, 9), 4, white)):
            wanted = decode(tmp_path / name, Recipe(size, channels, crop, level))
            rule = {"size": size, "channels": channels, "crop": crop, "white": level}
            pixels = predict.file_pixels(tmp_path / name, {**rule, "binarise": False})
            assert np.array_equal(pixels, wanted)
            binary = predict.file_pixels(tmp_path / name, {**rule, "binarise": True})
            assert np.array_equal(binary, np.where(wanted / 255 > 0.5, 255, 0))
    assert predict._FORMATS == FORMATS


@pytest.fixture
def halving(tmp_path: Path) -> Any:
    """predict.py beside a program that halves numbers from -80 to 0."""
    place = tmp_path / "model"
    place.mkdir()
    shutil.copy(predict.__file__, place)
    kind = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", 1, 4, 4]) for n in "xy"]
    half = helper.make_tensor("half", TensorProto.FLOAT, [], [0.5])
    node = helper.make_node("Mul", ["x", "half"], ["y"])
    graph = helper.make_graph([node], "halving", kind[:1], kind[1:], [half])
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8),
              str(place / "autoencoder.onnx"))  # fmt: skip
    rule = RULE | {"size": [4, 4], "channels": 1, "range": [-80, 0]}
    score = {"by": "error", "threshold": 0.1, "note": ""}
    (place / "config.json").write_text(json.dumps({"preprocessing": rule, "score": score}))
    spec = spec_from_file_location("halving", place / "predict.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    for name, level in (("a", 0), ("b", 51), ("c", 255)):
        Image.new("L", (5, 4), level).save(tmp_path / f"{name}.png")
    return module


def test_pixels_outside_the_unit_interval(
    halving: Any, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    """x = 80 u - 80 of a pixel u becomes x / 2, which is (u + 1) / 2: an error of (1 - u)^2 / 4."""
    files = [str(tmp_path / f"{name}.png") for name in "abc"]
    assert halving.main(files) == 0
    head, *lines = capfd.readouterr().out.splitlines()
    assert head == "name,score,anomalous"
    for line, u, name in zip(lines, (0, 0.2, 1), files, strict=True):
        path, score, anomalous = line.split(",")
        assert path == name and float(score) == pytest.approx((1 - u) ** 2 / 4, rel=1e-5)
        assert anomalous == str(u < 0.3).lower()
    assert halving.main([*files, "--threshold", "0.2"]) == 0
    assert "1 of 3 images are anomalous: above 0.2" in capfd.readouterr().err


def test_broken_files_are_named_and_no_reconstruction_replaces_another(
    halving: Any, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    (tmp_path / "sub").mkdir()
    shutil.copy(tmp_path / "a.png", tmp_path / "sub")
    (tmp_path / "broken.png").write_bytes(b"none")
    files = [str(tmp_path / name) for name in ("a.png", "sub/a.png", "broken.png", "no.png")]
    made = tmp_path / "made"
    assert halving.main([*files, "--reconstructions", str(made)]) == 1
    printed = capfd.readouterr()
    assert printed.out == "" and sorted(path.name for path in made.iterdir()) == [
        "a-1.png",
        "a.png",
    ]
    assert f"left out {files[2]}: cannot identify" in printed.err
    assert f"left out {files[3]}: no such file" in printed.err
    with Image.open(made / "a.png") as image:
        assert image.mode == "L" and set(np.asarray(image).ravel()) == {128}
    assert halving.main(files[2:]) == 1
    assert "no image could be read" in capfd.readouterr().err
    (tmp_path / "empty").mkdir()
    assert halving.main([str(tmp_path / "empty")]) == 1
    assert "no image files there" in capfd.readouterr().err


def test_further_pages_are_mentioned(
    halving: Any, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    first, second = Image.new("L", (5, 4), 51), Image.new("L", (5, 4), 255)
    first.save(tmp_path / "two.tiff", save_all=True, append_images=[second])
    first.save(tmp_path / "one.tiff")
    assert halving.main([str(tmp_path / f"{name}.tiff") for name in ("one", "two")]) == 0
    printed = capfd.readouterr()
    assert "files of which only the first page is used: 1" in printed.err
    scores = [float(line.split(",")[1]) for line in printed.out.splitlines()[1:]]
    assert scores == pytest.approx([0.16, 0.16], rel=1e-5)


@pytest.mark.parametrize(
    ("argv", "problem"),
    [
        (["--scores", "a.png", "b.png"], "--scores a.png: must end with .csv"),
        (["b.png", "--scores", "none/a.csv"], "--scores none/a.csv: there is no folder none"),
        (["b.png", "--reconstructions", "."], "--reconstructions .: give a new or empty folder"),
        (["b.png", "--codes", "c.npy"], "--codes: this model has no encoder.onnx"),
        ([], "the following arguments are required: images"),
    ],
)
def test_mistakes_are_refused_before_anything_is_read(
    argv: list[str], problem: str, halving: Any, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    before = (tmp_path / "a.png").read_bytes()
    with pytest.raises(SystemExit) as exit_:
        halving.main(argv)
    assert exit_.value.code == 2 and problem in capsys.readouterr().err
    assert (tmp_path / "a.png").read_bytes() == before
