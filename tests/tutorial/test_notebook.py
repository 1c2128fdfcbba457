"""The tutorial's notebook runs from beginning to end, and shows what it tells of."""

import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tools import make_notebook

ROOT = Path(__file__).parents[2]


def test_the_notebook_is_what_the_tool_writes() -> None:
    written = make_notebook.NOTEBOOK.read_text(encoding="utf-8")
    assert written == make_notebook.text(), "run `python -m tools.make_notebook`"


def test_the_notebook_holds_no_outputs() -> None:
    cells = nbformat.read(make_notebook.NOTEBOOK, as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert len(code) >= 10
    assert [cell.id for cell in code if cell.outputs or cell.execution_count] == []


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """The outputs of each code cell, by its last line."""
    directory = tmp_path_factory.mktemp("notebook")
    notebook = nbformat.read(make_notebook.NOTEBOOK, as_version=4)
    patch = pytest.MonkeyPatch()
    with patch.context() as within:
        # The kernel of this interpreter, whatever kernels the machine has.
        for name in ("JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
            within.setenv(name, str(directory / name.lower()))
        within.setenv("JUPYTER_PATH", "")
        within.setenv("PYTHONPATH", os.pathsep.join((str(ROOT / "src"), str(ROOT))))
        within.setenv("OMP_NUM_THREADS", "1")
        client = NotebookClient(
            notebook,
            timeout=60,
            kernel_name="python3",
            resources={"metadata": {"path": str(directory)}},
        )
        client.execute()
    return {
        cell.source.splitlines()[-1]: cell.outputs
        for cell in notebook.cells
        if cell.cell_type == "code"
    }


def html_of(outputs: list[Any]) -> str:
    """Return what a cell shows in a browser."""
    return "".join(one.data.get("text/html", "") for one in outputs if "data" in one)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("quality", ("<progress", "AUC alone", "late_1")),
        ("brought.conversion", ("Conversion to an exact model", "rank correlation")),
        ("brought.evaluation", ("<svg", "roc_auc", "Calibration")),
        ("tried.report", ("Back-test of refuse-risky-credit", "<svg")),
        ("    display(waiting)", ("credit-risk@1", "refuse-risky-credit@1", "blind: roc auc")),
        ("refused[0]", ("<b>refuse</b>", "refuse-risky-credit", "added")),
        ("dirk.lineage(brought.version)", ("credit-risk", "dataset", "rule")),
    ],
)
def test_things_show_themselves(
    ran: dict[str, list[Any]], line: str, shown: tuple[str, ...]
) -> None:
    found = html_of(ran[line])
    assert [part for part in shown if part not in found] == []
    assert "<script" not in found
    assert "://" not in found.replace("http://www.w3.org/", "")


def test_new_cases_are_plotted(ran: dict[str, list[Any]]) -> None:
    cell = next(line for line in ran if line.startswith("fragment(histogram"))
    assert "<svg" in html_of(ran[cell])


def test_the_refusal_is_checked_without_the_ledger(ran: dict[str, list[Any]]) -> None:
    told = "".join(one.text for one in ran["print(report_text(checked))"] if "text" in one)
    assert "it was refused by rule `refuse-risky-credit` version 1" in told
    assert "computed again, with the same result" in told
