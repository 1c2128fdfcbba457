"""Plans, evaluations, replays and lineage as a user types them."""

import json
import random
from pathlib import Path

import pytest

from cairn.cli.plans import restored_recipe
from cairn.packs.payments.evaluate import PaymentRecipe, TimeSplit
from cairn.primitives.encoding import replace
from cairn.sdk.models import RunFolder
from tests.cli.conftest import Shell


@pytest.fixture
def shell(cairn: Shell) -> Shell:
    """A shell beside a file that a stranger might bring."""
    numbers = random.Random(7)
    lines = ["CUSTOMER,LIMIT_BAL,rate,night,default"]
    for row in range(400):
        limit, night = numbers.randrange(100, 90_000), numbers.random() < 0.3
        rate = numbers.random()
        bad = limit > 70_000 or (night and rate > 0.7)
        lines.append(f"c{row % 50},{limit},{rate:.3f},{int(night)},{int(bad)}")
    Path("credit.csv").write_text("\n".join(lines) + "\n")
    return cairn


def test_one_command_from_a_file_to_an_evaluation(shell: Shell) -> None:
    ran = shell(
        "training run credit.csv --label default --test 25% --model logistic --subject CUSTOMER "
        "--by-group CUSTOMER --threshold 0.4 --metric roc_auc --json"
    )
    made = ran.json
    steps = [line.split()[0] for line in ran.err.splitlines()]
    assert steps == [
        "divided",
        "quality",
        "registered",
        "committed",
        "trained",
        "recorded",
        "quality",
        "registered",
        "recorded",
    ]
    assert (made["folder"], made["test_rows"], made["judged_by"]) == ("credit", 96, "roc_auc")
    assert made["figures"]["roc_auc"].startswith("0.")
    assert Path("credit/report.html").read_text().count("<svg") == 3
    plan = shell.json("training plans")[0]
    assert (plan["plan"], plan["runs"], plan["evaluations"]) == (made["plan"], 1, 1)
    assert (plan["split"], plan["threshold"]) == ("group CUSTOMER", "0.4")
    shown = shell.json(f"training show {made['run'][:10]}")
    assert shown["plan"] == made["plan"]
    assert "number 1 of plan" in shown["evaluations"][0]
    assert "not blind" not in shown["evaluations"][0]
    again = shell.json("training replay credit")
    assert (again["outcome"], again["compared"], again["rows"]) == ("bitwise", "test", 96)
    shell("training run credit.csv --label default", code=2)
    check_lineage(shell, made["run"])


def check_lineage(shell: Shell, run: str) -> None:
    shell("model upload credit --as dirk")
    shell(f"model register credit --run {run[:10]} --card credit --as dirk")
    text = shell("model lineage credit").out
    assert text.startswith("version credit@1")
    assert "dataset credit.test@1" in text
    assert "used nowhere" in text
    assert shell("model lineage credit@1 --dot").out.startswith("digraph lineage {")
    shell("model lineage credit@1 --html lineage.html")
    assert "<!doctype html>" in Path("lineage.html").read_text()
    found = shell.json("model lineage credit")
    assert {one["kind"] for one in found["items"]} >= {"version", "run", "plan", "evaluation"}
    assert len(found["links"]) == 6
    assert "no version" in shell("model lineage credit@9", code=2).err


def test_an_own_model_goes_the_same_way(shell: Shell) -> None:
    shell("training plan credit.csv --label default --name own")
    assert "no run yet" in shell("training evaluate own", code=2).err
    shell("training run own own/train.csv -o elsewhere --recipe tabular --label default "
          "--test 20% --model logistic")  # fmt: skip
    Path("fit.py").write_text("print('fit')\n")
    shell("training adopt own elsewhere/model.cairn --script fit.py --as dirk")
    made = shell.json("training evaluate own --resamples 20")
    assert made["test_rows"] == 120
    assert json.loads(Path("own/report.json").read_text())["resample_count"] == 20
    ran = shell("training adopt own elsewhere/model.cairn --library nothing --as dirk", code=2)
    assert "write --library nothing==1.2.3" in ran.err


def test_a_run_on_a_registered_data_set_replays(shell: Shell) -> None:
    shell("training plan credit.csv --label default --name cards")
    shell("training run cards cards/train.csv -o one --recipe tabular --label default "
          "--model logistic --calibrate platt")  # fmt: skip
    found = shell.json("training replay one --data cards=cards/train.csv")
    assert (found["outcome"], found["rows"]) == ("bitwise", 84)
    assert "give --data" in shell("training replay one", code=2).err
    assert "names no file" in shell("training replay one --data cards", code=2).err
    lines = Path("cards/train.csv").read_text().splitlines()
    Path("changed.csv").write_text("\n".join([*lines[:-1], "c1,1,0.5,0,1"]) + "\n")
    ran = shell("training replay one --data cards=changed.csv", code=1)
    assert "is not the committed data set" in ran.err
    record = RunFolder(Path("one")).record()
    split = PaymentRecipe(TimeSplit(1, 2, 3, 4))
    changed = replace(
        record,
        recipe=split.name,
        recipe_settings=tuple(sorted(split.settings().items())),
    )
    assert restored_recipe(changed) == split


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("training run credit.csv --label nothing", "no column 'nothing'"),
        ("training run credit.csv --label rate", "other values than 0 and 1"),
        ("training run credit.csv --label default --test 0", "not a share"),
        ("training run credit.csv --label default --by-time a --by-group b", "one way"),
        ("training run credit.csv --label default --by-component night", "2 to 8 columns"),
        ("training run credit.csv --label default --metric luck", "no figure 'luck'"),
        ("training run credit.csv --label default --column CUSTOMER --model magic", "magic"),
        ("training run credit.csv --label default --calibrate isotonic", "no exact form"),
        ("training run credit.csv --label default --owner dirk", "missing_role|data-owner"),
        ("training run cards credit.csv", "no data set cards"),
        ("training evaluate nothing", "not the folder of a plan"),
        ("training replay nothing", "cannot be read"),
    ],
)
def test_wrong_use(line: str, message: str, shell: Shell) -> None:
    code = 1 if "--owner" in line else 2
    ran = shell(line, code=code)
    assert any(one in ran.err for one in message.split("|"))
    assert "hint: " in ran.err
    assert shell.json("training plans") == []
