"""Downloading through torchvision, quietly, and what to say when it cannot be done."""

from __future__ import annotations

import contextlib
import io
import socket
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPException
from pathlib import Path

from aecore.data.reading import check_writable
from aecore.errors import UserError

STALLED_AFTER = 30.0  # seconds without a byte


@contextlib.contextmanager
def _impatient() -> Iterator[None]:
    """A server that never answers counts as no network."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(STALLED_AFTER)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def fetch(download: Callable[[], object], files: Mapping[Path, str | None], hint: str = "") -> None:
    """Run a torchvision download where a file is missing; its bar may show, its chatter not.

    files: with their checksums, where these are known. hint: what else helps.
    Raises UserError for a wrong checksum, and where the download fails: no network, a read-only
    folder.
    """
    from torchvision.datasets.utils import check_integrity  # slow

    for path, md5 in files.items():
        if path.exists() and md5 is not None and not check_integrity(path, md5):
            raise damaged(path, "its checksum is wrong")
    missing = next((path for path in files if not path.exists()), None)
    if missing is None:
        return
    check_writable(missing)
    try:
        with _impatient(), contextlib.redirect_stdout(io.StringIO()):
            download()
    except (OSError, RuntimeError, HTTPException) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[-1][:150]
        raise UserError(
            f"{missing.name} is missing from {missing.parent} (AECORE_DATA_DIR or paths.data_dir) "
            f"and the download failed ({reason}){hint}; dataset=digits needs no download"
        ) from error


def damaged(path: Path, why: str) -> UserError:
    """The error for a file that is there but is not what it should be."""
    return UserError(
        f"{path} is damaged or not the right file: {why}.\n"
        "Delete it and it will be downloaded again, or put a good copy in its place."
    )
