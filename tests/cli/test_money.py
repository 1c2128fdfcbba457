"""Accounts, payments, freezes, escrow, rules and holds through the real commands."""

from pathlib import Path

import pytest

from tests.cli.conftest import Shell

RULE = """
rule: big
when: {amount_units: {more_than: 1000}}
do: {hold: {hours: 24, on_expiry: settle}}
daily_cap: 200
"""


@pytest.fixture
def funded(cairn: Shell) -> Shell:
    """Alice has 100.00, Bob an account."""
    cairn("bank open alice bob --as core")
    cairn("bank issue eur customer:alice 100 --as core --yes")
    return cairn


@pytest.fixture
def ruled(funded: Shell) -> Shell:
    """A rule holds payments above 10.00."""
    Path("rule.yaml").write_text(RULE)
    funded("rule submit rule.yaml --as rita")
    funded("rule approve big --as vera")
    funded("rule activate big --as rita --yes", code=1)
    funded("rule approve big --as carl")
    funded("rule activate big --as rita --yes")
    return funded


def held(ruled: Shell) -> str:
    paid = ruled.json("bank transfer customer:alice customer:bob 12.50 eur --as core --yes")
    assert paid["status"] == "held"
    return str(paid["hold"])


def test_a_payment_settles(funded: Shell) -> None:
    paid = funded.json("bank transfer customer:alice customer:bob 12.50 eur --as core --yes")
    assert paid["status"] == "settled"
    assert funded.json("bank balance customer:bob")[0]["available"] == "12.50"
    table = funded("bank balance customer:alice").out.splitlines()
    assert table[0].split() == ["account", "asset", "available", "held", "escrowed"]
    assert table[1].split() == ["customer:alice", "eur", "87.50", "0.00", "0.00"]
    shown = funded("tx show", paid["transaction"]).out
    assert "bank-a/core" in shown
    assert "bank/transfer_settled" in shown


def test_a_payment_is_labelled_later(funded: Shell) -> None:
    terminal = "ab" * 20
    line = "bank transfer customer:alice customer:bob 1 eur --as core --yes"
    paid = funded.json(f"{line} --terminal {terminal} --state device-age=3 --state b=-1")
    shown = str(funded.json(f"tx show {paid['transaction']}"))
    assert "screening/attempt_counted" in shown
    assert terminal in shown
    refused = funded(f"tx label {paid['transaction']} fraud --as core --yes", code=1)
    assert "missing_role" in refused.err
    missing = funded(f"tx label {'00' * 32} fraud --as core --yes", code=2)
    assert "no block holds" in missing.err
    missing = funded(f"tx label {paid['transaction']} fraud --operation 1 --as core --yes", code=2)
    assert "no operation 1" in missing.err
    wrong = funded(f"tx label {paid['transaction']} perhaps --as core --yes", code=2)
    assert "fraud or genuine" in wrong.err
    for stated in ("device-age", "device-age=x", "a=1 --state a=2"):
        wrong = funded(f"{line} --state {stated}", code=2)
        assert "states" in wrong.err


def test_spending_asks_first(funded: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    ran = funded("bank transfer customer:alice customer:bob 1 eur --as core", code=2)
    assert "pay 1 eur from customer:alice to customer:bob" in ran.err
    assert "hint: give --yes" in ran.err
    assert funded.json("bank balance customer:bob") == []


def test_refusals_end_with_1_and_say_what_to_do(funded: Shell) -> None:
    ran = funded("bank transfer customer:alice customer:bob 100.01 eur --as core --yes", code=1)
    assert "(bank/insufficient_funds)\n\nhint: `cairn bank balance" in ran.err
    ran = funded("bank issue eur customer:alice 1 --as rita --yes", code=1)
    assert "identity/missing_role" in ran.err
    assert ran.out == ""


WRONG = [
    ("bank transfer customer:alice customer:zoe 1 eur --as core --yes", "no account"),
    ("bank transfer customer:alice customer:bob 1.001 eur --as core --yes", "2 decimals"),
    ("bank transfer customer:alice customer:bob 0 eur --as core --yes", "out of bounds"),
    ("bank transfer customer:alice customer:bob 1e3 eur --as core --yes", "not an amount"),
    ("bank transfer customer:alice customer:bob 99999999999999999999 eur --as core", "amount"),
    ("bank transfer customer:alice customer:bob 1 usd --as core --yes", "no asset 'usd'"),
    ("bank transfer customer:alice customer:bob 1 eur --as nobody --yes", "no key of 'nobody'"),
    ("bank transfer customer:alice customer:bob 1 eur --yes", "who acts?"),
    ("bank transfer customer:alice --as core --yes", "Missing argument"),
    ("bank balance customer:zoe", "no account"),
    ("bank open alice alice --as core", "once"),
    ("bank freeze customer:alice --until soon --as carl --yes", "not a time"),
    ("bank escrow release 1234 --as core --yes", "not the id of an escrow"),
    ("bank escrow release 123456 --as core --yes", "no escrow 123456"),
    ("hold show zzzzzz", "not the id of a hold"),
    ("hold renew aabbcc --as carl", "Missing option '--until'"),
    ("rule switch maybe --as rita --yes", "neither on nor off"),
    ("rule show nothing", "no rule 'nothing'"),
    ("rule check none.yaml", "cannot be read"),
    ("bank nothing", "No such command"),
    ("bank balance customer:alice --nothing", "No such option"),
    ("tx show 1234", "64 hex digits"),
    ("tx send bank/pay {} --as core", "no message 'bank/pay'"),
]


@pytest.mark.parametrize(("line", "message"), WRONG)
def test_wrong_use_ends_with_2(line: str, message: str, funded: Shell) -> None:
    ran = funded(line, code=2)
    assert message in ran.err
    assert ran.out == ""


def test_freeze_and_unfreeze(funded: Shell) -> None:
    funded("bank freeze customer:alice --until 2d --reason card-stolen --as carl --yes")
    ran = funded("bank transfer customer:alice customer:bob 1 eur --as core --yes", code=1)
    assert "bank/account_frozen" in ran.err
    funded("bank unfreeze customer:alice --as carl")
    funded("bank transfer customer:alice customer:bob 1 eur --as core --yes")
    actions = [row["action"] for row in funded.json("bank freezes")]
    assert actions == ["frozen", "unfrozen"]
    frozen = [row["frozen_until"] for row in funded.json("bank accounts")]
    assert frozen == ["", ""]


def test_escrow(funded: Shell) -> None:
    escrow = funded.json("bank escrow open customer:alice customer:bob 5 eur --as core --yes")
    identity = escrow["escrow"]
    assert funded.json("bank balance customer:alice")[0]["escrowed"] == "5.00"
    funded(f"bank escrow release {identity[:8]} --as core --yes")
    assert funded.json("bank escrow list")[0]["status"] == "released"
    funded(f"bank escrow refund {identity} --as core --yes", code=1)


def test_a_hold_is_released_by_somebody_of_compliance(ruled: Shell) -> None:
    hold = held(ruled)
    assert [row["hold"] for row in ruled.json("hold list")] == [hold]
    assert hold[:12] in ruled("hold list").out
    assert hold not in ruled("hold list").out
    ruled(f"hold release {hold} --as core --yes", code=1)
    assert ruled.json(f"hold release {hold[:8]} --as carl --yes")["status"] == "released"
    assert ruled.json("hold list") == []
    assert [row["status"] for row in ruled.json("hold list --all")] == ["released"]
    assert "released by bank-a/carl: reviewed" in ruled(f"hold show {hold}").out
    ruled(f"hold return {hold} --as carl --yes", code=1)
    assert ruled.json("bank balance customer:bob")[0]["available"] == "12.50"


def test_a_hold_is_appealed_upheld_and_returned(ruled: Shell) -> None:
    hold = held(ruled)
    ruled(f"hold appeal {hold} --as core --yes", "--statement", "it was me")
    assert ruled.json(f"hold show {hold}")["status"] == "appealed"
    assert ruled.json(f"hold uphold {hold} --as carl --yes")["status"] == "upheld"
    assert ruled.json(f"hold return {hold} --as carl --yes")["status"] == "returned"
    assert ruled.json("bank balance customer:alice")[0]["available"] == "100.00"


def test_renewing_takes_two_people(ruled: Shell) -> None:
    hold = held(ruled)
    ruled(f"hold renew {hold} --until 72h --as carl --yes")
    shown = ruled.json(f"hold show {hold}")
    assert shown["renewals"] == 0
    assert "bank-a/carl" in shown["renewal_proposed"]
    time = shown["renewal_proposed"].rpartition(" ")[2]
    ruled(f"hold renew {hold} --until {time} --as carl --yes", code=1)
    ruled("org role grant rita compliance --as vera")
    ruled(f"hold renew {hold} --until {time} --as rita --yes")
    assert ruled.json(f"hold show {hold}")["renewals"] == 1


def test_the_switch_of_a_rule_and_of_all(ruled: Shell) -> None:
    ruled("rule switch off big --as carl --yes")
    assert ruled.json("rule list")[0]["on"] is False
    paid = ruled.json("bank transfer customer:alice customer:bob 12 eur --as core --yes")
    assert paid["status"] == "settled"
    ruled("rule switch off big --as carl --yes", code=1)
    ruled("rule switch on big --as rita --yes")
    ruled("rule switch off --as rita --yes")
    assert ruled.json("rule list")[0]["on"] is False
    ruled("rule switch on --as rita --yes")
    held(ruled)
    ruled("rule retire big --as rita --yes")
    assert ruled.json("rule list")[0]["live_version"] is None
    assert "retired version 1 by bank-a/rita" in ruled("rule show big").out


def test_a_rule_with_a_mistake_names_the_line(cairn: Shell) -> None:
    Path("bad.yaml").write_text(RULE.replace("amount_units", "amount"))
    ran = cairn("rule check bad.yaml", code=2)
    assert "line 3, column" in ran.err
    assert "hint: did you mean `amount_units`?" in ran.err
    Path("good.yaml").write_text(RULE)
    assert cairn.json("rule check good.yaml")["actions"] == ["hold"]


def test_assets_are_made_issued_and_redeemed(cairn: Shell) -> None:
    cairn("bank asset create gold --decimals 0 --as core")
    cairn("bank asset create gold --as core", code=1)
    cairn("bank issue gold core 7 --as core --yes")
    cairn("bank redeem gold core 3 --as core --yes")
    by_name = {row["asset"]: row for row in cairn.json("bank asset list")}
    assert (by_name["gold"]["supply"], by_name["eur"]["supply"]) == ("4", "0.00")
    assert cairn.json("bank balance core")[0]["available"] == "4"


def test_any_message_by_its_name(funded: Shell) -> None:
    fields = '{"asset": "eur", "account": "customer:bob", "amount_units": 5}'
    sent = funded.json("tx send bank/issue --as core --yes", fields)
    assert (sent["code"], "bank/asset_issued" in sent["outcomes"][0]) == ("ok", True)
    ran = funded("tx send bank/issue --as core --yes", fields.replace("5", "-5"), code=2)
    assert "`amount_units`" in ran.err
    ran = funded("tx send bank/issue --as core --yes", "{", code=2)
    assert "not JSON" in ran.err
    assert "account: hex" in ran.err
    subject = funded.json(
        "tx subject identity/set_parameter",
        '{"name": "bank.hold_ms_max", "value": 5000, "proposal": "p"}',
    )
    assert len(subject["subject"]) == 64
    tags = [row["message"] for row in funded.json("tx messages bank")]
    assert "bank/transfer" in tags
    assert all(tag.startswith("bank/") for tag in tags)
    assert "amount_units:integer" in funded("tx messages bank/issue").out
    funded("tx show", "00" * 32, code=2)


# The life of a rule


def test_a_rule_goes_through_shadow_and_each_step_names_the_next(funded: Shell) -> None:
    Path("rule.yaml").write_text(RULE)
    submitted = funded("rule submit rule.yaml --as rita")
    assert "next: 2 approvals by others: cairn rule approve big --version 1" in submitted.err
    for person in ("vera", "carl"):
        approved = funded(f"rule approve big --shadow --as {person}")
    assert "next: cairn rule shadow big --version 1" in approved.err
    assert funded.json("rule shadow big --as rita")["version"] == 1
    assert funded.json("rule show big")["stage"] == "shadow"
    funded("bank transfer customer:alice customer:bob 12.50 eur --as core --yes")
    assert funded.json("rule firings") == []
    (seen,) = funded.json("rule firings big --shadow")
    assert (seen["rule"], seen["did"]) == ("big/1", ["hold"])
    (listed,) = funded.json("rule list")
    assert (listed["live_version"], listed["shadow_version"]) == (None, 1)
    assert "was in shadow" in funded("rule shadow big --end --as rita").out


def test_a_hold_says_why(ruled: Shell) -> None:
    shown = ruled.json(f"hold show {held(ruled)}")
    assert shown["reasons"] == ["rule big/1: hold, because amount_units 12.50 > 10.00"]
    told = ruled.json(f"tx show {shown['transaction']}")["reasons"]
    assert told[0].startswith("rule big/1: hold, because amount_units")
