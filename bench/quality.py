"""The quality report of a wide file: time, memory, and the same questions asked of pandas.

    python -m bench.quality --rows 1000000 --columns 30 [--format csv] [--peer]

Each side runs in a process of its own, so that its peak memory is its own.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

BATCH_ROWS = 50_000


def make(path: Path, rows: int, columns: int) -> None:
    """Write numbers, categories, times and a label, with gaps, extremes and one leaking column."""
    random = np.random.default_rng(7)
    writer = None
    for start in range(0, rows, BATCH_ROWS):
        batch = _batch(random, start, min(BATCH_ROWS, rows - start), columns)
        if writer is None:
            kind = pa_csv.CSVWriter if path.suffix == ".csv" else pq.ParquetWriter
            writer = kind(path, batch.schema)
        writer.write_table(batch)
    assert writer is not None
    writer.close()


def _batch(random: np.random.Generator, start: int, rows: int, columns: int) -> pa.Table:
    label = random.random(rows) < 0.02
    cells: dict[str, pa.Array] = {
        "id": pa.array(np.arange(start, start + rows)),
        "label": pa.array(label.astype(np.int8)),
        "scenario": pa.array(np.where(label, random.integers(1, 4, rows), 0)),
        "booked_at": pa.array(
            1_700_000_000_000 + 1000 * np.arange(start, start + rows), pa.timestamp("ms")
        ),
        "constant": pa.array(["eur"] * rows),
    }
    for number in range(columns - len(cells)):
        if number % 5 == 4:
            names = np.array([f"shop-{one}" for one in range(5_000)])
            cells[f"text{number}"] = pa.array(names[random.integers(0, 5_000, rows)])
            continue
        amounts = np.round(random.lognormal(3, 1, rows), 2)
        cells[f"number{number}"] = pa.array(amounts, mask=random.random(rows) < 0.03)
    return pa.table(cells)


def measure_cairn(path: Path) -> dict[str, object]:
    """Return what a report says, and what it cost."""
    from cairn.learning.quality.measure import Roles, measure_quality

    begin = time.perf_counter()
    report = measure_quality(path, roles=Roles(label="label"))
    return {"leaks": report.leaks, "seconds": time.perf_counter() - begin}


def measure_pandas(path: Path) -> dict[str, object]:
    """Return what pandas takes for kinds, gaps, quantiles, MAD and exact duplicates alone."""
    import pandas

    begin = time.perf_counter()
    frame = pandas.read_csv(path) if path.suffix == ".csv" else pandas.read_parquet(path)
    frame.describe(include="all")
    frame.isna().sum()
    frame.nunique()
    for name in frame.select_dtypes("number"):
        values = frame[name]
        distance = (values - values.median()).abs()
        _ = (distance > 6 * distance.median()).sum()
    frame.duplicated().sum()
    return {"seconds": time.perf_counter() - begin}


SIDES = {"cairn": measure_cairn, "pandas": measure_pandas}


def run_side(side: str, path: Path) -> dict[str, object]:
    """Run one side in a process of its own."""
    command = [sys.executable, "-m", "bench.quality", "--side", side, "--file", str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, object] = json.loads(done.stdout)
    return found


def main() -> None:
    """Run as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=30)
    parser.add_argument("--format", choices=("parquet", "csv"), default="parquet")
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--side", choices=tuple(SIDES))
    parser.add_argument("--file", type=Path)
    arguments = parser.parse_args()
    if arguments.side:
        found = SIDES[arguments.side](arguments.file)
        found["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(json.dumps(found))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"wide.{arguments.format}"
        make(path, arguments.rows, arguments.columns)
        sides = ["cairn", "pandas"] if arguments.peer else ["cairn"]
        result = {
            "rows": arguments.rows,
            "columns": arguments.columns,
            "file_mb": path.stat().st_size >> 20,
            **{side: run_side(side, path) for side in sides},
        }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
