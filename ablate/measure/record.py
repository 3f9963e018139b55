"""One speed measurement, and its file.

`checksum` is a sha256 over the rest of the file. Measurements of version 0.1 have none, and are not checked.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import orjson

from ablate.measure.protocol import METHOD, Mode, Protocol
from ablate.spec.errors import SpecError
from ablate.store.json_files import checked
from ablate.store.listing import refusal
from ablate.store.root import write_atomically

SCHEMA = 1
RENAMED = {"headline_batch": "reference_batch"}  # fields by the names that version 0.1 wrote
FOLDER = "speed"
FILE = re.compile(r"[0-9a-f]{10}(-[a-z0-9]+){4}-\d+\.json")  # the name of a measurement's file, see `Measurement.name`
LARGEST = 64 * 2**20  # bytes
REMEDY = "restore it, or delete it to measure again"
DRIFT = 0.03  # of the control between its first and last window, above which a session is flagged
# A training step's MACs in units of the forward pass: the backward pass has twice as many.
WORK_OF = {"inference": 1, "training": 3}

REQUIRED = {"subject": dict, "mode": dict, "batch": int, "reference_batch": int, "protocol": dict, "provenance": dict}
REQUIRED |= {"status": str, "windows": list, "thrown": list, "sessions": list, "latency_ms": list}
REQUIRED |= {"memory_status": str, "complete": bool, "method": int, "schema": int}
OPTIONAL = {"first_step_s": float, "warmup": dict, "peak_memory_mib": float, "peak": dict}
PARTS: dict[str, dict[str, type]] = {
    "subject": {"key": str, "label": str, "macs": int},
    "provenance": {"versions": dict},
}
ITEMS: dict[str, dict[str, type]] = {"windows": {"rate": float}, "thrown": {"rate": float}, "sessions": {"id": str}}

MEASURED, OUT_OF_MEMORY = "measured", "out of memory"


@dataclass(kw_only=True)
class Measurement:
    """One model in one mode at one batch size.

    Args:
        subject: the model: `key`, `label`, `architecture`, the `run`'s fields that shape it or the name in
            `timm`, `channels`, `classes`, `image_size`, `params`, `macs` (one image, forward) and,
            of a run, `tokens`.
        mode: its four words.
        batch: images per step.
        reference_batch: the batch size of its session that every model and mode shares.
        status: "measured", or "out of memory" at this batch size.
        protocol: settings of `ablate.measure.protocol.Protocol`.
        windows: of all rounds, each with its `session`, `round` and `rate` (images/s); see `Bench.window`.
        thrown: rejected windows, each with its `session`, `round`, `rate` and `why`: how the device was throttled.
        sessions: `id` (begins with the UTC time), `control` (a subject's key), `drift` of the control (None where it is
            unknown: its last window is missing), `load` (average of one minute) of the machine at start and end,
            `members` measured together, when it `finished`.
        memory_status: "measured", or "out of memory" if only the steps for the peak memory ran out of memory.
        peak: the device's measured peak, MACs per second, of a product of matrices.
        latency_ms: of single steps, for a batch of 1.
        complete: whether it has as many windows as its protocol's rounds, without the rejected ones and the control's
            last.
        method: the version of the method, see `ablate.measure.protocol.METHOD`.
        checksum: of the file that it was read from; None if that has none.
    """

    subject: dict[str, Any]
    mode: dict[str, str]
    batch: int
    reference_batch: int
    protocol: dict[str, Any]
    provenance: dict[str, Any]
    status: str = MEASURED
    windows: list[dict[str, Any]] = field(default_factory=list)
    thrown: list[dict[str, Any]] = field(default_factory=list)
    sessions: list[dict[str, Any]] = field(default_factory=list)
    first_step_s: float | None = None
    warmup: dict[str, Any] | None = None
    latency_ms: list[float] = field(default_factory=list)
    peak_memory_mib: float | None = None
    memory_status: str = MEASURED
    peak: dict[str, Any] | None = None
    complete: bool = False
    method: int = METHOD
    schema: int = SCHEMA
    checksum: str | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        """Return the name of its file."""
        return f"{self.subject['key']}-{Mode(**self.mode)}-{self.batch}.json"

    @property
    def rates(self) -> list[float]:
        """Return the images per second of every accepted window."""
        return [window["rate"] for window in self.windows]

    @property
    def begun(self) -> str:
        """Return the start of its last session: UTC, as text that sorts by time; empty without a session."""
        return max((str(session["id"]).partition("-")[0] for session in self.sessions), default="")

    def answers(self, protocol: Protocol, versions: Mapping[str, Any]) -> bool:
        """Return whether it has the current method, at least this protocol, and the same versions of timm and torch."""
        mine = self.provenance["versions"]
        same = self.method == METHOD and all(mine[name] == versions[name] for name in ("torch", "timm"))
        return same and protocol.met_by(self.protocol)

    def summary(self) -> dict[str, Any]:
        """Return the values for tables: median and quartiles of the rate, MACs per second, MFU, latency percentiles."""
        rates = self.rates
        if not rates:
            return {"rate": None, "q1": None, "q3": None, "n": 0, "macs_per_s": None, "mfu": None, "latency": None}
        q1, _, q3 = quantiles(rates, n=4, method="inclusive") if len(rates) > 1 else (rates[0],) * 3
        rate = median(rates)
        macs_per_s = rate * self.subject["macs"] * WORK_OF[self.mode["work"]]
        mfu = macs_per_s / self.peak["macs_per_s"] if self.peak and self.mode["work"] == "training" else None
        return {
            "rate": rate,
            "q1": q1,
            "q3": q3,
            "n": len(rates),
            "macs_per_s": macs_per_s,
            "mfu": mfu,
            "latency": percentiles(self.latency_ms),
        }


def percentiles(milliseconds: Sequence[float]) -> dict[str, float] | None:
    """Return p50, p90 and p99 of latencies, and their number; None if there are too few."""
    if len(milliseconds) < 2:
        return None
    cuts = quantiles(milliseconds, n=100, method="inclusive")
    return {"p50": cuts[49], "p90": cuts[89], "p99": cuts[98], "n": len(milliseconds)}


def device_folder(provenance: Mapping[str, Any]) -> str:
    """Return the name of the folder for a device, its threads if it is a CPU, and a version of torch."""
    threads = "" if provenance["device_type"] == "cuda" else f"-{provenance['resources']['threads']}-thread"
    words = f"{provenance['device']}{threads}-torch-{provenance['versions']['torch']}"
    return re.sub(r"[^a-z0-9.]+", "-", words.lower()).strip("-")


def write(folder: Path, found: Measurement) -> Path:
    """Write a measurement, replacing an earlier one of the same model, mode and batch size.

    Raises:
        SpecError: if it has more MACs per second than the device's peak.
    """
    summary = found.summary()
    _check_plausible(found, summary["macs_per_s"])
    path = folder / found.name
    content = {"schema": found.schema, "summary": summary} | asdict(found)
    content["checksum"] = checksum(content)
    write_atomically(path, orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n")
    return path


def checksum(content: Mapping[str, Any]) -> str:
    """Return a sha256 over the content of a file except its checksum, independent of the order of keys."""
    rest = {name: value for name, value in content.items() if name != "checksum"}
    return hashlib.sha256(orjson.dumps(rest, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _check_plausible(found: Measurement, macs_per_s: float | None) -> None:
    if macs_per_s is None or found.peak is None or macs_per_s <= found.peak["macs_per_s"]:
        return
    raise SpecError(
        f"{found.subject['label']} in mode {Mode(**found.mode)} at batch {found.batch} shows {macs_per_s:.3g} MACs/s, "
        f"above the device's measured peak of {found.peak['macs_per_s']:.3g}: the measurement is wrong, or the peak "
        "was measured on a busy device; measure again when it is idle"
    )


def read(path: Path) -> Measurement:
    """Read the measurement in a file.

    Raises:
        SpecError: if the file is not a measurement, or of a newer schema.
    """
    try:
        reason = refusal(path, LARGEST)
        content = None if reason else orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        reason = str(error)
    if reason:
        raise SpecError(f"cannot read the measurement {path}: {reason}; {REMEDY}")
    if not isinstance(content, dict) or type(content.get("schema")) is not int:
        raise SpecError(f"{path} must be a speed measurement, got no schema number; move it out of results/speed")
    if content["schema"] > SCHEMA:
        raise SpecError(
            f"the measurement {path} has schema {content['schema']}; this version of ablate knows up to {SCHEMA}: "
            "upgrade it"
        )
    signed = content.get("checksum")
    if signed is not None and signed != checksum(content):
        raise SpecError(f"the measurement {path} was edited or damaged: it does not match its checksum; {REMEDY}")
    content = {RENAMED.get(name, name): value for name, value in content.items()}
    names = [item.name for item in fields(Measurement) if item.name != "checksum"]
    if missing := [name for name in names if name not in content]:
        raise SpecError(f"the measurement {path} lacks {', '.join(missing)}; {REMEDY}")
    try:
        _check_shape(content)
    except ValueError as error:
        raise SpecError(f"the measurement {path} is damaged: {error}; {REMEDY}") from None
    found = Measurement(**{name: content[name] for name in names}, checksum=signed)
    if found.name != path.name:
        raise SpecError(f"{path} is the measurement {found.name} under another name; move the copy away")
    return found


def _check_shape(content: Mapping[str, Any]) -> None:
    """Check the types of the values that tables and reports use.

    Raises:
        ValueError: when one is of another type.
    """
    checked(content, REQUIRED, OPTIONAL)
    words = {item.name: str for item in fields(Mode)}
    if odd := sorted(content["mode"].keys() - words):
        raise ValueError(f"its mode has unknown words: {', '.join(odd)}")
    Mode(**checked(content["mode"], words))
    if content["peak"] is not None:
        checked(content["peak"], {"macs_per_s": float})
    for name, shape in PARTS.items():
        checked(content[name], shape)
    for name, shape in ITEMS.items():
        for item in content[name]:
            checked(item, shape)
    for latency in content["latency_ms"]:
        checked({"latency_ms": latency}, {"latency_ms": float})


def read_all(results: Path) -> Iterator[tuple[str, Measurement]]:
    """Yield every whole measurement under a results folder, by path, with the name of its device's folder."""
    for path in paths(results):
        with suppress(SpecError):  # `damage` names it
            yield path.parent.name, read(path)


def damage(results: Path) -> dict[str, str]:
    """Return a sentence about every measurement that was edited or damaged, by the path of its file."""
    found = {}
    for path in paths(results):
        try:
            read(path)
        except SpecError as error:
            found[str(path)] = str(error)
    return found


def paths(results: Path) -> list[Path]:
    """Return the path of every measurement under a results folder, sorted."""
    return sorted(path for path in (results / FOLDER).glob("*/*.json") if FILE.fullmatch(path.name))
