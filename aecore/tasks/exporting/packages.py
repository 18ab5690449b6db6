"""The packages that each export format needs."""

from __future__ import annotations

from typing import Literal

from aecore.config.folders import installing, is_installed
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
        missing = [package for package in _PACKAGES[name] if not is_installed(package)]
        if missing:
            raise UserError(
                f"export.formats: {name} needs {', '.join(missing)}", installing("export")
            )
