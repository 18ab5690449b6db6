"""Image files to anomaly scores, reconstructions and codes, by the exported model beside this file.

python predict.py IMAGES... [--scores FILE.csv] [--reconstructions FOLDER] [--codes FILE.npy]

Needs `pip install onnxruntime numpy pillow` and nothing else. config.json says how a file becomes
pixels, and above which score an image is anomalous. A score is the mean squared error per pixel of
the reconstruction on [0, 1], or the largest one, smoothed, where config.json has "by": "peak".
Without any of the three outputs the scores are printed.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image, ImageOps

Arrays = NDArray[Any]
File = tuple[Path, Path]  # and its name below the folder that was given
HERE = Path(__file__).parent
_AT_ONCE = 64  # images
_FORMATS = ("PNG", "JPEG", "TIFF", "GIF", "BMP", "DIB", "WEBP", "AVIF", "JPEG2000", "PPM")
_PAGED = (".tif", ".tiff", ".gif", ".webp", ".avif", ".avifs", ".apng")
_NOT_DATA = (".", "__MACOSX", "@eaDir", "@Recycle", "#recycle", "$RECYCLE.BIN")  # of systems
_GREY = {"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F"}
_WIDE = {"I", "I;16", "I;16B", "I;16L", "I;16N", "F"}  # modes of more than 8 bits


def _upright(image: Image.Image, white: float | None) -> Image.Image:
    """Any image with 8 bits per channel, `white` as 255, turned upright, transparency on white."""
    image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    if image.mode == "F" and white is None:
        raise ValueError('floating-point pixels; give the value of white, "white" in config.json')
    if image.mode not in _WIDE:
        if white is None:
            return image
        image = image.convert("L" if image.mode in _GREY else "RGB")
    values, white = np.asarray(image), white or 65535
    if values.min() < 0 or values.max() > white:
        raise ValueError(
            f"its pixels lie in [{values.min():g}, {values.max():g}], not to {white:g}"
        )
    return Image.fromarray(np.round(values / (white / 255)).astype(np.uint8))


def file_pixels(path: Path, rule: Mapping[str, Any]) -> Arrays:
    """An image file as (C, H, W) uint8: upright, shorter side resized to fit, centre cut out.

    rule: the `preprocessing` of config.json. Raises what Pillow raises for a file that it cannot
    read, and ValueError for pixels beyond white.
    """
    if not path.is_file():
        raise ValueError("no such file")
    with Image.open(path, formats=_FORMATS) as opened:
        image = _upright(opened, rule["white"])
    image = image.convert("L" if rule["channels"] == 1 else "RGB")
    if (crop := rule["crop"]) is not None:  # a centred square, in pixels of the file
        image = ImageOps.fit(image, (crop, crop)) if min(image.size) < crop else image
        left, top = ((side - crop) // 2 for side in image.size)
        image = image.crop((left, top, left + crop, top + crop))
    height, width = rule["size"]
    image = ImageOps.fit(image, (width, height), method=Image.Resampling.BICUBIC)
    pixels = np.asarray(image).reshape(height, width, rule["channels"]).transpose(2, 0, 1)
    return (pixels > 127).astype(np.uint8) * 255 if rule["binarise"] else pixels


def _has_pages(path: str) -> bool:
    if not path.lower().endswith(_PAGED):
        return False
    with Image.open(path, formats=_FORMATS) as image:
        return getattr(image, "n_frames", 1) > 1


def _image_files(given: Iterable[str]) -> Iterator[File]:
    """The files that were given, and those of folders at any depth, sorted."""
    known = {end for end, kind in Image.registered_extensions().items() if kind in _FORMATS}
    for path in map(Path, given):
        if not path.is_dir():
            yield path, Path(path.name)
            continue
        for file in sorted(path.rglob("*")):
            below = file.relative_to(path)
            hidden = any(part.startswith(_NOT_DATA) for part in below.parts)
            if file.suffix.lower() in known and file.is_file() and not hidden:
                yield file, below


def _batches(
    files: Iterable[File], rule: Mapping[str, Any], broken: list[str]
) -> Iterator[tuple[list[File], Arrays]]:
    """Files and their pixels (n, C, H, W) in [0, 1]; adds to `broken` why others were not read."""
    kept: list[File] = []
    pixels: list[Arrays] = []
    for file in files:
        try:
            pixels.append(file_pixels(file[0], rule))
        except Exception as error:  # damaged files make Pillow raise nearly anything
            broken.append(f"{file[0]}: {(str(error).splitlines() or [type(error).__name__])[0]}")
            continue
        kept.append(file)
        if len(kept) == _AT_ONCE:
            yield kept, np.stack(pixels).astype(np.float32) / 255
            kept, pixels = [], []
    if kept:
        yield kept, np.stack(pixels).astype(np.float32) / 255


class _Model:
    """A program in a file beside this one, on inputs (n, ...)."""

    def __init__(self, name: str) -> None:
        from onnxruntime import InferenceSession

        self.session = InferenceSession(HERE / name, providers=["CPUExecutionProvider"])

    def __call__(self, images: Arrays) -> Arrays:
        (taken,) = self.session.get_inputs()
        kind = np.float64 if "double" in taken.type else np.float32
        (answer,) = self.session.run(None, {taken.name: images.astype(kind)})
        return np.asarray(answer)


def _smoothed(errors: Arrays, width: float) -> Arrays:
    """Errors (n, H, W) averaged by a Gaussian of that standard deviation in pixels.

    It ends after three standard deviations, and the borders are mirrored.
    """
    if not width:
        return errors
    far = math.ceil(3 * width)
    weights = np.exp(-np.square(np.arange(-far, far + 1) / width) / 2)
    for axis in (1, 2):
        padded = np.pad(errors, [(far * (axis == n),) * 2 for n in range(3)], "reflect")
        errors = sliding_window_view(padded, len(weights), axis) @ (weights / weights.sum())
    return errors


def _scores(outputs: Arrays, pixels: Arrays, rule: Mapping[str, Any]) -> Arrays:
    """(n,) of images (n, C, H, W) on [0, 1]; rule: the `score` of config.json."""
    errors = np.square(outputs - pixels).mean(1, dtype=np.float64)
    if rule["by"] == "peak":
        return np.asarray(_smoothed(errors, rule["smooth"]).max((1, 2)))
    return np.asarray(errors.mean((1, 2)))


def _save_png(path: Path, image: Arrays, taken: set[str]) -> None:
    """Write an image (C, H, W) on [0, 1] as PNG, with -1, -2, ... where that name is taken."""
    base = path if path.suffix.lower() == ".png" else path.with_name(f"{path.name}.png")
    path, count = base, 0
    while str(path).casefold() in taken:
        count += 1
        path = base.with_stem(f"{base.stem}-{count}")
    taken.add(str(path).casefold())
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = np.round(np.nan_to_num(image).clip(0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
    Image.fromarray(levels[..., 0] if levels.shape[2] == 1 else levels).save(path)


def _table(names: Sequence[str], scores: Arrays, threshold: float | None) -> bytes:
    """CSV with the columns of `task=score`; `anomalous` is empty without a threshold."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["name", "score", "anomalous"])
    for name, score in zip(names, scores.tolist(), strict=True):
        anomalous = "" if threshold is None else str(score > threshold).lower()
        writer.writerow([name, f"{score:.9g}", anomalous])
    return text.getvalue().encode(errors="backslashreplace")


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("images", nargs="+", help="image files, or folders of them at any depth")
    parser.add_argument("--scores", type=Path, help="CSV file: name, score, anomalous")
    parser.add_argument("--reconstructions", type=Path, help="new folder of PNG files")
    parser.add_argument("--codes", type=Path, help="NPY file, one row per image in the same order")
    parser.add_argument("--threshold", type=float, help="a score, in place of that in config.json")
    options = parser.parse_args(argv)
    for name, ending in (("scores", ".csv"), ("codes", ".npy")):  # no image is overwritten
        path = getattr(options, name)
        if path is not None and path.suffix.lower() != ending:
            parser.error(f"--{name} {path}: must end with {ending}")
        if path is not None and not path.parent.is_dir():
            parser.error(f"--{name} {path}: there is no folder {path.parent}")
    folder = options.reconstructions
    if folder is not None and (folder.is_file() or (folder.is_dir() and any(folder.iterdir()))):
        parser.error(f"--reconstructions {folder}: give a new or empty folder")
    if options.codes is not None and not (HERE / "encoder.onnx").is_file():
        parser.error("--codes: this model has no encoder.onnx")
    return options


def _save_codes(path: Path, codes: Sequence[Arrays]) -> None:
    with path.open("wb") as file:
        np.save(file, np.concatenate(codes), allow_pickle=False)


def run_program(options: argparse.Namespace, settings: Mapping[str, Any]) -> int:
    """Do what the options ask for with the settings of config.json; 1 where files were left out."""
    rule, threshold = settings["preprocessing"], settings["score"]["threshold"]
    threshold = threshold if options.threshold is None else options.threshold
    low, high = rule["range"]
    whole = _Model("autoencoder.onnx")
    encoder = None if options.codes is None else _Model("encoder.onnx")
    names: list[str] = []
    scores: list[Arrays] = []
    codes: list[Arrays] = []
    broken: list[str] = []
    taken: set[str] = set()
    for files, pixels in _batches(_image_files(options.images), rule, broken):
        inputs = pixels * (high - low) + low
        outputs = (whole(inputs) - low) / (high - low)
        names += [str(path) for path, _ in files]
        scores.append(_scores(outputs, pixels, settings["score"]))
        if encoder is not None:
            codes.append(encoder(inputs))
        if options.reconstructions is not None:
            for (_, name), image in zip(files, outputs, strict=True):
                _save_png(options.reconstructions / name, image, taken)
    if paged := sum(map(_has_pages, names)):
        print(f"files of which only the first page is used: {paged}", file=sys.stderr)
    for text in broken:
        shown = (c if c.isprintable() else ascii(c)[1:-1] for c in text)  # no name moves the cursor
        print(f"left out {''.join(shown)}", file=sys.stderr)
    if not names:
        print("no image could be read" if broken else "no image files there", file=sys.stderr)
        return 1
    values = np.nan_to_num(np.concatenate(scores), nan=np.finfo(np.float64).max)
    table = _table(names, values, threshold)
    if options.scores is not None:
        options.scores.write_bytes(table)
    elif encoder is None and options.reconstructions is None:
        sys.stdout.buffer.write(table)
    if encoder is not None:
        _save_codes(options.codes, codes)
    if threshold is None:
        print(f"no threshold: {settings['score']['note']}", file=sys.stderr)
    else:
        above = f"{int((values > threshold).sum())} of {len(values)} images"
        print(f"{above} are anomalous: above {threshold:.5g}", file=sys.stderr)
    return 1 if broken else 0


def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    options = _options(argv)
    settings = json.loads((HERE / "config.json").read_text("utf-8"))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return run_program(options, settings)


if __name__ == "__main__":
    sys.exit(main())
