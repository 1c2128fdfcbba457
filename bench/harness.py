"""What every benchmark shares: timing with medians, the machine's description, table and file."""

import gc
import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One measured number and what it stands beside."""

    name: str
    """Stable name, for example `ledger.tx_per_s.ops1`."""
    value: float
    unit: str
    goal: str = ""
    """What the design wants to reach, in words."""
    against: dict[str, float] = field(default_factory=dict)
    """Peers and ceilings, in the same unit, measured in the same run."""
    note: str = ""


def seconds(work: Callable[[], Any], *, runs: int = 5, warmup: int = 1) -> float:
    """Return the median wall time of `work`, in seconds, after warming up."""
    for _ in range(warmup):
        work()
    times = []
    for _ in range(runs):
        gc.collect()
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def per_second(count: int, work: Callable[[], Any], *, runs: int = 5, warmup: int = 1) -> float:
    """Return how many of `count` things `work` does in a second, by the median run."""
    return count / seconds(work, runs=runs, warmup=warmup)


def percentile(values: Iterable[float], share: float) -> float:
    """Return the value below which `share` (0 to 1) of `values` lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def commit() -> str:
    """Return the commit that was measured, with `+` if the tree differs from it."""
    try:
        head = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        changed = subprocess.run(
            ["git", "status", "--porcelain"], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head + ("+" if changed else "")


def table(figures: list[Figure]) -> str:
    """Return the figures as an aligned table."""
    rows = [("figure", "value", "unit", "beside (same run)", "goal")]
    for figure in figures:
        beside = ", ".join(f"{name} {_number(value)}" for name, value in figure.against.items())
        rows.append((figure.name, _number(figure.value), figure.unit, beside, figure.goal))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = []
    for row in rows:
        cells = [
            row[0].ljust(widths[0]),
            row[1].rjust(widths[1]),
            row[2].ljust(widths[2]),
            row[3].ljust(widths[3]),
            row[4],
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def write(path: Path, figures: list[Figure]) -> None:
    """Write the figures where tools look for them."""
    document = {
        "machine": machine(),
        "commit": commit(),
        "figures": {
            figure.name: {
                "value": figure.value,
                "unit": figure.unit,
                "against": figure.against,
                **({"note": figure.note} if figure.note else {}),
            }
            for figure in figures
        },
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _number(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 10 else f"{value:.1f}"


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"
