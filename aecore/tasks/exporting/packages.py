"""The packages that each export format needs."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

from aecore.config.folders import installing
from aecore.errors import UserError

Format = Literal["safetensors", "onnx", "torch"]
_PACKAGES: dict[Format, tuple[str, ...]] = {
    "safetensors": ("safetensors",),
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "torch": (),
}


def need_packages(formats: list[Format]) -> None:
    """Raise UserError for a format whose packages are not installed."""
    for name in formats:
        missing = [package for package in _PACKAGES[name] if find_spec(package) is None]
        if missing:
            raise UserError(
                f"export.formats: {name} needs {', '.join(missing)}", installing("export")
            )
