"""`task=export`: a trained model as files for other programs."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from aecore.config.component import PositiveInt, component
from aecore.config.schema import Config
from aecore.config.terminal import say
from aecore.errors import UserError
from aecore.model.networks.base import flat
from aecore.runs.files import replacing, write_atomically
from aecore.runs.record import make_record
from aecore.tasks.exporting.packages import Format, need_packages
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

    formats: safetensors (weights and configuration, for `aecore.load`), onnx, torch
        (`torch.export`); the latter as encoder, decoder and both as one.
    images: how many the files are checked with, at most.
    """

    takes = ("dataset", "split", "resize", "sampler")
    unit_range = False

    @component
    def __init__(
        self,
        *,
        formats: Format | Annotated[list[Format], Field(min_length=1)],
        images: PositiveInt,
    ) -> None:
        self.formats = list(dict.fromkeys([formats] if isinstance(formats, str) else formats))
        self.images = images

    def use(self, opened: Opened) -> dict[str, float]:
        """Checked with the run's test images by default."""
        need_packages(self.formats)
        from aecore.tasks.exporting.export import export  # torch.export is slow to load
        from aecore.tasks.exporting.readme import readme

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
                with (
                    Path(folder, name).open("rb") as source,
                    replacing(opened.folder / name) as file,
                ):
                    shutil.copyfileobj(source, file)
        for reason in dict.fromkeys(made.left_out.values()):
            names = [name for name, why in made.left_out.items() if why == reason]
            log.warning("left out %s: %s", ", ".join(names), reason)
        description = (
            opened.describe(split)
            if len(some) == len(split)
            else f"{most:,} of {opened.describe(split)}"
        )
        page = readme(opened.ae.model, made.files, description, opened.run.class_names)
        write_atomically(opened.folder / "README.md", page.encode())
        config = json.dumps(record, indent=2) + "\n"
        write_atomically(opened.folder / "config.json", config.encode())
        _print_files(opened.folder, made, description)
        return {}


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


def _print_files(folder: Path, made: Exported, description: str) -> None:
    say(f"exported to {folder}, checked with {description}:")
    width = max(map(len, made.files))
    for name, worst in made.files.items():
        size = (folder / name).stat().st_size / 1e6
        far = "equal" if worst == 0 else f"differs by {worst:.1e} at most"
        if name in made.passed_over:
            far += f", but for {made.passed_over[name]} images that lie between two answers"
        say(f"  {name.ljust(width)}  {size:7.2f} MB  {far}")
    say(f"  {'README.md'.ljust(width)}  shows how each is used")
