"""What a source says of what it cannot read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aecore.data.split import Source
from aecore.errors import UserError


def message(source: Source, which: Any, data_dir: Path = Path("nowhere")) -> str:
    """What the user reads when `source` cannot load: three lines at most."""
    with pytest.raises(UserError) as raised:
        source.load(which, data_dir)
    text = str(raised.value)
    assert 1 <= len(text.splitlines()) <= 3
    return text
