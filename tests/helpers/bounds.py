"""The least and the largest that an option may be, and what lies just beyond."""

from __future__ import annotations

from typing import Any

import pytest

from aecore.api.create import create
from aecore.errors import UserError


def check_bounds(option: str, key: str, within: list[Any], beyond: list[Any]) -> None:
    """Each of the first may be given, none of the second; the refusal names the key."""
    for value in within:
        create(option, **{key: value})
    for value in beyond:
        with pytest.raises(UserError, match=rf"\b{key}"):
            create(option, **{key: value})
