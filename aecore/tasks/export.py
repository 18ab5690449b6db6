"""`task=export`: a trained model as files for other programs."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from aecore.api.trained import Trained
from aecore.config.component import NonNegativeFloat, PositiveInt, Probability, component
from aecore.config.schema import Config
from aecore.config.terminal import say
from aecore.errors import ConfigError, UserError
from aecore.evaluation.metrics.anomaly_score import Scorer
from aecore.model.networks.base import flat
from aecore.runs.files import copy_file, write_atomically, write_json
from aecore.runs.record import make_record
from aecore.tasks.exporting.inference import (
    PROGRAM,
    PixelScore,
    preprocessing,
    score_rule,
    state_of,
    state_text,
    threshold_text,
    why_no_program,
    write_program,
)
from aecore.tasks.exporting.packages import Format, need_packages
from aecore.tasks.threshold import quantile_threshold, scorer_of
from aecore.tasks.use import Opened, Use

if TYPE_CHECKING:
    from aecore.tasks.exporting.export import Exported

log = logging.getLogger("aecore")
_PATHS = {"data_dir": "data", "output_dir": "outputs"}  # as a command has them by default
_ASKED = {"init_from", "resume", "run", "runs", "out"}  # of a run, by folders
_PLACES = {"root", "path", "cache_dir"}  # of a data set
_VALUES = 2**22  # of all images that the files are checked with, at most


class Export(Use):
    """Writes the model as safetensors, ONNX and programs of PyTorch, with a README.md.

    Each file is read again and must answer as the model does on real images before it is left in
    the folder; one that does not is named in a warning.

    `config.json` holds the preprocessing, the score and threshold of `task=score` (null where the
    images of the training cannot be read), class names, and epoch and state of the run. With it and
    `autoencoder.onnx`, `predict.py` turns image files into scores, reconstructions and codes by
    onnxruntime, NumPy and Pillow alone; it is left out for tables and class-conditional models.

    formats: safetensors (weights and configuration, for `aecore.load`), onnx, torch
        (`torch.export`); the latter as encoder, decoder and both as one.
    images: how many the files are checked with, at most.
    score_by, score_smooth: as `by` and `smooth` of `task=score`.
    threshold_quantile: of the scores of known-good images, the threshold; see `task=score`.
    """

    takes = ("dataset", "split", "resize", "sampler")
    unit_range = False

    @component
    def __init__(
        self,
        *,
        formats: Format | Annotated[list[Format], Field(min_length=1)],
        images: PositiveInt,
        score_by: PixelScore,
        score_smooth: NonNegativeFloat,
        threshold_quantile: Probability,
    ) -> None:
        if score_smooth and score_by != "peak":
            problem = "smooths the errors of export.score_by=peak alone"
            raise ConfigError("export.score_smooth", score_smooth, problem)

        self.formats = list(dict.fromkeys([formats] if isinstance(formats, str) else formats))
        self.images = images
        self.score_by, self.score_smooth = score_by, score_smooth
        self.threshold_quantile = threshold_quantile

    def use(self, opened: Opened) -> dict[str, float]:
        """Checked with the run's test images by default."""
        need_packages(self.formats)
        from aecore.tasks.exporting.export import export  # torch.export is slow to load
        from aecore.tasks.exporting.readme import readme

        self._scorer(opened)  # refuses before anything is read
        split = opened.images()
        most = max(min(self.images, _VALUES // flat(opened.ae.image_shape)), 1)
        some = opened.trial(split).at_most(most).images
        record = _record(opened)
        with TemporaryDirectory() as folder:
            made = export(
                opened.ae.model, record, some.pixels(), some.labels, self.formats, Path(folder)
            )
            if not made.files:
                name, reason = next(iter(made.left_out.items()))
                raise UserError("task=export: nothing could be exported", f"{name}: {reason}")
            for name in made.files:
                copy_file(Path(folder, name), opened.folder / name)
        for reason in dict.fromkeys(made.left_out.values()):
            names = [name for name, why in made.left_out.items() if why == reason]
            log.warning("left out %s: %s", ", ".join(names), reason)
        description = f"{most:,} of " * (len(some) < len(split)) + opened.describe(split)
        settings = self._settings(opened, record)
        missing = why_no_program(opened.ae.model, opened.run.config.dataset, made.files)
        page = readme(opened.ae.model, made.files, description, settings, missing)
        write_atomically(opened.folder / "README.md", page.encode())
        write_json(opened.folder / "config.json", settings)
        if missing is None:
            write_program(opened.folder)
        _print_files(opened.folder, made, description, settings, missing)
        return {}

    def _settings(self, opened: Opened, record: dict[str, Any]) -> dict[str, Any]:
        """The content of config.json: the record, and what inference needs beside the programs."""
        model = opened.ae.model
        unit = replace(opened, ae=Trained(model.in_unit_range(), opened.run), limits=model.limits)
        try:
            threshold, note = quantile_threshold(
                unit, opened.run_data, self._scorer(unit), self.threshold_quantile
            )
        except UserError as error:
            log.warning("config.json has no threshold: %s", error.summary)
            threshold, note = None, "the images of the training could not be read"
        return {
            **record,
            "run": state_of(opened.run),
            "preprocessing": preprocessing(model, opened.run.config.dataset),
            "score": score_rule(model, self.score_by, self.score_smooth, threshold, note),
        }

    def _scorer(self, opened: Opened) -> Scorer:
        try:
            return scorer_of(opened, self.score_by, smooth=self.score_smooth)
        except ConfigError as error:
            raise error.renamed({"smooth": "export.score_smooth"}) from error


def _record(opened: Opened) -> dict[str, Any]:
    """The record of the model: as it was trained, but with its current sampler.

    Without the paths of this machine, which are nobody else's to know.
    """
    config = opened.run.config.model_dump()
    fitted = opened.ae.model.sampler is not None  # a checkpoint alone comes without
    config["sampler"] = opened.request.config["sampler"] if fitted else {}
    config |= {"paths": _PATHS, "logger": {}}
    config |= dict.fromkeys(_ASKED & config.keys())
    evaluate = config["evaluate"]
    sets = [config["dataset"], *evaluate.get("ood", {}).values()]
    for node in (*sets, *evaluate.get("metrics", {}).values()):
        node |= dict.fromkeys(key for key, value in node.items() if _is_place(key, value))
    names = opened.run.class_names
    return make_record(Config.model_validate(config), opened.ae.image_shape, names)


def _is_place(key: str, value: object) -> bool:
    """Whether a key of a data set or a metric is a path."""
    return key in _PLACES or (isinstance(value, str) and value.startswith(("/", "~", ".")))


def _print_files(
    folder: Path,
    made: Exported,
    description: str,
    settings: Mapping[str, Any],
    missing: str | None,
) -> None:
    """missing: why there is no predict.py."""
    say(f"exported to {folder} ({state_text(settings['run'])}), checked with {description}:")
    rest = {
        "README.md": "shows how each is used",
        "config.json": threshold_text(settings["score"]),
        PROGRAM: f"left out: {missing}" if missing else "image files to scores, images and codes",
    }
    width = max(map(len, (*made.files, *rest)))
    for name, worst in made.files.items():
        size = (folder / name).stat().st_size / 1e6
        far = "equal" if worst == 0 else f"differs by {worst:.1e} at most"
        if name in made.passed_over:
            far += f", but for {made.passed_over[name]} images that lie between two answers"
        say(f"  {name.ljust(width)}  {size:7.2f} MB  {far}")
    for name, text in rest.items():
        say(f"  {name.ljust(width)}  {text}")
