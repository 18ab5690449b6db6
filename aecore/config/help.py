"""`--help`: every group with its choices and a sentence each, read from the folders."""

from __future__ import annotations

from pathlib import Path

from aecore.config.folders import command, groups, known

_HEAD = """\
aecore: a laboratory for autoencoders

  {command} [WORD=CHOICE ...] [KEY=VALUE ...]

A model is a sentence: network x latent x noise x penalty x reconstruction. A preset (model=NAME)
chooses all five; any of them can be replaced, and any value be set.

To try:
  {command}                                              a VAE on small digits, no download
  {command} model=vae dataset=mnist                      the same on MNIST
  {command} model=ae noise=gaussian noise.std=0.5        a denoising autoencoder
  {command} model=ae 'penalty=[l1,contractive]' penalty.l1.weight=1e-3
  {command} -m model=pca,ae,vae latent.dim=2,8,32        nine runs, one after another

Words:"""

_TAIL = """
Values are keys of the words: latent.dim=8 network.hidden=[512,256] penalty.kl.weight=4
optimizer.lr=1e-4 dataset.batch_size=256 trainer.max_epochs=20 trainer.threads=2 seed=1
  conditional=true           tells encoder and decoder the class of each image
  evaluate.metrics=[activity,pca]  more metrics; evaluate.ood=[kmnist]: other data to try
  --cfg job                  shows the composed configuration and stops
  resume=RUN_FOLDER          continues a run; init_from=RUN_FOLDER starts from its weights
  -m, --multirun             runs every combination of values given with commas
  --config-dir DIR           adds a folder of your own words, YAML files and Python modules
  AECORE_DEBUG=1             shows the traceback behind an error"""


def help_text() -> str:
    """The whole help, with the user's own words."""
    lines = [_HEAD.format(command=command())]
    for group in groups():
        choices = {name: sentence(file) for name, file in known(group).items()}
        lines.append(f"\n{group}")
        width = max(len(name) for name in choices)
        lines += [f"  {name:<{width}}  {choices[name]}" for name in sorted(choices)]
    return "\n".join([*lines, _TAIL])


def sentence(file: Path) -> str:
    """The first comment of a YAML file, Hydra's own `# @package` aside."""
    with file.open() as lines:
        for line in lines:
            if not line.startswith("#"):
                break
            if not line.startswith("# @"):
                return line.lstrip("# ").rstrip(".\n")
    return ""
