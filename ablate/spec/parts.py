"""The parts that a run names, and the behaviour numbers through which their code enters its key.

Names in keys are fixed; files may move. `FILES` maps each name to the file with its code.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ablate.spec.registry import Registry
from ablate.spec.source import behaviour

if TYPE_CHECKING:
    from ablate.spec.run import Run

PACKAGE = Path(__file__).parents[1]
MIXERS = Registry("mixer", "ablate.model.mixers", PACKAGE / "model" / "mixers")
CHANNELS = Registry("channel", "ablate.model.channels", PACKAGE / "model" / "channels")
STEMS = Registry("stem", "ablate.model.stems", PACKAGE / "model" / "stems")
DATASETS = Registry("dataset", "ablate.data.datasets", PACKAGE / "data" / "datasets")
PLOT_FILES = Registry("plot", "ablate.report.plots", PACKAGE / "report" / "plots")

# The code that every run uses, by its name in keys. A BEHAVIOUR above 1 enters every key.
FILES = {
    "seeds.py": "spec/seeds.py",
    "block.py": "model/block.py",
    "models.py": "model/build.py",
    "datasets/__init__.py": "data/datasets/__init__.py",
    "images.py": "data/images.py",
    "augment.py": "data/augment.py",
    "mixup.py": "data/mixup.py",
    "optim.py": "train/optim.py",
    "train.py": "train/loop.py",
}
# The code that reads the images of a run: one of the two.
LOADER_FILES = {"resident.py": "data/resident.py", "workers.py": "data/workers.py"}


def dataset_file(dataset: str) -> Path:
    """Return the file that defines a dataset; a name without its own file is a directory of images."""
    return DATASETS.path(dataset) if dataset in DATASETS else PACKAGE / "data" / "datasets" / "_directory.py"


def behaviours(run: Run) -> dict[str, int]:
    """Return the behaviour numbers above 1, the initial one, of all parts that a run uses, by name."""
    numbers = {name: behaviour(PACKAGE / path) for name, path in FILES.items()}
    numbers[f"mixers/{run.mixer}"] = MIXERS.behaviour(run.mixer)
    numbers[f"channels/{run.channel}"] = CHANNELS.behaviour(run.channel)
    numbers[f"stems/{run.stem}"] = STEMS.behaviour(run.stem)
    loader = "resident.py" if run.resident else "workers.py"
    numbers[loader] = behaviour(PACKAGE / LOADER_FILES[loader])
    dataset = dataset_file(run.dataset)
    numbers[f"datasets/{dataset.stem}"] = behaviour(dataset)
    return {name: number for name, number in numbers.items() if number != 1}
