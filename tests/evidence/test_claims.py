"""Every kind of claim: the honest bundle verifies, and the report says what the story was."""

import pytest

from cairn.evidence.bundle import LiveClaim, PaymentClaim, PeriodClaim, decode_bundle
from cairn.evidence.errors import ClaimError
from cairn.evidence.report import report_data, report_text
from cairn.evidence.verify import Report, verify_bundle
from cairn.exact.features import FEATURES
from tests.evidence.chain import WITNESS
from tests.evidence.story import REPORT, bundle_of, told

NAMES = tuple(told().bundles)


def verified(name: str, *, replay: bool = True) -> Report:
    honest = told()
    trust = honest.story.chain.trust((WITNESS,), threshold=0 if name == "fork" else 1)
    at_ms = honest.source.view.time_ms
    return verify_bundle(honest.bundles[name], trust, at_ms=at_ms, replay=replay)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("replay", [False, True])
def test_an_honest_bundle_verifies(name: str, replay: bool) -> None:
    report = verified(name, replay=replay)
    word = "operator-signed" if name == "fork" else "witnessed"
    assert report.assurance.word == word
    assert report.findings
    text = report_text(report)
    assert text.rstrip().split("\n")[-1].startswith(f"assurance   {word}: ")
    assert report_data(report)["claim"] == report.claim


@pytest.mark.parametrize("name", [name for name in NAMES if name != "fork"])
def test_a_bundle_carries_nothing_that_its_claim_does_not_need(name: str) -> None:
    honest = told()
    bundle = decode_bundle(honest.bundles[name])
    disclosed = bool(bundle.rows)
    again = bundle_of(honest.source, bundle.claim)
    assert again == honest.bundles[name]
    assert disclosed == (name == "row")


@pytest.mark.parametrize(
    ("name", "sentences"),
    [
        (
            "payment_released",
            (
                "it was held by rule `big` version 1 before it settled",
                "scored 0.700005 in its block by deployment `fraud`",
                "approved by vera (alpha), cora (alpha) and rick (alpha) under policy `model`",
                "rule `big` version 1 fired: score of fraud 0.700005 ≥ 0.5 and "
                "amount_units 700.00 < 900.00",
                "the hold was appealed by pia (alpha)",
                "the hold was upheld after an appeal by cora (alpha) (reason: unclear)",
                "the hold was renewed by cora (alpha) and carl (alpha)",
                "the hold was released to the payee by carl (alpha) (reason: explained)",
            ),
        ),
        ("payment_returned", ("the hold was returned to the payer by cora (alpha)",)),
        ("payment_expired", ("the hold was expired, the value went to the payee",)),
        ("payment_open", ("the hold is open at the proving header, it expires",)),
        (
            "payment_settled",
            ("it settled: the value went to the payee", "rule `loud` wrote: seen"),
        ),
        ("payment_refused", ("it was refused by rule `limit`; nothing was moved",)),
        ("payment_to_oneself", ("it was refused: ledger/invalid_message; nothing was moved",)),
        ("payment_by_second_version", ("model `fraud` version 2",)),
        (
            "payment_after_roll_back",
            ("model `fraud` version 1", "rolled back to by rick (alpha)", "promoted by dev"),
        ),
        (
            "payment_by_second_rule",
            (
                "it was held by rule `big` version 2",
                "largest contributions to the score of `fraud`: amount_units +",
                "after a back-test (report " + REPORT.hex() + ") and after 10 minutes",
            ),
        ),
        (
            "payment_in_shadow",
            ("rule `big` version 2 watched in shadow, without power", "it settled"),
        ),
        ("live_at_height", ("model `fraud` version 2", "it was change 2 of the deployment")),
        ("live_at_time", ("model `fraud` version 1", "it was change 1 of the deployment")),
        (
            "live_at_time",
            (
                "evaluated by vera (alpha) under plan `cards-in-may`, which was committed ",
                ", before the first test label (",
                "average_precision 0.712345 (0.660000 to 0.750000 with 95 % confidence) on 1,000 "
                "rows, 20 of them positive; the run was on record before those labels; "
                "evaluation 2 under the plan, the newest of 2 of this run",
            ),
        ),
        ("live_at_height", ("no evaluation by those who trained it is on record",)),
        ("payment_released", ("evaluated by vera (alpha) under plan `cards-in-may`",)),
        ("prediction_derived", ("no evaluation by those who trained it is on record",)),
        ("period_whole", ("evaluated by vera (alpha) under plan `cards-in-may`",)),
        ("live_after_roll_back", ("rolled back to by rick (alpha)", "it was change 3")),
        ("live_none", ("none was live: nothing had been promoted",)),
        ("live_no_deployment", ("none was live: there is no deployment of this name",)),
        ("row", ("row 2 of 5", "amount: 4800.00", "branch: jewels", "not disclosed: card")),
        ("state_present", ("status: open",)),
        ("fork", ("the validators signed two blocks at height",)),
        ("state_absent", ("there is no such row",)),
        ("transaction_of_several", ("3 operations, each operation alone",)),
        ("prediction_closed", ("computed elsewhere",)),
        ("prediction_opened", (f"{len(FEATURES)} inputs: amount_units 100, hour_of_day 101",)),
        ("prediction_asserted", ("on features that the sender handed in",)),
        ("range", ("4 entries, nothing missing",)),
        (
            "range_of_attempts",
            (
                "6 entries, nothing missing",
                "each is an attempted payment, whether it settled, was held, refused or undone",
                "in eur: 6 attempts of 381,235 units",
            ),
        ),
        ("range_empty", ("0 entries, nothing missing",)),
        (
            "period",
            (
                "5 payments held, 3,560.01 eur",
                "1 payment refused by a rule",
                "1 hold released to the payee",
                "2 holds of the period still open at its end",
                "11 predictions of deployment `fraud`: 11 derived",
            ),
        ),
        (
            "period_whole",
            (
                "rule `loud`: switched off by rick (alpha)",
                "all rules: switched on by cora (alpha)",
                "rule `big` version 2: backtested by rick (alpha) (report " + REPORT.hex(),
                "rule `big` version 2: shadowed by rick (alpha), approved by",
                "rule `big` version 2: activated by rick (alpha), approved by",
                "model `fraud` version 2",
            ),
        ),
    ],
)
def test_the_report_tells_what_happened(name: str, sentences: tuple[str, ...]) -> None:
    told_by_it = "\n".join(verified(name).findings)
    for sentence in sentences:
        assert sentence in told_by_it


@pytest.mark.parametrize(
    ("name", "gap"),
    [
        ("payment_settled", "whether the features follow from the earlier payments"),
        ("prediction_closed", "the input stays closed"),
        ("prediction_asserted", "whether the features are true"),
        ("row", "whether the row is true"),
        ("period", "predictions of deployments that are not named"),
        ("state_present", "whether what people signed is true"),
    ],
)
def test_the_report_says_what_is_not_shown(name: str, gap: str) -> None:
    assert gap in "\n".join(verified(name).not_shown)


def test_what_was_not_computed_again_is_said() -> None:
    without = verified("payment_settled", replay=False)
    assert any("--replay" in gap for gap in without.not_shown)
    assert not any("computed again" in step for step in without.checked)
    assert any("computed again" in step for step in verified("payment_settled").checked)


@pytest.mark.parametrize(
    "claim",
    [
        LiveClaim("fraud", None, None),
        LiveClaim("fraud", 1, 1),
        LiveClaim("fraud", 0, None),
        PaymentClaim(bytes(32), 0),
        PeriodClaim(0, 1, ("size", "fraud")),
        PeriodClaim(0, 1, ("fraud", "fraud")),
    ],
)
def test_a_claim_that_does_not_hold_is_found_out_before_it_is_proved(claim: LiveClaim) -> None:
    with pytest.raises(ClaimError):
        bundle_of(told().source, claim)


def test_an_operation_that_is_no_payment_is_not_claimed_as_one() -> None:
    scored = told().story.transactions["scored"]
    with pytest.raises(ClaimError, match="not a payment"):
        bundle_of(told().source, PaymentClaim(scored, 0))
    settled = told().story.transactions["settled"]
    with pytest.raises(ClaimError, match="no operation 1"):
        bundle_of(told().source, PaymentClaim(settled, 1))
