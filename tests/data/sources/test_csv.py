"""Tables from .csv files: their separators, names, labels, and what is refused."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from aecore.cli import main
from aecore.data.sources.table import Csv
from aecore.errors import UserError
from helpers.models import data_of
from helpers.sources import message


def source(path: Path, **options: Any) -> Csv:
    return Csv(**({"path": str(path), "test_fraction": 0.0} | options))


def rows(path: Path, text: str, **options: Any) -> list[list[float]]:
    """The training rows of a file with that content."""
    path.write_text(text)
    table: list[list[float]] = source(path, **options).load("train", path).images[:, 0, 0].tolist()
    return table


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "t.csv"


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,2.5\n-3,4e1\n",
        '"a","b"\r\n"1", "2.5"\r\n\r\n"-3",40\r\n',
        "a;b\n1;2,5\n-3;40,0\n",
        "a;b\n1;2.5\n-3;40.0\n",
        "a\tb\n1\t2.5\n-3\t40",
        "a|b\n1|2.5\n-3|40",
        "\ufeffa,b\n1,2.5\n-3,40\n",
        " a , b \n1, 2.5\n -3,40 \n",
    ],
)
def test_every_way_to_write_a_table(file: Path, text: str) -> None:
    assert rows(file, text) == [[1, 2.5], [-3, 40]]
    table = source(file)
    assert table.load("train", file).columns == ("a", "b")
    assert table.note == "columns a, b" + (", decimal commas" if "2,5" in text else "")


def test_a_separator_within_quotes_is_a_name(file: Path) -> None:
    text = '"last; first","b,c"\n' + "1,2\n" * 3
    assert rows(file, text) == [[1, 2]] * 3
    assert source(file).load("train", file).columns == ("last; first", "b,c")
    assert rows(file, text, columns=["b,c"]) == [[2]] * 3


def test_without_a_header(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert rows(file, "1,2,3\n4,5,6\n", columns=[2, 0]) == [[3, 1], [6, 4]]
    assert "no header, its columns are 0, 1, ..." in caplog.text
    assert rows(file, "1;2,5\n4;5,5\n") == [[1, 2.5], [4, 5.5]]
    assert rows(file, "1990,1991\n") == [[1990, 1991]]


def test_a_table_has_no_white(file: Path) -> None:
    file.write_text("a,b\n" + "".join(f"{n},{2 * n}\n" for n in range(20)))
    data = data_of(source(file), val_size=0, batch_size=4)
    with pytest.raises(UserError, match=r"or scale them to \[0, 1\]$"):
        _ = data.train


def test_columns_are_chosen_in_order(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert rows(file, "a,b,c,2020\n1,x,,3\n4,y,NA,6\n", columns=[2020, "a"]) == [[3, 1], [6, 4]]
    assert "not used: b, c" in caplog.text
    assert "constant" not in caplog.text
    assert rows(file, "a,b\n1,2\n1,3\n") == [[1, 2], [1, 3]]
    assert "constant columns: a\n" in caplog.text


def test_the_number_of_a_row_is_no_feature(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As pandas and R write it unless they are told not to."""
    assert rows(file, ",a\n0,5\n1,7\n2,6\n") == [[5], [7], [6]]
    assert "no name and counts the rows" in caplog.text
    file.write_text(",a\n0,5\n2,7\n")
    assert "column 1 has no name" in message(source(file), "train")


def test_labels(file: Path) -> None:
    text = "kind,a,n\nfox,1,3\n,2,4\ncat,3,9\nfox,4,3.0\n"
    file.write_text(text.replace("\n,2", "\ncat,2"))
    split = source(file, labels="kind").load("train", file)
    assert split.columns == ("a", "n") and split.class_names == ("cat", "fox")
    assert split.labels is not None and split.labels.tolist() == [1, 0, 0, 1]
    split = source(file, labels="n", columns=["a"]).load("train", file)
    assert split.labels is not None and split.labels.tolist() == [3, 4, 9, 3]
    assert split.class_names is None and split.columns == ("a",)
    file.write_text(text)
    assert "1 cells are missing" in message(source(file, labels="kind"), "train")
    file.write_text("a,b\n1,0.5\n2,1\n")
    assert "holds 0.5; labels must be whole" in message(source(file, labels="b"), "train")


def test_the_split_is_fixed_and_numbers_are_exact(file: Path) -> None:
    x = np.random.default_rng(0).normal([0, 1.6e12, 5], size=(40, 3))
    np.savetxt(file, x, delimiter=",", header="a,b,c", comments="", fmt="%.17g")
    table = source(file, test_fraction=0.25)
    train, test = (table.load(which, file) for which in ("train", "test"))  # type: ignore[arg-type]
    whole, places = table.whole(file)
    assert train.images.dtype == torch.float64  # float32 is too coarse for b
    assert np.array_equal(whole.images[:, 0, 0].numpy(), x)
    assert torch.equal(whole.images[places], test.images) and len(train) == 30
    with file.open("a") as more:
        more.write("1,2,3\n")
    assert len(table.whole(file)[0]) == 40  # read once


@pytest.mark.parametrize(
    ("text", "options", "problems"),
    [
        ("", {}, ["is empty"]),
        ("a,b\n", {}, ["holds no rows"]),
        ("a,b\n1,2\n\n1,2,3\n", {}, ["line 4 has 3 cells, the first 2"]),
        ('a,b\n1,"2\n', {}, ["line 2"]),
        ("a,a\n1,2\n", {}, ["several columns are called a"]),
        ("a,a\n1,2\n", {"columns": ["a"]}, ["has 2 columns 'a'"]),
        ("a,\n1,2\n", {}, ["column 2 has no name", "dataset.columns=[a]"]),
        (
            "id,na me,b\n1,Bo,2\n2,1_0,x\n",
            {},
            ["na me ('Bo' in line 2), b ('x' in line 3)", "dataset.columns=[id]", "na me"],
        ),
        (
            "id,v,town\nA1,1,Oslo\nA2,2,Rome\nA3,3,Oslo\n",
            {},
            ["id ('A1' in line 2), town", "dataset.labels=town makes classes"],
        ),
        ("a,b,c\n1,NA,1\n, nan ,2\n", {}, ["missing cells: a (1), b (2)", "dataset.columns=[c]"]),
        ("a\n1\ninf\n", {}, ["infinite cells: a (1)"]),
        ("a;b\n1,5;1\n1.234;2\n", {}, ["a ('1.234' in line 3)"]),
        ("a,b\n1,2\n", {"columns": ["a", "bb"]}, ["no column 'bb' (did you mean 'b'?)", "a, b"]),
        ("a,b\n1,2\n", {"columns": ["a", "a"]}, ["a stands there twice"]),
        ("a,b\n1,2\n", {"labels": "c"}, ["dataset.labels=c", "no column 'c'", "labels=null"]),
        ("1,2\n", {"columns": ["a"]}, ["which has no header, has no column 'a'", "0, 1"]),
        ("a,b\n1,2\n", {"test_fraction": 1.0}, ["none of the 1 rows"]),
    ],
)
def test_what_is_refused(
    file: Path, text: str, options: dict[str, Any], problems: list[str]
) -> None:
    file.write_text(text)
    answer = message(source(file, **options), "train")
    for problem in problems:
        assert problem in answer


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    assert "dataset.path=null" in message(Csv(path=None, test_fraction=0.1), "train")
    (tmp_path / "t.csv").write_bytes("größe,b\n1,2\n".encode("latin-1"))
    assert "not text in UTF-8" in message(source(tmp_path / "t.csv"), "train")
    (tmp_path / "t.npy").touch()
    assert "dataset=arrays" in message(source(tmp_path / "t.npy"), "train")
    assert "is a folder" in message(source(tmp_path), "train")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A trained run of three columns; the options that its tasks share."""
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(size=(60, 3)).tolist()
    cells = [[*row, "ab"[n % 2]] for n, row in enumerate(x)]
    write("train.csv", ["age", "income", "visits", "kind"], cells)
    command = ["model=ae", "dataset=csv", "dataset.path=train.csv", "dataset.labels=kind"]
    command += ["network.hidden=[8]", "latent.dim=2", "trainer.max_epochs=1", "figures=none"]
    assert main([*command, "logger=none", "hydra.run.dir=run"]) == 0
    return ["run=run", "logger=none"]


def write(path: str, names: list[str], cells: list[list[Any]]) -> None:
    with open(path, "w", newline="") as opened:
        csv.writer(opened).writerows([names, *cells])


def table(path: str) -> dict[str, list[str]]:
    with open(path, newline="") as opened:
        names, *cells = csv.reader(opened)
    return dict(zip(names, map(list, zip(*cells, strict=True)), strict=True))


def test_other_tables_are_matched_by_name(
    run: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert yaml.safe_load(Path("run/config.yaml").read_text())["dataset"]["columns"] == [
        "age", "income", "visits",
    ]  # fmt: skip
    x = np.random.default_rng(1).normal(size=(20, 3))
    write("same.csv", ["age", "income", "visits"], x.tolist())
    write("turned.csv", ["id", "visits", "age", "income"], [
        [f"no {n}", *row] for n, row in enumerate(x[:, [2, 0, 1]].tolist())
    ])  # fmt: skip
    found = []
    for name in ("same", "turned"):
        other = ["dataset=csv", f"dataset.path={name}.csv"]
        assert main([*run, "task=score", *other, f"out=s_{name}"]) == 0
        assert main([*run, "task=reconstruct", *other, f"out=r_{name}"]) == 0
        found.append([table(f"s_{name}/scores.csv"), table(f"r_{name}/errors.csv")])
    assert found[0] == found[1]
    assert "dataset.path=turned.csv: not used: id\n" in capsys.readouterr().err
    for one, mean in zip(found[0], ("score", "mse"), strict=True):
        errors = np.array([one[f"error_{name}"] for name in ("age", "income", "visits")], float)
        np.testing.assert_allclose(errors.mean(0), np.array(one[mean], float), rtol=1e-5)
    with np.load("r_same/reconstructions.npz", allow_pickle=False) as rebuilt:
        assert rebuilt["columns"].tolist() == ["age", "income", "visits"]
    write("less.csv", ["age", "incone", "visits"], x.tolist())
    assert main([*run, "task=score", "dataset=csv", "dataset.path=less.csv"]) == 2
    text = capsys.readouterr().err
    assert "less.csv has no column 'income' (did you mean 'incone'?)" in text
    ood = ["evaluate.ood=[csv]", "evaluate.ood.csv.path=turned.csv", "evaluate.metrics=[ood]"]
    ood += ["task=evaluate", "out=e", "figures=none"]
    assert main([*run, *ood, "evaluate.ood.csv.columns=[visits,age,income]"]) == 2
    assert "use evaluate.ood.csv.columns=[age,income,visits]" in capsys.readouterr().err
    assert main([*run, *ood, "evaluate.ood.csv.columns=[age,income,visits]"]) == 0
