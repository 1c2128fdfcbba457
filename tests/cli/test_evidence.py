"""Data, training, models, predictions and evidence through the real commands."""

import json
import random
from pathlib import Path

import pytest

from tests.cli.conftest import Shell

SCHEMA = {
    "columns": [
        {"name": "customer", "kind": "text"},
        {"name": "amount", "kind": "integer"},
        {"name": "night", "kind": "boolean"},
        {"name": "fraud", "kind": "boolean"},
    ],
    "subject": "customer",
}


@pytest.fixture
def data(cairn: Shell) -> Shell:
    """A registered data set of cards."""
    numbers = random.Random(7)
    lines = ["customer,amount,night,fraud"]
    for row in range(300):
        amount, night = numbers.randrange(100, 90_000), numbers.random() < 0.3
        fraud = amount > 60_000 or (night and amount > 30_000)
        lines.append(f"c{row % 40},{amount},{int(night)},{int(fraud)}")
    Path("cards.csv").write_text("\n".join(lines) + "\n")
    Path("schema.json").write_text(json.dumps(SCHEMA))
    cairn("data register cards cards.csv --schema schema.json --synthetic --as dana")
    return cairn


@pytest.fixture
def live(data: Shell) -> Shell:
    """A model of it, live in `cards`."""
    train = "training run cards cards.csv -o run --recipe tabular --label fraud"
    data(f"{train} --algorithm logistic")
    run = data.json("training record run --dataset cards --as dirk")["run"]
    data("model upload run --as dirk")
    data(f"model register card-risk --run {run[:10]} --card run --as dirk")
    data("model deploy cards --as dirk")
    for person in ("vera", "rita", "carl"):
        data(f"model approve cards card-risk@1 --as {person}")
    data("model promote cards card-risk@1 --as dirk --yes")
    return data


def verified(cairn: Shell, file: str, more: str = "") -> dict[str, object]:
    found = cairn.json(f"verify {file} --trust trust.json {more}")
    assert found["assurance"]["word"] == "operator-signed"
    return dict(found)


def test_data_is_checked_disclosed_and_forgotten(data: Shell) -> None:
    listed = data.json("data list")[0]
    assert (listed["label"], listed["rows"], listed["synthetic"]) == ("cards@1", 300, True)
    data("data check cards cards.csv")
    text = Path("cards.csv").read_text()
    Path("changed.csv").write_text(text.replace("\nc5,", "\nc6,", 1))
    assert "rows 1 changed (5)" in data("data check cards changed.csv", code=1).err
    data("data disclose cards cards.csv 7 -o row.cairn --column amount")
    findings = str(verified(data, "row.cairn")["findings"])
    assert "amount" in findings
    assert "not disclosed: customer, night and fraud" in findings
    data("prove row cards cards.csv 7 -o again.cairn")
    data("data disclose cards cards.csv 300 -o no.cairn", code=2)
    data("data forget cards c7 --yes")
    data("data disclose cards cards.csv 7 -o no.cairn", code=2)
    assert not Path("no.cairn").exists()
    verified(data, "row.cairn")


def test_consents_are_given_and_taken_back(data: Shell) -> None:
    dataset = data.json("data list")[0]["dataset"][:8]
    data(f"data grant {dataset} dirk --until 30d --as dana")
    data(f"data grant {dataset} dirk --as rita", code=1)
    data(f"data revoke {dataset} dirk --as dana")
    consents = data.json(f"data show {dataset}")["consents"]
    assert [" granted " in consents[0], " revoked " in consents[1]] == [True, True]
    data(f"data withdraw {dataset} --as dana --yes")
    assert data.json("data list")[0]["withdrawn"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("data register new none.csv --schema schema.json --as dana", "there is no file"),
        ("data register new cards.csv --schema none.json --as dana", "cannot be read"),
        ("data register new cards.csv --label x --as dana", "no column 'x'"),
        ("data register New cards.csv --schema schema.json --as dana", "not a data set"),
        ("data check other cards.csv", "committed here: cards@1"),
        ("data show 123456", "no data set"),
        ("training run cards cards.csv -o run --recipe magic", "payments, or tabular"),
        ("training run cards cards.csv -o run --recipe tabular --label x", "no column 'x'"),
        ("training record none --dataset cards --as dirk", "cannot be read"),
        ("training show 123456", "no run"),
        ("model upload cards.csv --as dirk", "ledger/|models/malformed_model"),
        ("model show card@1", "no version card@1"),
        ("model live nothing", "no deployment"),
        ("predict list", "Missing argument"),
        ("predict score cards --features a=1 --as dirk", "no version is live"),
        ("prove range bank/nothing --from 2026-01-01 -o x", "bank/holds"),
        ("prove state bank/balance -o x", "takes bytes str, 0 given"),
        ("prove period --from 2026-02-01 --until 2026-01-01 -o x", "ends before it begins"),
        ("verify none --trust trust.json", "cannot be read"),
        ("verify cards.csv", "without a trust file"),
        ("verify cards.csv --trust none.json", "cannot be read"),
        ("verify cards.csv --trust schema.json", "evidence/trust_file"),
        ("verify cards.csv --trust trust.json --at noon", "not a time"),
    ],
)
def test_wrong_use(line: str, message: str, data: Shell) -> None:
    code = 1 if line.startswith("model upload") else 2
    ran = data(line, code=code)
    assert any(one in ran.err for one in message.split("|"))
    assert not Path("x").exists()


def test_what_is_no_evidence_is_refused(data: Shell) -> None:
    assert "evidence/malformed_bundle" in data("verify cards.csv --trust trust.json", code=1).err


def test_a_model_goes_live_and_that_is_proved(live: Shell) -> None:
    shown = live.json("model live cards")
    assert (shown["name"], shown["number"], shown["action"]) == ("card-risk", 1, "promoted")
    assert shown["approved_by"] == ["bank-a/vera", "bank-a/rita", "bank-a/carl"]
    assert live.json("model list")[0]["live_in"] == ["cards"]
    assert live.json("model show card-risk@1")["inputs"] == ["amount", "night"]
    live("prove live cards -o live.cairn")
    assert "vera (bank-a), rita (bank-a) and carl" in str(verified(live, "live.cairn")["findings"])
    live("prove live cards --at 2020-01-01 -o before.cairn")
    assert "none was live" in str(verified(live, "before.cairn")["findings"])
    assert live.json("model live cards --at 2020-01-01")["version"] == ""
    live("model rollback cards --as rita --yes", code=1)
    live("model retire card-risk@1 --as dirk --yes", code=1)
    assert live.json("training list")[0]["developer"] == "bank-a/dirk"


def test_predictions_are_scored_recorded_and_proved(live: Shell) -> None:
    scored = live.json("predict score cards --features night=1,amount=80000 --as dirk")
    assert scored["score_ppm"] > 500_000
    assert live.json("predict score cards --features 80000,1 --as dirk")["position"] == 1
    live("predict score cards --features amount=1 --as dirk", code=2)
    recorded = live.json(
        f"predict record cards --features 80000,1 --score-ppm {scored['score_ppm']} "
        "-o opening.json --as dirk",
        "--policy=consent of May",
    )
    assert recorded["position"] == 2
    bases = [row["basis"] for row in live.json("predict list cards")]
    assert bases == ["asserted", "asserted", "committed"]
    live("prove prediction cards 0 -o scored.cairn")
    assert "computed again" in str(verified(live, "scored.cairn", "--replay")["checked"])
    live("prove prediction cards 2 -o closed.cairn")
    assert "the input stays closed" in str(verified(live, "closed.cairn")["not_shown"])
    live("prove prediction cards 2 --open opening.json -o opened.cairn")
    assert "computed again" in str(verified(live, "opened.cairn", "--replay")["checked"])
    document = json.loads(Path("opening.json").read_text())
    Path("other.json").write_text(json.dumps({**document, "features": [1, 1]}))
    live("prove prediction cards 2 --open other.json -o no.cairn", code=1)
    live("prove prediction cards 9 -o no.cairn", code=1)
    live("prove prediction cards 2 --open cards.csv -o no.cairn", code=2)
    assert not Path("no.cairn").exists()


def test_rows_ranges_and_transactions_are_proved(cairn: Shell) -> None:
    cairn("bank issue eur core 10 --as core --yes")
    paid = cairn.json("bank transfer core rita 3 eur --as core --yes")["transaction"]
    cairn(f"prove transaction {paid} -o tx.cairn")
    verified(cairn, "tx.cairn")
    cairn(f"prove payment {paid} -o payment.cairn")
    assert "3.00 eur" in str(verified(cairn, "payment.cairn")["findings"])
    cairn("prove state bank/balance core eur -o balance.cairn")
    assert "available: 700" in str(verified(cairn, "balance.cairn")["findings"])
    cairn("prove state bank/asset usd -o absent.cairn")
    verified(cairn, "absent.cairn")
    cairn("prove range bank/holds --from 2026-01-01 -o holds.cairn")
    assert "0 entries" in str(verified(cairn, "holds.cairn")["findings"])
    cairn("prove range screening/attempts --from 2026-01-01 -o attempts.cairn")
    assert "in eur: 1 attempt of 300 units" in str(verified(cairn, "attempts.cairn")["findings"])
    cairn("prove period --from 30d -o no.cairn", code=2)
    cairn("prove period --from 2026-01-01 -o period.cairn")
    verified(cairn, "period.cairn")
    raw = bytearray(Path("tx.cairn").read_bytes())
    raw[len(raw) // 2] ^= 1
    Path("tx.cairn").write_bytes(raw)
    cairn("verify tx.cairn --trust trust.json", code=1)


def test_a_trust_file_with_a_checkpoint_binds_what_comes_later(cairn: Shell) -> None:
    cairn("bank issue eur core 10 --as core --yes")
    cairn("trust export --checkpoint -o seen.json")
    assert "height " in cairn.json("trust show seen.json")["checkpoint"]
    cairn("bank issue eur core 10 --as core --yes")
    cairn("prove state bank/asset eur -o asset.cairn")
    ran = cairn("verify asset.cairn --trust seen.json", code=1)
    assert "evidence/checkpoint_unproven" in ran.err
    Path("trust.json").write_text(Path("seen.json").read_text())
    cairn("prove state bank/asset eur -o asset.cairn")
    cairn("verify asset.cairn --trust seen.json")
    cairn("trust export --witness-threshold 1", code=2)
    assert cairn("trust export").out.startswith("{")


def test_an_author_is_told_that_their_own_approval_does_not_count(data: Shell) -> None:
    train = "training run cards cards.csv -o run --recipe tabular --label fraud"
    data(f"{train} --algorithm logistic")
    run = data.json("training record run --dataset cards --as dirk")["run"]
    data("model upload run --as dirk")
    data(f"model register card-risk --run {run[:10]} --card run --as dirk")
    data("model deploy cards --as dirk")
    own = data.json("model approve cards card-risk@1 --as dirk")
    assert (own["missing"], own["approved_by"]) == (3, [])
    assert data.json("model approve cards card-risk@1 --as vera")["missing"] == 2
