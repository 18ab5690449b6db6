"""Random command lines: right and wrong keys, options, values, signs and flags."""

from __future__ import annotations

from random import Random

from aecore.config.folders import builtin_options, groups
from aecore.config.near import keys

HYDRA = (
    "hydra", "hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir", "hydra.mode",
    "hydra/launcher", "hydra/sweeper", "hydra.launcher", "hydra.launcher.n_jobs",
    "hydra.sweeper.params", "hydra.sweeper.n_trials", "hydra.job.name", "hydra.job.chdir",
    "hydra.job.env_set", "hydra.verbose", "hydra.searchpath", "hydra.output_subdir",
    "hydra/job_logging", "hydra.job_logging", "hydra.callbacks", "hydra.runtime.cwd",
    "hydra.job.config.override_dirname", "hydra/help", "hydra.help.template",
)  # fmt: skip
FLAGS = (
    "-m", "--multirun", "--cfg", "--cfg=job", "--info", "--info=x", "-p", "--package=latent",
    "--resolve", "--config-name", "--config-name=config", "--config-name=dataset/mnist",
    "--config-dir", "--config-dir=nowhere", "--config-path=x", "--hydra-help", "--version",
    "--shell-completion", "--experimental-rerun=x", "--foo", "-x", "--", "-", "--run",
    "--cfg=hydra", "--cfg=nothing",
)  # fmt: skip
VALUES = (
    "", "0", "1", "-1", "2.5", "1e400", "nan", "inf", "-0", "null", "none", "None", "true",
    "False", "yes", "x", "[2", "2]", "[]", "{}", "[[]]", "[1,2]", "{a:1}", "{a:", "a:b",
    "2020-13-45", "2020-01-02", "1_000", "9" * 5000, "1" * 40, "0x10", "0o7", "1,2", "1,,2", ",",
    "range(1,3)", "range(a,b)", "range(0,1e9)", "choice(1,2)", "interval(1,3)", "interval(3,1)",
    "glob(*)", "glob(k*,exclude=kl)", "sort(3,1)", "shuffle(1,2)", "tag(a,1)", "int(2.5)",
    "str(3)", "extend_list(1)", "foo(1)", "${seed}", "${nowhere}", "${oc.env:HOME}",
    "${oc.env:NOT_SET_HERE}", "${", "$", "'", '"', "'a", "\\", "\\'", "a b", "a=b", "=", "==",
    "日本", "é", "\x1b[31m", "\n", "\t", "\u202e", "~", "~/x", "/", "/dev/null", "..", "../x",
    "a/b", "*", "?", "%", "@", "@x", "!!python/object:x", "*a", "&a", "- 1", "# x", "|", "<<",
    "1:30", "0.1e", "1.", ".5", "+1", "--1", "None,null", "[kl,l1]", "[kl,kl]", "[kl", "kl]",
    "{kl:1}", "a" * 300, "1" + "0" * 20, "-" + "9" * 30,
)  # fmt: skip
TASKS = ("train", "evaluate", "encode", "list", "combinations", "compare", "[interpolate]", "1000")
PLACES = ("run", "resume", "init_from", "out", "sweeps", "experiment", "task", "split", "resize")


def _mangled(text: str, draw: Random) -> str:
    """The text with a character dropped, doubled, swapped for another or put in."""
    at = draw.randrange(len(text) + 1)
    more = draw.choice(["", draw.choice("=.,[]{}()$'\"~+@/ :-_0aé\\"), text[at : at + 1] * 2])
    return text[:at] + more + text[at + draw.randrange(2) :]


def override(draw: Random) -> str:
    """One override, right or wrong."""
    kind = draw.random()
    if kind < 0.35:
        group = draw.choice(groups())
        options = sorted(builtin_options(group))
        chosen = draw.choice(options) if options and draw.random() < 0.7 else draw.choice(VALUES)
        text = f"{group}={chosen}"
    elif kind < 0.7:
        text = f"{draw.choice(sorted(keys()))}={draw.choice(VALUES)}"
    elif kind < 0.85:
        text = f"{draw.choice(HYDRA)}={draw.choice(VALUES)}"
    elif kind < 0.95:
        text = f"{draw.choice(PLACES)}={draw.choice([*TASKS, *VALUES])}"
    else:
        text = draw.choice(VALUES)
    if draw.random() < 0.1:
        text = draw.choice(["+", "++", "~", "+ ", "~~"]) + text
    return _mangled(text, draw) if draw.random() < 0.15 else text


def command_line(draw: Random) -> list[str]:
    """The arguments of a command; hardly any of them can be run."""
    argv = [override(draw) for _ in range(draw.choice([1, 1, 1, 2, 2, 3, 5]))]
    for _ in range(draw.choice([0, 0, 0, 1, 1, 2])):
        argv.insert(draw.randrange(len(argv) + 1), draw.choice(FLAGS))
    return argv
