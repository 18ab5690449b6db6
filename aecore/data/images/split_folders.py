"""Which folders of a data set hold its splits, by their usual names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from aecore.data.images.files import is_data, shown
from aecore.errors import ConfigError

_SET = r"[-_ ]?(set|split|data|images|imgs)?"
_NAMES = {
    "train": re.compile(rf"(train|training){_SET}", re.IGNORECASE),
    "val": re.compile(rf"(val|valid|validation|validate|dev|eval|evaluation){_SET}", re.IGNORECASE),
    "test": re.compile(rf"(test|testing){_SET}", re.IGNORECASE),
    "masks": re.compile(r"ground[-_ ]?truth", re.IGNORECASE),
}


@dataclass(frozen=True)
class SplitFolders:
    """Where the images of a data set lie.

    train: the folder of the training images, or of all where there is no `test`.
    test: that of the test images, None where a fraction of the others is the test split.
    masks: that of the masks of the test images, as MVTec AD has it; or None.
    note: which folders were taken for which splits, or are left out; "" for train/ and test/ alone.
    """

    train: Path
    test: Path | None
    note: str = ""
    masks: Path | None = None


def split_folders(root: Path) -> SplitFolders:
    """Find the folders of the splits below a root, in any usual spelling and case.

    Validation images are drawn from the training images, so that every seed has its own; a folder
    of validation images is the test split where there is no other.
    Raises ConfigError where two folders may be the same split.
    """
    folders = sorted(e.name for e in root.iterdir() if e.is_dir() and is_data(e.name))
    by_kind = {kind: [name for name in folders if p.fullmatch(name)] for kind, p in _NAMES.items()}
    if not by_kind["train"] or not (by_kind["test"] or by_kind["val"] or len(folders) == 1):
        return SplitFolders(root, None)
    for names in by_kind.values():
        if len(names) > 1:
            both = " and ".join(f"{shown(name)}/" for name in names)
            hint = "leave one of them, or give the folder of one as dataset.root"
            raise ConfigError("dataset.root", shown(root), f"{both} may be the same split", hint)
    (train,) = by_kind["train"]
    held_out = by_kind["test"] or by_kind["val"]
    if not held_out:
        note = f"{shown(train)}/ holds all images; dataset.test_fraction of them are the test split"
        return SplitFolders(root / train, None, note)
    (test,) = held_out
    masks = by_kind["masks"][0] if by_kind["masks"] else None
    others = [f"{shown(name)}/" for name in folders if name not in (train, test, masks)]
    note = ""
    if (train, test) != ("train", "test") or others or masks:
        note = f"{shown(train)}/ is the training split, {shown(test)}/ the test split"
        note += f", {shown(masks)}/ has its masks of anomalous pixels" if masks else ""
        note += f"; not used: {', '.join(others)}" if others else ""
    return SplitFolders(root / train, root / test, note, root / masks if masks else None)
