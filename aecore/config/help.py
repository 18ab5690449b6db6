"""`--help`: every config group with its options and their descriptions, read from the files."""

from __future__ import annotations

import textwrap
from pathlib import Path

from aecore.config.folders import command, groups, known

_HEAD = """\
aecore: a laboratory for autoencoders

  {command} [GROUP=OPTION ...] [KEY=VALUE ...]

A model consists of components: network, latent, noise, penalty and
reconstruction. A preset (model=NAME) chooses all of them; further arguments
replace components and set values.

Examples:
  {command}
      a VAE on small digits, without a download
  {command} model=vae dataset=mnist
      the same on MNIST
  {command} model=ae noise=gaussian noise.std=0.5
      a denoising autoencoder
  {command} model=ae 'penalty=[l1,contractive]' penalty.l1.weight=1e-3
      two penalties, one of them with another weight
  {command} -m model=pca,ae,vae latent.dim=2,8,32
      nine runs, one after another, and their comparison

Config groups and their options. `{command} GROUP --help` describes
those of a group, `{command} GROUP=OPTION --help` one with its keys:
"""

WIDTH = 79
_LONG = ("evaluate/metrics", "experiment", "figures", "sweeps")
_TAIL = """
Values, for example: latent.dim=8 network.hidden=[512,256] penalty.kl.weight=4
optimizer.lr=1e-4 dataset.batch_size=256 trainer.max_epochs=20 seed=1
  -m, --multirun         runs every combination of comma-separated values
  dry_run=true           prints what would run, with its time and memory
  conditional=true       gives encoder and decoder the class of each image
  evaluate.metrics=[pca] more metrics; evaluate.ood=[kmnist]: another data set
  run=last task=sample   uses a trained run: run=FOLDER task=TASK
  resume=FOLDER          continues a run or a sweep; resume=last the newest
  init_from=FOLDER       starts from the weights of a run
  --cfg job              prints the composed configuration and exits
  --config-dir DIR       adds a folder of your own components (.yaml and .py)
  AECORE_DEBUG=1         prints the traceback of an error"""


def help_text() -> str:
    """The whole help: every group with the names of its options, including the user's own."""
    lines = [_HEAD.format(command=command())]
    width = max(map(len, groups()))
    for group in groups():
        options = sorted(known(group))
        several = f"{len(options)} options, see `{command()} {group} --help`"
        names = [several]
        if group not in _LONG:
            names = textwrap.wrap(", ".join(options), WIDTH - width - 4)
        heads = [group, *[""] * (len(names) - 1)]
        lines += [f"  {head:<{width}}  {text}" for head, text in zip(heads, names, strict=True)]
    return "\n".join([*lines, _TAIL])


def group_help(group: str) -> str:
    """The options of a group with their descriptions."""
    options = {name: first_comment(file) for name, file in known(group).items()}
    width = max(map(len, options), default=0)
    head = f"{group}: `{command()} {group}=OPTION --help` shows the keys of an option"
    lines = [*wrapped(head, 2), ""]
    for name in sorted(options):
        lines += wrapped(f"  {name:<{width}}  {options[name]}", width + 4)
    return "\n".join(lines)


def wrapped(text: str, indent: int) -> list[str]:
    """The lines of a text of any length, the second and further ones indented; no word is cut."""
    return textwrap.wrap(
        text, WIDTH, subsequent_indent=" " * indent, break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip


def first_comment(file: Path) -> str:
    """The first comment of a YAML file, Hydra's `# @package` excluded."""
    with file.open() as lines:
        for line in lines:
            if not line.startswith("#"):
                break
            if not line.startswith("# @"):
                return line.lstrip("# ").rstrip(".\n")
    return ""
