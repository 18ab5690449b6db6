"""Nothing is written through a link in the folder of a run, a sweep or results."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import aecore
from aecore.cli import main
from aecore.errors import UserError
from aecore.runs.files import (
    appending,
    check_links,
    checked,
    make_folder,
    remove,
    remove_tree,
    replace_by_link,
    replacing,
    write_atomically,
)
from helpers.links import SECRET, contents, linked, victim
from helpers.run_folders import make

TINY = ["model=ae", "network.hidden=[8]", "trainer.threads=1", "trainer.max_epochs=2"]
ROOT = Path(aecore.__file__).parent


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with figures and event files."""
    folder = tmp_path_factory.mktemp("own") / "run"
    assert main([*TINY, "figures=[curves]", f"hydra.run.dir={folder}"]) == 0
    return folder


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own") / "sweep"
    argv = ["-m", "seed=0,1", *TINY, "figures=none", "logger=csv"]
    assert main([*argv, f"hydra.sweep.dir={folder}"]) == 0
    return folder


def appended(path: Path) -> None:
    with appending(path) as file:
        file.write("x")


def replaced(path: Path) -> None:
    with replacing(path) as file:
        file.write(b"x")


WRITERS: dict[str, Callable[[Path], object]] = {
    "write_atomically": lambda path: write_atomically(path, b"x"),
    "replacing": replaced,
    "appending": appended,
    "make_folder": make_folder,
    "remove": remove,
    "remove_tree": remove_tree,
    "replace_by_link": lambda path: replace_by_link(Path("run/run.json"), path),
    "checked": checked,
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize("depth", [1, 2])
def test_no_function_writes_through_a_link(
    write: Callable[[Path], object], depth: int, tmp_path: Path
) -> None:
    """Not where the link leads to a run of the user's either."""
    make(Path("run"))
    mine = victim(tmp_path / "mine")
    shutil.copytree("run", mine / "sub")
    (mine / "sub" / "thesis.tex").write_bytes(SECRET)
    before = contents(mine)
    linked(Path("run/inner"), mine)
    path = Path("run/inner") / ("thesis.tex" if depth == 1 else "sub/thesis.tex")
    with pytest.raises(UserError) as error:
        write(path)
    first, hint = str(error.value).splitlines()
    assert first.startswith(f"{tmp_path}/run/inner: a symbolic link") and "delete it" in hint
    assert contents(mine) == before


@pytest.mark.parametrize("name", [n for n in WRITERS if n not in ("remove", "make_folder")])
def test_a_link_in_the_place_of_the_file(name: str, tmp_path: Path) -> None:
    make(Path("run"))
    mine = victim(tmp_path / "mine")
    linked(Path("run/file"), mine / "thesis.tex")
    with pytest.raises(UserError, match="a symbolic link"):
        WRITERS[name](Path("run/file"))
    remove(Path("run/file"))  # only the link
    assert not Path("run/file").is_symlink() and contents(mine).keys() == {"thesis.tex"}


def test_a_temporary_name_that_is_known_in_advance(tmp_path: Path) -> None:
    import os

    mine = victim(tmp_path / "mine")
    Path(f".file.{os.getpid()}.tmp").symlink_to(mine / "thesis.tex")
    write_atomically(Path("file"), b"x")
    assert Path("file").read_bytes() == b"x" and not Path("file").is_symlink()
    assert (mine / "thesis.tex").read_bytes() == SECRET


def test_the_run_folder_and_those_above_it_may_be_links(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    Path("outputs").symlink_to(tmp_path / "disk")
    make(tmp_path / "elsewhere" / "run")
    Path("outputs/run").symlink_to(tmp_path / "elsewhere" / "run")
    write_atomically(Path("outputs/run/metrics.json"), b"{}")
    check_links(Path("outputs/run"))
    assert (tmp_path / "elsewhere/run/metrics.json").read_bytes() == b"{}"


def test_links_that_stay_in_the_folder_and_those_of_libraries() -> None:
    make(Path("run"))
    for name in ("wandb", ".submitit", "checkpoints"):
        Path("run", name).mkdir()
    Path("run/wandb/debug.log").symlink_to("/gone/debug.log")
    Path(f"run/.submitit/.submission_file_{'0' * 32}.sh").symlink_to("/gone")
    Path("run/newest").symlink_to("checkpoints")
    check_links(Path("run"))
    Path("run/.submitit/1_0_log.out").symlink_to("/gone")
    with pytest.raises(UserError, match=r"1_0_log\.out: a symbolic link"):
        check_links(Path("run"))


PLACES = [
    "checkpoints", "figures", "tensorboard", "tensorboard/train", "checkpoints/last.ckpt",
    "figures/curves.png", "config.yaml", "history.csv", "steps.csv", ".hydra", "notes",
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_a_run_is_not_resumed_through_a_link(
    place: str, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is refused before anything is trained or written."""
    shutil.copytree(trained, "run")
    mine = victim(tmp_path / "mine")
    path = Path("run", place)
    target = mine if path.is_dir() or not path.suffix else mine / "thesis.tex"
    if path.is_file():  # as it is read, a run that could go on
        target = Path(shutil.copy(path, mine))
    linked(path, target)
    before, there = contents(mine), contents(Path("run"))
    assert main(["resume=run", "trainer.max_epochs=3"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and f"run/{place}: a symbolic link" in lines[0]
    assert contents(mine) == before and contents(Path("run")) == there


@pytest.mark.parametrize(
    "place", ["0", "1/checkpoints", "0/.hydra", "0/.hydra/config.yaml", "figures", "summary.csv"]
)
def test_a_sweep_is_not_resumed_through_a_link(
    place: str, swept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(swept, "sweep")
    Path("sweep/0/metrics.json").unlink()
    mine = victim(tmp_path / "mine")
    path = Path("sweep", place)
    linked(path, Path(shutil.copy(path, mine)) if path.is_file() else mine)
    before = contents(mine)
    assert main(["resume=sweep"]) == 2
    assert f"sweep/{place}: a symbolic link" in capsys.readouterr().err.splitlines()[0]
    assert contents(mine) == before


TASKS = {
    "evaluate": [],
    "sample": ["sample.n=2", "sampler=gaussian"],
    "encode": [],
    "reconstruct": [],
    "export": ["export.formats=safetensors"],
}


@pytest.mark.parametrize("task", TASKS)
def test_results_are_not_written_through_a_link(
    task: str, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained, "run")
    mine = victim(tmp_path / "mine")
    linked(Path("run", task), mine)
    argv = ["run=run", f"task={task}", *TASKS[task]]
    if task == "export":
        pytest.importorskip("safetensors")
    assert main(argv) == 2
    assert f"run/{task}: a symbolic link" in capsys.readouterr().err
    assert contents(mine).keys() == {"thesis.tex"}
    assert main([*argv, "out=run/results"]) == 0  # beside it all is well
    assert any(Path("run/results").iterdir())


def test_a_new_run_in_a_folder_with_links(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = victim(tmp_path / "mine")
    for folder in ("run", "sweep", "api"):
        linked(Path(folder, "checkpoints"), mine)
    assert main([*TINY, "hydra.run.dir=run"]) == 2
    assert main(["-m", "seed=0,1", *TINY, "hydra.sweep.dir=sweep"]) == 2
    assert capsys.readouterr().err.count("a symbolic link") == 2
    with pytest.raises(UserError, match="a symbolic link"):
        aecore.fit("model=ae", np.random.rand(20, 1, 4, 4), epochs=1, folder="api")
    assert contents(mine).keys() == {"thesis.tex"}


OPENING = {"write_text", "write_bytes", "mkdir", "unlink", "rmtree", "touch", "symlink_to",
           "hardlink_to", "rename", "copyfile", "copytree", "move"}  # fmt: skip
SAVING = {"save", "savefig", "savez", "savez_compressed", "imsave"}
ALLOWED = {
    "runs/files.py",
    "runs/folder.py",  # `reserve`, whose mkdir decides
    "data",  # caches and downloads, outside of any run
    "config",
    "tasks/exporting",  # into a temporary folder
}


MODES = {"w", "wb", "a", "ab", "x", "xb", "r+", "r+b", "w+b"}


def in_memory(tree: ast.AST) -> Iterator[str]:
    """The names of open files in a module: from `replacing`, in memory, or given to it."""
    for node in ast.walk(tree):
        match node:
            case ast.withitem(context_expr=made, optional_vars=ast.Name(id=name)):
                pass
            case ast.Assign(value=made, targets=[ast.Name(id=name)]):
                pass
            case ast.NamedExpr(value=made, target=ast.Name(id=name)):
                pass
            case ast.arg(arg=name, annotation=ast.expr() as made):
                pass
            case _:
                continue
        if any(
            word in ast.unparse(made) for word in ("replacing(", "BytesIO", "StringIO", "BinaryIO")
        ):
            yield name


def writes(call: ast.Call, files: set[str]) -> bool:
    """Whether a call may open a file for writing, or make or remove one."""
    name = ast.unparse(call.func)
    values = [*call.args, *(keyword.value for keyword in call.keywords)]
    if name.rpartition(".")[2] == "open":
        modes = any(isinstance(v, ast.Constant) and v.value in MODES for v in values)
        return modes and "os.devnull" not in ast.unparse(call)
    if "." in name and name.rpartition(".")[2] in SAVING:
        into = values[1:2] if name == "torch.save" else values[:1]
        return any(ast.unparse(value) not in files for value in into)
    return name.rpartition(".")[2] in OPENING


def test_only_one_module_opens_files_for_writing() -> None:
    found, seen = [], 0
    for path in sorted(ROOT.rglob("*.py")):
        module = path.relative_to(ROOT).as_posix()
        if any(module.startswith(place) for place in ALLOWED):
            continue
        tree = ast.parse(path.read_text())
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        files, seen = {*in_memory(tree)}, seen + len(calls)
        found += [f"{module}: {ast.unparse(c)[:80]}" for c in calls if writes(c, files)]
    assert seen > 5000
    assert found == []
