"""A trained model as files for other programs: each must do what the model does."""

from __future__ import annotations

import io
import json
import re
import sys
import zipfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnxruntime import InferenceSession
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import aecore
from aecore.cli import main
from aecore.config.folders import installing
from aecore.errors import UserError
from aecore.model.autoencoder import Autoencoder
from aecore.model.latents.fsq import FSQ
from aecore.model.latents.vq import VQ
from aecore.model.networks.conv_unpool import ConvUnpool
from aecore.model.networks.mlp import MLP
from aecore.tasks.exporting.export import Exported, export
from aecore.tasks.exporting.pieces import on_cpu, undecided
from helpers.models import conv, images, mlp, model

RUN = [
    "model=cvae", "network.hidden=[12]", "latent.dim=3", "sampler=gaussian", "logger=none",
    "figures=none", "trainer.max_epochs=1", "trainer.threads=1", "hydra.run.dir=run",
]  # fmt: skip
PARTS = ("encoder", "decoder", "autoencoder")
PROGRAMS = [f"{part}.{kind}" for part in PARTS for kind in ("onnx", "pt2")]
WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the command line trained a conditional VAE with a sampler, and exported it."""
    folder = tmp_path_factory.mktemp("export")
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("AECORE_DATA_DIR", str(folder / "data"))
        assert main([*RUN, f"paths.output_dir={folder}"]) == 0
        with redirect_stdout(out), redirect_stderr(err):
            assert main(["run=run", "task=export", "out=out"]) == 0
    assert err.getvalue() == ""
    (folder / "said").write_text(out.getvalue())
    return folder


@pytest.fixture
def seen(folder: Path) -> tuple[aecore.Trained, Tensor, Tensor]:
    """The run, with real images and their labels."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    x = torch.from_numpy(digits.images[:30, None] / 16).float()
    return aecore.load(folder / "run", device="cpu"), x, torch.from_numpy(digits.target[:30])


def test_says_what_it_did_and_nothing_else(folder: Path) -> None:
    first, *rest = (folder / "said").read_text().splitlines()
    state = "epoch 1 of 1, last weights, run finished"
    assert first == f"exported to out ({state}), checked with 256 of 360 test images of digits:"
    others = ["README.md", "config.json", "predict.py"]
    assert [line.split()[0] for line in rest] == [WEIGHTS, *PROGRAMS, *others]
    assert rest[0].endswith("MB  equal")
    assert ", the 0.95 quantile of the run's 143 validation images" in rest[-2]
    assert rest[-1].endswith(
        "left out: this model is class-conditional, and image files have no labels"
    )
    for line in rest[1:-3]:
        assert re.search(r" MB  (equal|differs by \d\.\de-0[789] at most)$", line), line
    written = {path.name for path in (folder / "out").iterdir()}
    assert written == {WEIGHTS, *PROGRAMS, "README.md", "config.json"}


def test_the_weights_make_the_model_again(
    folder: Path, seen: tuple[aecore.Trained, Tensor, Tensor]
) -> None:
    ae, x, y = seen
    for place in (folder / "out", folder / "out" / WEIGHTS):
        again = aecore.load(place, device="cpu")
        assert torch.equal(again.reconstruct(x, y), ae.reconstruct(x, y))
        assert np.array_equal(again.sample(5), ae.sample(5))  # by the sampler
        assert again.run is not None
        kept = {"paths": ae.run.config.paths}  # of which an export tells nothing
        assert again.run.config.model_copy(update=kept) == ae.run.config
    assert json.loads((folder / "out" / "config.json").read_text())["image_shape"] == [1, 8, 8]


@pytest.mark.parametrize("count", [1, 2, 30])
def test_onnx_answers_alike(
    count: int, folder: Path, seen: tuple[aecore.Trained, Tensor, Tensor]
) -> None:
    ae, x, y = seen[0], seen[1][:count], seen[2][:count]
    codes = ae.encode(x, y)
    cases = [
        ("encoder", {"images": x}, {"codes": codes}),
        ("decoder", {"codes": codes}, {"images": ae.decode(codes, y)}),
        ("autoencoder", {"images": x}, {"reconstructions": ae.reconstruct(x, y)}),
    ]
    for name, given, wanted in cases:
        session = InferenceSession(folder / "out" / f"{name}.onnx")
        assert [one.name for one in session.get_inputs()] == [*given, "labels"]
        assert all(one.shape[0] == "batch" for one in session.get_inputs())
        (answer,) = session.run(
            [*wanted], {k: v.numpy() for k, v in {**given, "labels": y}.items()}
        )
        np.testing.assert_allclose(answer, *wanted.values(), rtol=0, atol=1e-5)


def test_the_readme_runs(
    folder: Path,
    seen: tuple[aecore.Trained, Tensor, Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(folder / "out")
    page = Path("README.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 3
    assert "| images | (N, 1, 8, 8) | float32, pixels in [0, 1] |" in page
    assert "| codes | (N, 3) | float32 |" in page
    assert "int64, the class of each image: from 0 to 9 |" in page
    assert [name for name in PROGRAMS if f"`{name}`" not in page] == []
    for block in blocks:
        names: dict[str, Any] = {}
        exec(block, names)
        x, y = (torch.as_tensor(names[k]) for k in ("images", "labels"))
        wanted = seen[0].reconstruct(x, y).numpy()
        np.testing.assert_allclose(names["reconstructions"], wanted, rtol=0, atol=1e-5)


def test_files_tell_nothing_of_this_machine_and_are_no_pickles(folder: Path) -> None:
    places = [str(place).encode() for place in (Path(aecore.__file__).parents[1], folder)]
    for name in (WEIGHTS, *PROGRAMS, "config.json", "README.md"):
        data = (folder / "out" / name).read_bytes()
        if name.endswith(".pt2"):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                parts = {entry.filename: archive.read(entry) for entry in archive.infolist()}
            data = b"".join(parts.values())
            # torch.save makes archives, and only of what it cannot write as bare numbers
            assert not any(value.startswith(b"PK") for value in parts.values())
            assert b'"use_pickle": true' not in data
        assert not any(place in data for place in places)
    onnx.checker.check_model(str(folder / "out" / "encoder.onnx"))
    # the encoder does not carry the decoder's weights
    loaded = torch.export.load(folder / "out" / "encoder.pt2")
    assert not [name for name in loaded.state_dict if "decoder" in name]


@pytest.mark.parametrize("harm", ["cut", "bare", "other", "sampler"])
def test_damaged_weights_are_refused(harm: str, folder: Path, tmp_path: Path) -> None:
    path, tensors = tmp_path / WEIGHTS, load_file(folder / "out" / WEIGHTS)
    metadata = {"aecore": (folder / "out" / "config.json").read_text()}
    if harm == "cut":
        path.write_bytes((folder / "out" / WEIGHTS).read_bytes()[:-7])
    elif harm == "bare":
        save_file(tensors, path)
    elif harm == "other":
        save_file(tensors | {"decoder.1.weight": torch.zeros(2, 2)}, path, metadata)
    else:
        drawn = {name: value for name, value in tensors.items() if name.startswith("sampler/")}
        wrong = {name: torch.zeros(1) for name in drawn}
        save_file(tensors | wrong, path, metadata)
    with pytest.raises(UserError, match=re.escape(str(path))) as error:
        aecore.load(tmp_path)
    assert len(str(error.value).splitlines()) <= 3


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["export.formats=[keras]"], "export.formats=[keras]: must be 'safetensors', 'onnx' or"),
        (["export.formats=[]"], "export.formats=[]: List should have at least 1 item"),
        (["noise=gaussian"], "noise=gaussian: task=export has no use for noise"),
        ([], f"export.formats: onnx needs onnxscript\n  {installing('export')}\n"),
    ],
)
def test_bad_input(
    argv: list[str],
    told: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    if not argv:
        monkeypatch.setitem(sys.modules, "onnxscript", None)  # as if it were not installed
    assert main(["run=run", "task=export", *argv]) == 2
    assert capsys.readouterr().err.startswith(f"error: {told}")
    assert not (folder / "run" / "export").exists()


def made(
    whole: Autoencoder, folder: Path, formats: list[Any], labels: Tensor | None = None
) -> Exported:
    """Export a model in evaluation mode, tried on 12 images."""
    shape = whole.image_shape
    x = images(12, *shape)
    return export(whole.eval(), {}, x, labels, formats, folder)


def unpooling() -> ConvUnpool:
    return ConvUnpool(
        channels=[3, 4], kernel_size=3, up="conv", activation="relu", output_activation=None,
        bias=True,
    )  # fmt: skip


def test_unpooling_is_exported_whole_with_classes_and_standardised_images(tmp_path: Path) -> None:
    shift, scale = torch.full((1, 1, 1), 0.4), torch.full((1, 1, 1), 0.3)
    whole = model(
        image_shape=(1, 9, 6), network=unpooling(), shift=shift, scale=scale, classes=3
    )  # fmt: skip
    found = made(whole, tmp_path, ["onnx", "torch"], torch.arange(12) % 3)
    assert found.left_out == {}
    assert set(found.files) == {"autoencoder.onnx", "autoencoder.pt2"}
    assert max(found.files.values()) < 1e-5


def test_code_words_for_any_number_of_images(tmp_path: Path) -> None:
    book: dict[str, Any] = {"commitment": 0.25, "update": "ema", "decay": 0.9, "restart_below": 0.1}
    latent = VQ(codebook_size=6, dim=3, tokens=None, **book)
    found = made(model(network=conv(5), latent=latent), tmp_path, ["torch"])
    assert found.left_out == {}
    assert set(found.files) == {f"{part}.pt2" for part in PARTS}


def test_images_between_two_code_words_are_known() -> None:
    whole = on_cpu(model(network=mlp(), latent=FSQ(levels=[3], tokens=1)))
    layer = whole.latent.project[1]
    layer.weight.zero_()[0, 0] = 1  # the code is the rounded tanh of the first pixel
    layer.bias.zero_()
    x = images(4, 1, 4, 4)
    x[:, 0, 0, 0] = torch.tensor([0.1, np.arctanh(0.5), 0.9, np.arctanh(0.5) + 1e-3])
    assert undecided(whole, x, None).tolist() == [False, True, False, False]


class Odd(nn.Module):
    """Does something to what it is given, in a way that a tracer may not like."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.calls = how, 0

    def forward(self, x: Tensor) -> Tensor:
        if self.how == "bound":  # to the number of images that it was traced with
            return x.flatten(1).reshape(len(x), -1)
        if self.how == "unsaid":  # there is no such operator in ONNX
            return torch.special.bessel_j0(x).flatten(1)
        self.calls += 1
        return x.flatten(1) + 0.01 * self.calls


class OddNetwork(MLP):
    """An encoder that is odd; the decoder is plain."""

    def __init__(self, how: str) -> None:
        vars(self).update(vars(mlp()))
        self.how = how

    def encoder(self, image_shape: Any) -> nn.Module:
        return Odd(self.how)


@pytest.mark.parametrize(
    ("how", "formats", "reason"),
    [
        ("bound", ["torch"], "batch"),
        ("unsaid", ["onnx"], "bessel_j0"),
        ("changing", ["torch"], "differs by 0.0"),
    ],
)
def test_what_cannot_be_exported_is_left_out_and_named(
    how: str, formats: list[Any], reason: str, tmp_path: Path
) -> None:
    found = made(model(network=OddNetwork(how)), tmp_path, formats)
    decoder = [f"decoder.{'pt2' if kind == 'torch' else kind}" for kind in formats]
    assert sorted(found.files) == sorted(decoder)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(found.files)
    rest = {f"{n}.{d.split('.')[1]}" for n in ("encoder", "autoencoder") for d in decoder}
    assert set(found.left_out) == rest
    for told in found.left_out.values():
        assert reason in told and "\n" not in told and len(told) < 170, told


def test_a_model_of_nan_is_refused(tmp_path: Path) -> None:
    whole = model()
    with torch.no_grad():
        next(whole.decoder.parameters()).fill_(torch.nan)
    with pytest.raises(UserError, match="answers with NaN"):
        made(whole, tmp_path, ["torch"])


def test_the_page_names_the_columns_of_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [f"{n},{n % 7},{n % 5}" for n in range(60)]
    Path("table.csv").write_text("\n".join(["age,visits,spend", *lines]))
    data = ["dataset=csv", "dataset.path=table.csv", "logger=none", "figures=none"]
    assert main(["model=pca", "latent.dim=1", *data, "hydra.run.dir=run"]) == 0
    assert main(["run=run", "task=export", "export.formats=safetensors", "out=out"]) == 0
    page = Path("out/README.md").read_text()
    assert "| images | (N, 1, 1, 3) | float32, the columns age, visits, spend |" in page
