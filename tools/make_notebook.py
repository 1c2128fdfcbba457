"""Writes `docs/tutorial/your-own-model.ipynb` from the cells below, without outputs.

    python -m tools.make_notebook

The first code cell is the script of the tutorial's page, so that both tell of the same data.
"""

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "tutorial" / "your-own-model.md"
NOTEBOOK = PAGE.with_suffix(".ipynb")
_BLOCK = re.compile(r"^```(python|yaml)\n(.*?)^```", re.MULTILINE | re.DOTALL)

BEFORE = """\
# Your own model, in Python

The same as [the page with commands](your-own-model.md), through the SDK: data with its quality, a
model made exact and evaluated blind, a rule tried on past cases, two approvals, decisions with
reasons, and a refusal that somebody else checks.

First a stand-in for your files; if you have your own, leave this out."""

FOUNDING = """\
import tempfile
from contextlib import ExitStack
from pathlib import Path

from cairn.modules.identity.records import member_id, organisation_id
from cairn.sdk.charters import DEFAULT_POLICIES, Plan
from cairn.sdk.client import Client
from cairn.sdk.connecting import connect
from cairn.sdk.founding import found_workspace

words = "correct horse battery staple"
two = {**DEFAULT_POLICIES, "models": DEFAULT_POLICIES["rules"]}  # two of three for models too
plan = Plan(name="bank", organisation="bank", policies=two)
workspace = found_workspace(Path(tempfile.mkdtemp()) / "bank", plan, words)
trust = workspace.trust()  # what a second person gets now, before there is anything to hide

stack = ExitStack()
connection = stack.enter_context(connect(workspace, passphrase=lambda: words))


def client_of(name):
    account = member_id(organisation_id("bank"), name)
    return Client(connection, account, workspace.open_key(name, words), trust=trust)


dana, dirk, rita = client_of("dana"), client_of("dirk"), client_of("rita")
vera, carl, core = client_of("vera"), client_of("carl"), client_of("core")
workspace.chain_id"""

CELLS: tuple[tuple[str, str], ...] = (
    (
        "markdown",
        "## A ledger\n\nFive people and a service. Here one process has all their keys; in earnest "
        "everybody has a workspace of their own.",
    ),
    ("code", FOUNDING),
    ("markdown", "## How good is the data?"),
    (
        "code",
        "from cairn.learning.quality.measure import Roles, measure_quality\n"
        "from cairn.sdk.progress import progress\n\n"
        "with progress() as tell:\n"
        '    quality = measure_quality(Path("credit.csv"), None, Roles("default"), progress=tell)\n'
        "quality",
    ),
    (
        "markdown",
        "## Bring the model\n\nIt becomes integers and is compared with what you fitted. Plan, run "
        "and test labels go on the ledger in this order, so that the evaluation is blind.",
    ),
    (
        "code",
        "from cairn.sdk.bringing import ModelFiles, bring_model, bring_rule\n"
        "from cairn.sdk.plans import People\n\n"
        "files = ModelFiles(\n"
        '    name="credit-risk",\n'
        '    model=Path("model.skops"),\n'
        '    data=Path("credit.csv"),\n'
        '    label="default",\n'
        '    test=Path("kept-back.csv"),\n'
        ")\n"
        "brought = bring_model(People(dana, dirk), workspace, files, tell=print)\n"
        "brought.conversion",
    ),
    ("code", "brought.evaluation"),
    ("markdown", "## Bring the rule\n\nIt is tried on the past cases before anybody approves it."),
    (
        "code",
        'text = Path("rule.yaml").read_text()\n'
        'tried = bring_rule(rita, text, Path("credit.csv"), "default")\n'
        "tried.report",
    ),
    (
        "markdown",
        "## Two colleagues approve\n\nThis is what waits for vera, with what is known of it.",
    ),
    (
        "code",
        "from IPython.display import display\n\n"
        "for waiting in vera.pending(workspace):\n"
        "    display(waiting)",
    ),
    (
        "code",
        "from cairn.sdk.pending import go_live, waiting\n\n"
        "vera.approve(*vera.pending())\n"
        "carl.approve(*carl.pending())\n"
        "[go_live(dirk, rita, one) for one in waiting(dirk)]",
    ),
    ("markdown", "## Decide on new cases\n\nThe ledger scores each and asks the rule."),
    (
        "code",
        'new_cases = pd.read_csv("new.csv")\n'
        'decisions = core.decide_cases("credit-risk", new_cases)\n'
        'refused = [one for one in decisions if one.verdict == "refuse"]\n'
        "refused[0]",
    ),
    (
        "code",
        "from cairn.pages.charts import histogram\n"
        "from cairn.pages.document import fragment\n\n"
        "scores = {\n"
        "    verdict: [one.score_ppm / 1e6 for one in decisions if one.verdict == verdict]\n"
        '    for verdict in ("allow", "refuse")\n'
        "}\n"
        'fragment(histogram(scores, title="Scores of the new cases", x_label="score"))',
    ),
    ("markdown", "## What stands behind the model?"),
    ("code", "dirk.lineage(brought.version)"),
    (
        "markdown",
        "## Somebody else checks a refusal\n\nThe evidence is a few kilobytes; checking it needs "
        "these bytes and the trust file, and neither the ledger nor its operator.",
    ),
    (
        "code",
        "import time\n\n"
        "from cairn.evidence.bundle import DecisionClaim\n"
        "from cairn.evidence.report import report_text\n"
        "from cairn.evidence.verify import verify_bundle\n"
        "from cairn.sdk.proof_source import ConnectionSource\n"
        "from cairn.sdk.prove import prove\n\n"
        "evidence = prove(ConnectionSource(connection), DecisionClaim(refused[0].id))\n"
        "stack.close()  # from here on there is no ledger\n"
        "checked = verify_bundle(evidence, trust, at_ms=time.time_ns() // 1_000_000, replay=True)\n"
        "print(report_text(checked))",
    ),
)


def notebook() -> dict[str, Any]:
    """Return the notebook, without outputs."""
    found = dict(_BLOCK.findall(PAGE.read_text(encoding="utf-8")))
    script = found["python"] + f'\nrule = """\\\n{found["yaml"]}"""\n'
    script += 'with open("rule.yaml", "w") as file:\n    file.write(rule)'
    cells = [("markdown", BEFORE), ("code", script), *CELLS]
    return {
        "cells": [_cell(number, kind, text) for number, (kind, text) in enumerate(cells)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def text() -> str:
    """Return the notebook as its file holds it."""
    return json.dumps(notebook(), indent=1, ensure_ascii=False) + "\n"


def _cell(number: int, kind: str, source: str) -> dict[str, Any]:
    cell: dict[str, Any] = {
        "cell_type": kind,
        "id": f"cell-{number:02d}",
        "metadata": {},
        "source": source.splitlines(keepends=True),
    }
    return cell | {"execution_count": None, "outputs": []} if kind == "code" else cell


if __name__ == "__main__":
    NOTEBOOK.write_text(text(), encoding="utf-8")
    print(f"wrote {NOTEBOOK.relative_to(ROOT)}")
