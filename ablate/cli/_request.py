"""What a launch is asked for beside its study, and one study trained so."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import typer

from ablate.cli._detach import LaunchPlan
from ablate.cli._jobs import names
from ablate.cli._options import check_given, data_lines
from ablate.cli._place import Place, side_by_side
from ablate.cli._resources import resources, words

if TYPE_CHECKING:
    from ablate.dispatch.retries import Policy
    from ablate.dispatch.status import RunStatus
    from ablate.spec.run import Run
    from ablate.store.root import Root
    from ablate.study.study import Study


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """What `ablate run` was asked for, whatever the study.

    Args:
        data: where data sets lie, as given with --data.
        given: the options that say how runs are executed.
        detach: None is as usual at the place.
        retry: forget earlier failures.
    """

    root: Root
    on: Place
    seeds: int | None
    jobs: int | None
    detach: bool | None
    retry: bool
    policy: Policy
    data: Mapping[str, str]
    given: Mapping[str, Any]
    as_json: bool

    @property
    def away(self) -> bool:
        """Whether the launch goes on without this terminal."""
        asked = self.on is Place.slurm if self.detach is None else self.detach
        return asked and self.on is not Place.inline

    def of(self, study: Study, scale: str) -> RunRequest:
        """The same, of a study that need not use all the data."""
        used = {run.dataset for run in study.runs(scale, self.seeds)}
        return replace(self, data={name: path for name, path in self.data.items() if name in used})

    def prepare(self, study: Study, scale: str) -> tuple[LaunchPlan, list[Run]]:
        """A study's runs, those without a record requested; and these.

        Raises:
            SpecError: when they cannot be trained so.
        """
        from ablate.dispatch.launch import prepare
        from ablate.dispatch.status import StatusMonitor
        from ablate.study.compare import check_matches

        wanted = study.runs(scale, self.seeds)
        used = {run.dataset for run in wanted}
        at = check_given({**self.data}, used)
        chosen = resources(self.given, at)
        size = side_by_side(self.on, chosen, self.jobs, len(wanted))
        self.root.make_writable()
        monitor = StatusMonitor(self.root, wanted, chosen.data)
        check_matches(study, scale, at)
        missing = prepare(self.root, monitor, chosen, retry=self.retry)
        for line in data_lines(used, at) if missing and not self.as_json else ():
            typer.echo(line)
        return LaunchPlan(self.root, monitor, chosen, str(self.on), self.jobs, size, self.policy), missing

    def train(self, study: Study, scale: str, plan: LaunchPlan, missing: list[Run]) -> list[RunStatus]:
        """Bring a study's runs to their end, showing how it goes, and return what became of all."""
        if not missing:
            if self.on is Place.inline:
                _train_nothing(plan.root)
            return plan.monitor.poll()
        labels = names(study, scale, plan.monitor.runs)
        return _train(plan, missing, labels, as_json=self.as_json)

    def command(self, target: Sequence[str], scale: str | None) -> list[str]:
        """The words of an `ablate run` that is asked for the same."""
        more = {**self.given, "on": str(self.on), "root": self.root.path, "retries": self.policy.retries}
        more["data"] = [f"{name}={path}" for name, path in self.data.items()]
        more |= {k: v for k, v in (("scale", scale), ("seeds", self.seeds), ("jobs", self.jobs)) if v}
        return [*target, *words(more), *["--fail-fast"] * self.policy.fail_fast]


def _train_nothing(root: Root) -> None:
    """Tell the other processes, where torchrun or srun started several, that nothing is left to train."""
    from ablate.dispatch.worker import work
    from ablate.train.distributed import alone

    if not alone():
        work(str(root.path), [], "")


def _train(plan: LaunchPlan, missing: list[Run], labels: dict[str, str], *, as_json: bool) -> list[RunStatus]:
    from ablate.dispatch.display import Display
    from ablate.dispatch.inline import together
    from ablate.dispatch.launch import launch
    from ablate.dispatch.ledger import Ledger
    from ablate.train.distributed import alone

    # Handlers of our own, so that workers do not inherit an ignored SIGINT (a shell's `&`, cron) and can be stopped.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    stream = sys.stderr if as_json else sys.stdout
    with Display(labels, plan.size, stream, live=plan.on != Place.inline) as display:
        ledger = Ledger(plan.root, plan.on, [run.key for run in missing])
        if plan.on == Place.inline and not alone():
            return together(plan.root, plan.monitor, ledger, display)
        try:
            return launch(plan.root, plan.monitor, plan.pool(ledger), ledger, display, plan.policy)
        except KeyboardInterrupt:
            goes = "the jobs go on" if plan.on == Place.slurm else "stopped, with a checkpoint of each run"
            display.console.print(f"{goes}; the same command goes on from there", soft_wrap=True)
            raise
