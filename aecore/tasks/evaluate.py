"""`task=evaluate`: metrics and figures of a trained model on any images."""

from __future__ import annotations

from aecore.config.terminal import say
from aecore.evaluation.evaluate import evaluate
from aecore.evaluation.figures.draw import draw_figures
from aecore.evaluation.trial import scaled_note
from aecore.runs.folder import METRICS, write_metrics
from aecore.tasks.use import Opened, Use
from aecore.training.ood import check_ood
from aecore.training.report import metrics_table
from aecore.training.timing import timing
from aecore.training.trial import make_trial


class Evaluate(Use):
    """Measures as a training does at its end: writes metrics.json and figures/.

    The names of metrics begin with the split, `val/mse`; of another data set with its name,
    `fashion_mnist/mse`, and with `fashion_mnist_val/mse` where a split was named too. With a noise
    there is `test_noisy/mse` beside `test/mse`. Evaluating the run's own test split again gives
    its own metrics.json.
    """

    unit_range = False  # the trial does it

    def use(self, opened: Opened) -> dict[str, float]:
        """The run's test images by default."""
        parts, model = opened.parts, opened.ae.model
        check_ood(parts, opened.ae.image_shape)
        images, name = opened.images(), opened.which("test")
        if opened.is_other_data:
            data, split = opened.request.choices["dataset"] or "data", parts.config.split
            name = data if split is None else f"{data}_{split}"
        history = opened.run.history
        trial = make_trial(
            parts, model, images=images, name=name, history=history,
            read_training=lambda: opened.run_data.train,
        )  # fmt: skip
        metrics = evaluate(trial, metrics=parts.metrics, noise=parts.test_noise)
        if name == "test":
            metrics |= timing(history)
        folder = opened.folder
        if parts.figures:
            draw_figures(parts.figures, trial, folder / "figures")
        write_metrics(folder, metrics)
        noise = ", as they are and with noise" if parts.test_noise.active else ""
        table = metrics_table(metrics, images.image_shape, parts.metrics.values())
        if model.limits is not None:
            say(scaled_note(model.limits))
        say(f"{opened.describe(images)}{noise}\n\n{table}\n")
        say(f"metrics  {folder / METRICS}")
        if parts.figures:
            say(f"figures  {folder / 'figures'}")
        return metrics
