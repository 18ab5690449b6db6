"""What a beginner would mistype: exit status 2, at most three lines, the culprit and the mend."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aecore.cli import main

BAD = [
    (["model=vea"], "did you mean 'vae'"),
    (["penalty=l2"], "did you mean .*\n  `python run.py penalty --help` describes all 20"),
    (["noise=blur"], "known: chain, dropout, gaussian, none, "),
    (["network=vae"], "did you mean model=vae"),
    (["penalty=[kl,l2]"], "no such penalty"),
    (["latent.dmi=2"], "did you mean 'dim'"),
    (["+foo=bar"], "'\\+' is never needed"),
    (["++latent.foo=3"], "'\\+' is never needed"),
    (["+experiment=x"], "'\\+' is never needed"),
    (["foo=bar"], "no key 'foo'"),
    (["trainer.batch_size=64"], "did you mean dataset.batch_size=64"),
    (["trainer.device=cuda"], "did you mean trainer.accelerator=gpu"),
    (["optimizer.learning_rate=1"], "did you mean optimizer.lr=1"),
    (["dataset.seed=3"], "did you mean seed=3"),
    (["loss=bce"], "did you mean reconstruction=bernoulli"),
    (["task=test"], "did you mean task=evaluate"),
    (["evaluate.metrics=[fid]"], "did you mean evaluate/metrics=inception"),
    (["model=vae dataset=mnist"], "write several arguments: model=vae dataset=mnist"),
    (["figures.format=jpg"], "figures.format=jpg: must be 'png', 'pdf' or 'svg'"),
    (["penalty.kl.beta=4"], "did you mean penalty.kl.weight=4"),
    (["trainer.foo=1"], "trainer has no key 'foo'"),
    (["latent.dim=0"], "greater than or equal to 1"),
    (["latent.dim=-3"], "greater than or equal to 1"),
    (["latent.dim=2.5"], "integer"),
    (["latent.dim=two"], "integer"),
    (["latent.dim="], "latent.dim="),
    (["latent.dim=[1"], "quotes"),
    (["latent.dim=1000000000000"], "not enough memory"),
    (
        ["model=ae", "noise=gaussian", "noise.std=-1"],
        "noise.std=-1: must be greater than or equal to 0",
    ),
    (["model=ae", "noise=dropout", "noise.p=1.5"], "noise.p=1.5: must be less than or equal to 1"),
    (["optimizer.lr=abc"], "must be a valid number"),
    (["optimizer.lr=-1"], "greater than 0"),
    (["optimizer.lr=nan"], "finite"),
    (["dataset.batch_size=0"], "greater than or equal to 1"),
    (["dataset.batch_size=100000"], "dataset.batch_size=1294"),
    (["dataset.val_size=5000"], "val_size=5000"),
    (["trainer.max_epochs=-2"], "greater than or equal to 1"),
    (["trainer.precision=16"], "bf16-mixed"),
    (["seed=-1"], "greater than or equal to 0"),
    (["seed=abc"], "integer"),
    (["network.hidden=[0]"], r"network.hidden=\[0\]: each must be greater than or equal to 1"),
    (["network.hidden=5"], r"must be a valid list\n  use network.hidden=\[5\]"),
    (["network.activation=rleu"], "'relu'"),
    (["model=ae", "penalty=l1", "penalty.l1.weight=-1"], "penalty.l1.weight=-1"),
    (["model=ae", "penalty=kl"], "latent=gaussian"),
    (["model=vae", "penalty=[kl,total_correlation]"], "count twice"),
    (["model=vae", "objective=iwae"], "penalty=none"),
    (["model=ae", "penalty=kl_sparsity"], "latent.activation=sigmoid"),
    (["model=ae", "penalty=orthogonal"], "network=linear"),
    (["model=ae", "penalty=mmd", "penalty.mmd.kernel=cosine"], "'rbf' or 'imq'"),
    (["model=ae", "penalty=mmd", "penalty.mmd.scales=[]"], "at least 1 item"),
    (["model=ae", "reconstruction=ssim", "reconstruction.ssim.window=11"], "11x11"),
    (["model=ae", "reconstruction=ssim", "reconstruction.ssim.window=4"], "must be 3, 5"),
    (["model=ae", "reconstruction=[mse,l1]"], "which only the first term may be"),
    (["model=ae", "reconstruction=[]"], "no such reconstruction"),
    (["model=ae", "~reconstruction"], "choose one of adversarial, "),
    (["~figures"], "choose one of .*none"),
    (["++latent.dim=4"], "write latent.dim=4"),
    (["+dataset.val_size=3"], "write dataset.val_size=3"),
    (["model=ae", "noise.std=0.3"], r"did you mean noise=gaussian noise.std=0.3\?"),
    (["model=ae", "latent.categories=4"], "did you mean latent=categorical latent.categories=4"),
    (["trainer.early_stopping=5"], "trainer.early_stopping.patience"),
    (["evaluate=5"], "must be a mapping"),
    (["latent.dim=interval(2,8)"], "hydra/sweeper=optuna"),
    (["-m", "hydra.sweeper.sampler.seed=1", "seed=0,1"], "hydra/sweeper=optuna has"),
    (["lr=0.1"], r"did you mean optimizer.lr=0.1\?"),
    (["learning_rate=0.1"], r"did you mean optimizer.lr=0.1\?"),
    (["beta=4"], r"did you mean penalty.kl.weight=4\?"),
    (["noise.x=3"], r"noise\.x: noise has no key 'x'(?!.*did you mean noise=3)"),
    (["modle=vae"], r"did you mean model=vae\?"),
    (["datset=mnist"], r"did you mean dataset=mnist\?"),
    (["metric=fid"], r"did you mean evaluate/metrics=inception\?"),
    (["noise=salt"], r"did you mean 'salt_and_pepper'\?"),
    (["model=sae"], r"did you mean model=sparse\?"),
    (["latent=2"], r"did you mean latent.dim=2\?"),
    (["noise=0.3"], r"did you mean noise=gaussian noise.std=0.3\?"),
    (["epochs=3"], r"did you mean trainer.max_epochs=3\?"),
    (["batch_size=4"], r"did you mean dataset.batch_size=4\?"),
    (["device=cuda"], r"did you mean trainer.accelerator=gpu\?"),
    (["z_dim=3"], r"did you mean latent.dim=3\?"),
    (["lambda=3"], r"did you mean penalty.kl.weight=3\?"),
    (["sigma=0.3"], r"did you mean noise=gaussian noise.std=0.3\?"),
    (["patience=3"], r"did you mean trainer.early_stopping.patience=3\?"),
    (["val_size=3"], r"did you mean dataset.val_size=3\?"),
    (["lattent.dim=3"], r"did you mean latent.dim=3\?"),
    (["model=VAE"], r"did you mean model=vae\?"),
    (["dataset=MNIST"], r"did you mean dataset=mnist\?"),
    (["model=VQ-VAE"], r"did you mean model=vq_vae\?"),
    (["dataset=FashionMNIST"], r"did you mean dataset=fashion_mnist\?"),
    (["reconstruction=bce"], r"did you mean reconstruction=bernoulli\?"),
    (["model=mnist"], r"did you mean dataset=mnist\?"),
    (["-m", "hydra.sweep.subdir='a','b'", "seed=0,1"], "Hydra's own settings take one"),
    (["-m", "optimized_metric=val/loss", "seed=0,1"], "add -m hydra/sweeper=optuna"),
    (["optimized_metric=val/loss"], "only a search has a use for it"),
    (["-m", "seed=0,0"], "seed=0,0: 0 stands there twice"),
    (["-m", "penalty=[kl,l1],[kl,l1]"], "stands there twice"),
    (["-m", "latent.dim=2,,3"], "cannot be read"),
    (["-m", "latent.dim=range(a,b)"], "cannot be read"),
    (["--cfg", "job", "latent.dmi=3"], "did you mean 'dim'"),
    (["--cfg", "job", "model=vea"], "did you mean 'vae'"),
    (["--cfg", "job", "-m", "model=ae,vae"], "--cfg: does not go with --multirun"),
    (["--experimental-rerun", "job.pickle"], "resume=FOLDER"),
    (["--config-path", "/tmp"], "--config-dir FOLDER"),
    (["--package", "latent"], "it goes with --cfg"),
    (["--resolve"], "it goes with --cfg"),
    (["hydra.job.chdir=true"], "it would have no effect"),
    (["hydra.output_subdir=x"], "it would have no effect"),
    (["hydra.job.env_set.AECORE_DEBUG=1"], "set it outside: AECORE_DEBUG=..."),
    (["hydra.job.env_set={LD_PRELOAD: x.so}"], "set it outside: LD_PRELOAD=..."),
    (["hydra.job.env_set.PYTHONPATH=x"], "set it outside: PYTHONPATH=..."),
    (["-m", "++hydra.launcher.foo=2", "seed=0,1"], "hydra.launcher has no key 'foo'"),
    (["model=ae", "reconstruction=ssim", "reconstruction.window=3"], "reconstruction.ssim.window"),
    (["model=ae", "reconstruction.scale=1"], "write reconstruction.gaussian.scale, with"),
    (["model=ae", "reconstruction.mse.scale=1"], "write reconstruction.gaussian.scale, with"),
    (["model=ae", "reconstruction.gaussian.scale=1"], "it needs reconstruction=gaussian"),
    (["model=ae", "reconstruction.window=3"], "ms_ssim.window or reconstruction.ssim.window"),
    (["model=ae", "penalty=l1", "penalty.weight=1"], "write penalty.l1.weight"),
    (["model=vae", "penalty.l1.weight=1"], "it needs penalty=l1"),
    (["dataset.range=standardised"], "dataset.range=unit"),
    (["network.output_activation=sigmoid"], "network.output_activation=null"),
    (["model=contractive", "network.norm=batch"], "network.norm=layer"),
    (["model=pca", "noise=gaussian"], "noise=none"),
    (["model=pca", "penalty=l1"], "penalty=none"),
    (["model=pca", "conditional=true"], "conditional=false"),
    (["conditional=1"], "a valid boolean"),
    (["model=pca", "network=mlp"], "network=linear"),
    (["model=pca", "latent.dim=65"], "latent.dim=64"),
    (["model=ae", "latent=spatial"], "network=conv"),
    (["model=conv_ae", "latent.dim=2"], "latent has no key 'dim'"),
    (["model=conv_ae", "network.channels=[4,4,4,4]"], "fewer channels"),
    (["noise=[gaussian,dropout]"], "noise=chain"),
    (["noise=chain", "noise.steps=[gaussian,foo]"], "no noise 'foo'"),
    (["evaluate.noise=foo"], "no such noise"),
    (["noise=null"], "no such noise .did you mean 'none'"),
    (["penalty=1.5"], "no such penalty"),
    (["model=vae", "penalty=[kl,kl]"], "kl is repeated"),
    (
        ["model=vq_vae", "latent.codebook_size=1"],
        "latent.codebook_size=1: must be greater than or equal to 2",
    ),
    (
        ["model=gumbel_vae", "latent.categories=1"],
        "latent.categories=1: must be greater than or equal to 2",
    ),
    (["model=vq_vae", "penalty=contractive"], "this code is discrete"),
    (["model=ae", "reconstruction=ssim", "network.output_activation=sigmoid"], "activation=null"),
    (["prior=[null]"], "no such prior"),
    (["evaluate.metrics=-0.5"], "no such metrics"),
    (["hydra/launcher=null"], "must be one option"),
    (["network=a/b"], "Could not find 'network/a/b'"),
    (["metrics=[rank]"], "did you mean evaluate.metrics="),
    (["trainer.accelerator=tpu"], "trainer.accelerator=tpu: must be 'auto', 'cpu'"),
    (["trainer/accelerator=tpu"], "no such accelerator"),
    (["sample.n=3"], "this is task=train\n  use task=sample"),
    (["task=sample", "sample.m=3"], "sample has no key 'm'"),
    (["dataset=/my/images"], "dataset=image_folder dataset.root=/my/images"),
    (["dataset=/my/rows.CSV"], "dataset=csv dataset.path=/my/rows.CSV"),
    (["dataset=./x.npz"], "dataset=arrays dataset.path=./x.npz"),
    (["scheduler=plateau", "dataset.val_size=0"], "dataset.val_size=0.1, or scheduler=none"),
    (["dataset=arrays", "dataset.path=."], "is a folder"),
    (["out=x"], "out=x: training does not use it"),
    (["split=val"], "it goes with a trained run"),
    (["-m", "model=ae,pca", "resize=true"], "resize=true: training does not use it"),
    (["runs=x"], "it goes with task=compare"),
    (["experiment=foo"], "no such experiment"),
    (["sweeps=foo"], "no such"),
    (["task=foo"], "`python run.py task --help` describes all"),
    (["vae"], "key=value"),
    (["model="], "no such model"),
    (["model=vae,ae"], "add -m"),
    (["-x"], "unknown flag"),
    (["dataset=image_folder"], "dataset.root=/"),
    (["dataset=image_folder", "dataset.root=nowhere"], "no such folder"),
    (["dataset=arrays", "dataset.path=nowhere.npz"], "no such file"),
    (["trainer/accelerator=mps"], "trainer.accelerator=cpu"),
    (["trainer.devices=2", "trainer/accelerator=cpu"], "trainer=ddp"),
    (
        ["trainer.precision=16-mixed", "trainer/accelerator=cpu"],
        "16-mixed: float16 needs a CUDA GPU\n  use trainer.precision=bf16-mixed or .*=32-true",
    ),
    (["trainer.accumulate=0"], "greater than or equal to 1"),
    (["trainer.accumulate=22"], "an epoch has only 21 mini-batches\n  use trainer.accumulate=21"),
    (["trainer.ema=1"], "trainer.ema=1: must be less than 1"),
    (["trainer.warmup=2", "trainer.max_epochs=2"], "ends after 2 epochs, before the full"),
    (["scheduler.warmup=2"], "did you mean trainer.warmup=2"),
    (["model=pca", "trainer.ema=0.9"], "optimizer=closed_form solves .*\n  use trainer.ema=null"),
    (["model=pca", "augment=flip"], "optimizer=closed_form solves .*\n  use augment=none"),
    (["optimizer=nadam"], "did you mean optimizer=torch optimizer.name=NAdam"),
    (["optimizer=torch", "optimizer.name=LBFGS"], "loss of the same images several times"),
    (["optimizer=torch", "optimizer.options.beta=1"], "beta=1: RAdam has no such option"),
    (["optimizer.options.eps=1"], "optimizer.options: unknown key"),
    (["augment=rotat"], "did you mean 'rotate'"),
    (["augment=flip", "augment.flip.horizontal=2"], "less than or equal to 1"),
    (["augment.input_only=true"], "there is no augmentation"),
    (["augment=crop", "augment.crop.size=28"], "28x28 pixels is larger than the images, of 8x8"),
    (["augment=shift", "augment.shift.pixels=8"], "use augment.shift.pixels=7 or less"),
    (["augment=[flip,rotate]", "dataset.binarise=sample"], "augment=rotate: makes grey pixels"),
    (["augment=flip", "model=ae", "dataset=superposition"], "augment=.flip.: the rows of a"),
    (["trainer.early_stopping.patience=2", "dataset.val_size=0"], "dataset.val_size"),
    (["trainer.early_stopping.patience=2", "trainer.early_stopping.monitor=val/foo"], "val/loss"),
    (["trainer.early_stopping.monitor=train/loss"], "val/"),
    (["runs=outputs/*"], "task=compare"),
    (["task=compare", "runs=nothing/*"], "nothing"),
    (["resume=nowhere"], "no such run folder"),
    (["init_from=nowhere"], "no such run folder"),
    (["resume=."], "no run of this project"),
]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AECORE_DEBUG", raising=False)


def refused(capsys: pytest.CaptureFixture[str], argv: list[str]) -> str:
    """What stderr says of a refused command; asserts the form of every refusal."""
    assert main(argv) == 2
    said = capsys.readouterr()
    lines = said.err.splitlines()
    assert 1 <= len(lines) <= 3
    assert "Traceback" not in said.err
    assert "epoch" not in said.out
    return said.err


@pytest.mark.parametrize(("argv", "mend"), BAD, ids=[" ".join(a) for a, _ in BAD])
def test_bad_input(
    argv: list[str], mend: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert re.search(mend, refused(capsys, argv))
    assert not list(tmp_path.iterdir()), "a refused run leaves nothing"


def test_gpu_without_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "trainer.accelerator=cpu" in refused(capsys, ["trainer/accelerator=gpu"])


def test_an_output_path_under_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    text = refused(capsys, [f"hydra.run.dir={tmp_path}/file/run"])
    assert str(tmp_path / "file") in text
    assert (tmp_path / "file").read_text() == "precious"


def test_a_folder_with_a_run_is_not_used_again(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    assert main([f"hydra.run.dir={folder}", "trainer=debug", "figures=none"]) == 0
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    capsys.readouterr()
    assert "resume=" in refused(capsys, [f"hydra.run.dir={folder}", "trainer=debug"])
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before


def test_images_that_cannot_be_decoded(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    root = tmp_path / "images [a=b]"
    root.mkdir()
    for n in range(12):
        pixels = np.random.default_rng(n).integers(0, 255, (12, 10, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"{n}.png")
    (root / "broken.png").write_bytes((root / "0.png").read_bytes()[:60])
    run = [
        "dataset=image_folder", f"dataset.root={root}", "dataset.image_size=8", "model=ae",
        "dataset.batch_size=4", "dataset.val_size=2", "trainer=debug", "figures=none",
    ]  # fmt: skip
    assert "broken.png" in refused(capsys, run)
    assert main([*run, "dataset.skip_broken=true"]) == 0


@pytest.mark.parametrize(
    ("array", "complaint"),
    [
        (np.full((20, 8, 8), np.nan, np.float32), "NaN"),
        (np.array([["a", "b"]]), "real numbers"),
        (np.zeros((20, 8, 8, 8, 8), np.float32), "shape"),
        (np.full((20, 8, 8), 7, np.float32), "standardised"),
    ],
)
def test_arrays_of_the_wrong_kind(
    array: np.ndarray, complaint: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    np.savez(tmp_path / "x.npz", x=array)
    text = refused(
        capsys, ["dataset=arrays", f"dataset.path={tmp_path}/x.npz", "dataset.batch_size=4"]
    )
    assert re.search(complaint, text), text


def test_a_missing_data_set_names_the_way_out(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*args: object, **kwargs: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("socket.getaddrinfo", unreachable)
    text = refused(capsys, ["dataset=mnist", f"paths.data_dir={tmp_path}"])
    assert "dataset=digits" in text
    assert str(tmp_path) in text
    assert len(text.splitlines()) == 1


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    from aecore.errors import UserError

    monkeypatch.setenv("AECORE_DEBUG", "1")
    with pytest.raises(UserError):
        main(["model=vea"])


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "python run.py model=vae dataset=mnist" in capsys.readouterr().out
    assert main(["--version"]) == 0


def test_flags_may_stand_anywhere(capsys: pytest.CaptureFixture[str]) -> None:
    for argv in (["-m", "latent.dim=2,0", "seed=1"], ["latent.dim=2,0", "-m", "seed=1"]):
        assert "job 2/2 of the sweep (latent.dim=0 seed=1)" in refused(capsys, argv)
