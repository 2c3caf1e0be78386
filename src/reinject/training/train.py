"""Train an autoencoder and a classifier on a data set, into one folder: ``reinject train``."""

import functools
import json
import math
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from torch import Tensor
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException

from reinject import data
from reinject import networks as models
from reinject.archive.features_archive import walked_features
from reinject.archive.request import asked_for, contents, earlier, note
from reinject.base.devices import make_fabric
from reinject.base.errors import ArgumentError, DataError, ModelError, ReinjectError, cure_of
from reinject.base.files import write_json
from reinject.base.outcome import Outcome
from reinject.base.progress import Progress, Silent, for_this_terminal
from reinject.base.staging import begin, check_free, partial_of, publish
from reinject.data.rehearsed import Rehearsed
from reinject.data.splits import check_unseen
from reinject.models.bundle import Bundle, load
from reinject.models.codes import keep_moments
from reinject.networks import Inputs, Network
from reinject.training.fabric_spec import FabricSpec
from reinject.training.fit import Loss, Recipe, Rows, fit
from reinject.training.labelling import AUGMENT, alike, augmented, loss_of
from reinject.training.objective_options import Chosen, build
from reinject.training.plans import TrainPlan
from reinject.training.students import cross_entropy

if TYPE_CHECKING:
    from lightning_fabric import Fabric

VALIDATION = 0.02


def train(
    plan: TrainPlan,
    out: Path,
    *,
    data_dir: str | None = None,
    device: str = "auto",
    fabric: FabricSpec | None = None,
    moments: bool = True,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Train both models into ``out/autoencoder`` and ``out/classifier``. Resume an interrupted run.

    Arguments:
        plan: networks, data and recipes.
        out: folder to make.
        data_dir: folder to search for data sets first.
        device: cpu, cuda, mps, or auto: cuda or mps if available, else cpu.
        fabric: precision and number of devices; default: 32 bits on one device.
        moments: store moments of codes with an autoencoder that has codes, see :mod:`reinject.models.moments`.
        overwrite: replace an existing folder.
        progress: progress reporter.

    Returns:
        Accuracy of the classifier on the test set, losses, seconds.

    Raises:
        ReinjectError: ``out`` is not empty, the data set is not available, or a loss diverges.
    """
    if plan.remember is not None:
        raise ArgumentError("train", "its plan remembers old models", "Call reinject.continual.train_remembering")
    fabric = fabric or FabricSpec()
    described = asdict(plan)
    del described["remember"]  # so that folders of older versions are recognised
    given = {"plan": described, "device": device, **vars(fabric), "moments": moments}
    asked = asked_for(given, dataset=contents(plan.dataset, data_dir), seen=hash_of(plan.reconstructed_by))
    made = None if overwrite else earlier(out, asked)
    if made is not None:
        return made
    progress = progress or Silent()
    check_free(out, f"{plan.only or 'autoencoder'}/config.json", overwrite)
    dataset = read(plan, data_dir, progress)
    return train_on(plan, dataset, out, device=device, fabric=fabric, moments=moments, asked=asked, progress=progress)


def read(plan: TrainPlan, data_dir: str | None, progress: Progress) -> data.Dataset:
    """Read the plan's data set, or an archive of features."""
    walked = walked_features(plan.dataset, data_dir, plan.split_seed)
    return walked or data.load(plan.dataset, data_dir, plan.split_seed, progress)


def hash_of(folder: str) -> str:
    """Return the hash of the autoencoder in a folder of models; "" without a folder."""
    return load(Path(folder) / "autoencoder").sha256 if folder else ""


def train_on(
    plan: TrainPlan,
    dataset: data.Dataset,
    out: Path,
    *,
    device: str = "auto",
    fabric: FabricSpec | None = None,
    moments: bool = True,
    asked: Mapping[str, Any] | None = None,
    progress: Progress,
) -> Outcome:
    """Train as :func:`train` does, on given rows in place of the plan's; record the request."""
    if plan.augment != AUGMENT[0] and len(dataset.shape) != 3:
        raise ArgumentError(
            "--augment", f"{plan.augment!r} needs images, the inputs have shape {dataset.shape}", "Leave it out"
        )
    if plan.only != "autoencoder" and len(dataset.class_names) < 2:
        cure = "Give two classes, or --only autoencoder, or add the class to models that know others with --remember"
        raise DataError(plan.dataset, f"has one class, {', '.join(dataset.class_names)}: nothing to tell apart", cure)
    partial = partial_of(out)
    fabric = fabric or FabricSpec()
    several = {"devices": fabric.devices} if fabric.devices > 1 else {}
    parameters = {**plan.as_json(), "precision": fabric.precision, **several}
    job = _Job(plan, dataset, partial, make_fabric(device, fabric.precision), progress)
    if plan.reconstructed_by:  # fail before the folder exists
        parameters["reconstructed_by"] = job.reconstructing().sha256
    else:
        del parameters["reconstructed_by"]  # so that runs of older versions resume
    begin(partial, parameters)
    if fabric.devices > 1:
        ranks = make_fabric(device, fabric.precision, fabric.devices)
        try:
            ranks.launch(functools.partial(_rank, plan, dataset, partial, isinstance(progress, Silent)))
        except (ProcessRaisedException, ProcessExitedException) as error:
            why = str(error).strip().splitlines()[-1]
            cure = "Train on one device, or, in a script, below if __name__ == '__main__':"
            raise ReinjectError("--devices", f"a training process ended ({why})", cure) from error
    chosen, autoencoder, classifier = job.both()  # reads the models of the other processes
    kept = keep_moments(partial / "autoencoder", dataset) if moments and autoencoder else []
    result = {
        "models": str(out),
        "dataset": plan.dataset,
        "seed": plan.seed,
        "split": dataset.split.as_json(),
        "objective": plan.objective,
        "lam": None if chosen is None else chosen.lam,
        "autoencoder": autoencoder or None,
        "classifier": classifier or None,
    }
    lines = []
    if autoencoder:
        lines.append(f"autoencoder: validation loss {autoencoder['validation_loss']:.4f}, {autoencoder['seconds']} s")
    if classifier:
        lines.append(f"classifier: test accuracy {classifier['test_accuracy']:.4f}, {classifier['seconds']} s")
    if plan.remember is not None:
        lines += plan.remember.lines
        result["remembered"] = dict(plan.remember.found)
        if "remembered_accuracy" in classifier:
            lines.append(f"classifier: accuracy {classifier['remembered_accuracy']:.4f} on held-out rehearsed rows")
    outcome = Outcome(result, [*lines, *kept, f"Models are in {out}. Next: {_next(plan, out, chosen)}"])
    if asked is not None:
        note(partial, asked, outcome)
    publish(partial, out)
    return outcome


def _next(plan: TrainPlan, out: Path, chosen: Chosen | None) -> str:
    if chosen is None:
        split = f" --split-seed {plan.split_seed}" if plan.split_seed else ""
        return f"reinject extract DATASET --with {out} --out FEATURES{split}, or sample with --classifier {out}"
    labels = " --labels none" if plan.only else ""
    langevin = "" if chosen.lam is None else f" --kernel langevin --lam {chosen.lam:.3g}"
    return f"reinject sample {out} --out SYNTHETIC{labels}{langevin}"


def _rank(plan: TrainPlan, dataset: data.Dataset, folder: Path, silent: bool, fabric: "Fabric") -> None:
    """Run the part of one of several processes."""
    progress = Silent() if silent or fabric.global_rank > 0 else for_this_terminal()
    _Job(plan, dataset, folder, fabric, progress).both()
    fabric.barrier()  # else the first process to end would close the connection of the others
    torch.distributed.destroy_process_group()


def _in_space(inputs: Inputs) -> str:
    return f" of {inputs.space}" if inputs.space else ""


class _Job:
    """Hold the data in the models' units, and the folder of both trainings."""

    def __init__(
        self, plan: TrainPlan, dataset: data.Dataset, folder: Path, fabric: "Fabric", progress: Progress
    ) -> None:
        self.plan, self.dataset, self.folder, self.progress = plan, dataset, folder, progress
        self.fabric = fabric
        self.levels = levels = dataset.levels(plan.low, plan.high)
        self.load, ranged = levels.load, levels.kind == "uint8"
        some = self.load(dataset.train.x[:10_000])
        self.mean_image = some.mean(0)
        self.inputs = Inputs(
            shape=dataset.shape,
            low=plan.low if ranged else math.floor(some.min()),
            high=plan.high if ranged else math.ceil(some.max()),
            mean=float(some.mean()),
            std=max(float((some - self.mean_image).square().mean().sqrt()), 1e-6),
            class_names=dataset.class_names,
            space=dataset.space,
        )
        self.rows = self._rows(dataset.train)

    def _rows(self, train: data.LabelledImages) -> Rows:
        """Put a random part aside for validation."""
        order = torch.randperm(len(train), generator=torch.Generator().manual_seed(self.plan.seed))
        held = max(1, round(VALIDATION * len(order)))
        validation, rows = (
            Rows(part.x, part.y, self.load) for part in (train.take(order[:held]), train.take(order[held:]))
        )
        return replace(rows, validation=validation)

    def both(self) -> tuple[Chosen | None, dict[str, Any], dict[str, Any]]:
        """Train the requested models that are missing; return the objective and both reports."""
        if self.plan.only == "classifier":
            return None, {}, self.classifier(self.classifiers_loss())
        chosen = self.choice()
        autoencoder = self.run(
            "autoencoder",
            lambda: self.build_autoencoder(chosen.options),
            lambda network, x, _, generator: chosen.objective(network, x, generator),
            self.plan.autoencoder_recipe,
            self.rows,
        )
        if self.plan.only:
            return chosen, autoencoder, {}
        return chosen, autoencoder, self.classifier(self.classifiers_loss())

    def classifiers_loss(self) -> Loss:
        """Make the classifier's loss: cross entropy on images, or on images and reconstructions in equal parts."""
        if self.plan.sees == "images":
            return cross_entropy
        network = self.reconstructing().network
        r = network if network.noise_conditioned else lambda x, _: network(x)
        return loss_of(self.plan.sees, r, self.inputs)

    def reconstructing(self) -> Bundle:
        """Load the autoencoder that reconstructs the classifier's inputs; raise ModelError if its data differ."""
        bundle = load(Path(self.plan.reconstructed_by or self.folder) / "autoencoder", self.fabric.device)
        if bundle.split is not None:
            check_unseen(str(bundle.folder), bundle.split, self.dataset.split)
        there, here = (replace(one, mean=0.0, std=1.0, class_names=()) for one in (bundle.network.inputs, self.inputs))
        if there != here:
            problem = f"its autoencoder takes {there.shape} in [{there.low:g}, {there.high:g}]{_in_space(there)}"
            raise ModelError(
                "--reconstructed-by",
                f"{problem}, {self.plan.dataset} has {here.shape} in [{here.low:g}, {here.high:g}]{_in_space(here)}",
                "Give an autoencoder of this data",
            )
        return bundle

    def classifier(self, loss: Loss) -> dict[str, Any]:
        """Train the classifier; return its report."""
        loss, rows = augmented(loss, self.plan.augment), self.rows
        if isinstance(self.dataset, Rehearsed) and (self.plan.reconstructed_by or not self.plan.only):
            rows = self._rows(alike(self.dataset, self.reconstructing().network, self.levels, self.plan.seed))
        return self.run("classifier", self.build_classifier, loss, self.plan.classifier_recipe, rows)

    def build_autoencoder(self, options: dict[str, Any]) -> Network:
        """Make an autoencoder, with the mean image if the network stores one."""
        network = models.AUTOENCODERS[self.plan.autoencoder](self.inputs, **options)
        if isinstance(network, models.Denoiser):
            network.mean.copy_(self.mean_image)
        return network

    def build_classifier(self) -> Network:
        """Make a classifier."""
        return models.CLASSIFIERS[self.plan.classifier](self.inputs)

    def choice(self) -> Chosen:
        """Make the autoencoder's objective; refuse a lambda at which the data would collapse."""
        plan, some = self.plan, self.load(self.dataset.train.x[:100_000])
        return build(plan.objective, plan.autoencoder, plan.numbers, self.inputs, some)

    def run(self, name: str, build: Callable[[], Network], loss: Loss, recipe: Recipe, rows: Rows) -> dict[str, Any]:
        """Train one model into its folder, unless an earlier run did; return its report."""
        folder = self.folder / name
        self.fabric.barrier()
        if (folder / "training.json").is_file():
            return dict(json.loads((folder / "training.json").read_text(encoding="utf-8"))["result"])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.plan.seed)
            network = build()
        checkpoint = self.folder / f"{name}.checkpoint"
        steps = recipe.steps(len(rows))
        began = time.monotonic()
        with self.progress.task(f"training the {name}", steps, "steps") as advance:
            done = 0

            def on_steps(step: int, _: float) -> None:
                nonlocal done
                advance(step - done)
                done = step

            history = fit(
                network,
                loss,
                rows,
                recipe,
                seed=self.plan.seed,
                fabric=self.fabric,
                checkpoint=checkpoint,
                on_steps=on_steps,
            )
        if self.fabric.global_rank > 0:
            self.fabric.barrier()  # wait until the first process has written
            return {}
        best = min(entry["validation"] for entry in history)
        result = {"steps": steps, "validation_loss": best, "seconds": round(time.monotonic() - began, 1)}
        if name == "classifier":
            result["test_accuracy"] = self._accuracy(network, self.dataset.test)
            if isinstance(self.dataset, Rehearsed) and self.dataset.walks is not None and len(self.dataset.walks):
                result["remembered_accuracy"] = self._accuracy(network, self.dataset.walks)
        temporary = self.folder / f"{name}.writing"
        if temporary.exists():
            shutil.rmtree(temporary)
        try:
            network.cpu().save_pretrained(temporary)
        except SafetensorError as error:  # safetensors' error for a full or faulty disk
            raise ModelError(
                str(temporary), f"cannot be written ({error})", f"{cure_of(error)}, then run the same command again"
            ) from error
        write_json(temporary / "training.json", {"result": result, "plan": asdict(self.plan), "loss_curve": history})
        self.dataset.split.save(temporary)
        temporary.rename(folder)
        checkpoint.unlink(missing_ok=True)
        self.fabric.barrier()
        return result

    @torch.no_grad()
    def _accuracy(self, network: Network, part: data.LabelledImages) -> float:
        test = self._rows(part)
        right = torch.zeros(())
        for index in torch.split(torch.arange(len(test)), 4096):
            x, y = test.batch(index, self.fabric.device)
            logits: Tensor = network(x)
            right += (logits.argmax(1) == y).sum().cpu()
        return float(right) / len(test)
