from collections.abc import Callable

import msgspec
import pytest

from cairn.ledger.messages import Message
from cairn.modules.bank.messages import (
    AppealHold,
    CreateAsset,
    FreezeAccount,
    Issue,
    OpenAccounts,
    OpenEscrow,
    Redeem,
    RefundEscrow,
    ReleaseEscrow,
    ReleaseHold,
    RenewHold,
    ReturnHold,
    Transfer,
    UnfreezeAccount,
    UpholdHold,
)
from cairn.modules.bank.parameters import HOLD_RENEWAL_MS_MAX, HOLD_RENEWALS_MAX
from cairn.modules.bank.records import HOLDS, UNITS_MAX
from cairn.modules.identity.messages import Delegate, GrantRole, Suspend
from tests.modules.bank.world import (
    DAY_MS,
    NOBODY,
    PSEUDONYMS,
    account,
    bank,
    escrow,
    hold_all,
    open_escrow,
    pay,
    place_hold,
    refuse_all,
)
from tests.modules.harness import Harness
from tests.modules.refusals import Case, check_refusal, readme_refusals, table_refusals

Make = Callable[[Harness], Message]
Prepare = Callable[[Harness], tuple[str, Message]]
SUSPENDED = "identity/suspended"
MISSING = "identity/missing_role"
FUNDS = "bank/insufficient_funds"
FROZEN = "bank/account_frozen"
NOT_AUTHORISED = "bank/not_authorised"
STATEMENT = bytes(32)


def simply(sender: str, make: Make) -> Prepare:
    return lambda ledger: (sender, make(ledger))


def silenced(sender: str, make: Make) -> Prepare:
    """Suspend the sender in the same block, just before."""

    def prepare(ledger: Harness) -> tuple[str, Message]:
        message = make(ledger)
        ledger.submit("ann", Suspend(ledger.id(sender), None))
        return sender, message

    return prepare


def freeze(ledger: Harness, name: str = "pia", *, for_ms: int = DAY_MS) -> FreezeAccount:
    return FreezeAccount(account(ledger, name), ledger.head.time_ms + for_ms, "suspicion")


def frozen(sender: str, make: Make, name: str = "pia") -> Prepare:
    def prepare(ledger: Harness) -> tuple[str, Message]:
        message = make(ledger)
        ledger.done("cora", freeze(ledger, name))
        return sender, message

    return prepare


def judged(judge: Callable[[Harness], None], sender: str, make: Make) -> Prepare:
    def prepare(ledger: Harness) -> tuple[str, Message]:
        judge(ledger)
        return sender, make(ledger)

    return prepare


def changed(message: Message, **fields: object) -> Message:
    new: Message = msgspec.structs.replace(message, **fields)  # type: ignore[type-var]
    return new


# Issuance


def issue(name: str, amount_units: int = 1, asset: str = "eur") -> Make:
    return lambda ledger: Issue(asset, account(ledger, name), amount_units)


def redeem(name: str, amount_units: int, asset: str = "eur") -> Make:
    return lambda ledger: Redeem(asset, account(ledger, name), amount_units)


def frozen_treasurer(ledger: Harness) -> tuple[str, Message]:
    ledger.done("cora", freeze(ledger, "tom"))
    return "tom", Redeem("eur", ledger.id("tom"), 1)


# Payments


def poor(ledger: Harness) -> Transfer:
    return pay(ledger, "pia", "paul", 1_001)


def off_by(skew_ms: int, make: Make) -> Make:
    return lambda ledger: changed(make(ledger), booked_at_ms=ledger.head.time_ms + skew_ms)


def freeze_and_refuse(ledger: Harness) -> None:
    ledger.done("cora", freeze(ledger))
    refuse_all(ledger)


def to_nobody(make: Make) -> Make:
    return lambda ledger: changed(make(ledger), payee=NOBODY)


def bad_arbiter(ledger: Harness) -> OpenEscrow:
    return OpenEscrow(
        payer=ledger.id("pia"),
        payee=NOBODY,
        asset="eur",
        amount_units=1_001,
        booked_at_ms=ledger.head.time_ms,
        deadline_ms=0,
        arbiter=bytes(19) + b"\1",
    )


# Escrow


def closed_escrow(sender: str, make: Callable[[bytes], Message]) -> Prepare:
    def prepare(ledger: Harness) -> tuple[str, Message]:
        opened = open_escrow(ledger)
        ledger.done("pia", ReleaseEscrow(opened))
        ledger.done("cora", freeze(ledger))
        return sender, make(opened)

    return prepare


def opened_escrow(sender: str, make: Callable[[bytes], Message]) -> Prepare:
    return lambda ledger: (sender, make(open_escrow(ledger)))


# Freezes and holds


def compliance(make: Make, tag: str, *, unknown: Make | None = None) -> list[Case]:
    """Return the refusals of a message that is for compliance of alpha."""
    cases = [
        Case(tag, SUSPENDED, silenced("cora", make)),
        Case(tag, MISSING, simply("bob", make)),
    ]
    if unknown is not None:
        cases.append(Case(tag, "bank/unknown_account", simply("cora", unknown)))
    cases.append(Case(tag, "bank/wrong_organisation", simply("ben", make)))
    return cases


def closed_hold(ledger: Harness) -> bytes:
    hold = place_hold(ledger, "cora")
    ledger.done("carl", ReturnHold(hold, "checked"))
    return hold


def review_cases(tag: str, make: Callable[[bytes, int], Message]) -> list[Case]:
    """Return the refusals that every decision on a hold begins with."""

    def own(ledger: Harness) -> Message:
        return make(place_hold(ledger, "cora"), 0)

    return [
        Case(tag, "bank/unknown_hold", simply("pia", lambda _: make(NOBODY, 0))),
        *compliance(lambda ledger: make(closed_hold(ledger), 0), tag),
        Case(tag, "bank/hold_closed", simply("cora", lambda h: make(closed_hold(h), 0))),
        Case(tag, "bank/own_case", simply("cora", own)),
    ]


def renew(ledger: Harness, hold: bytes, for_ms: int = DAY_MS) -> RenewHold:
    row = ledger.get(HOLDS, hold)
    assert row is not None
    return RenewHold(hold, row.expires_at_ms + for_ms, "not-done")


def often_renewed(ledger: Harness) -> tuple[str, Message]:
    hold = place_hold(ledger)
    for _ in range(HOLD_RENEWALS_MAX.default):
        ledger.done("cora", renew(ledger, hold))
        ledger.done("carl", renew(ledger, hold))
    return "cora", RenewHold(hold, 0, "not-done")


def renewed_alone(ledger: Harness) -> tuple[str, Message]:
    hold = place_hold(ledger)
    ledger.done("cora", renew(ledger, hold))
    return "cora", renew(ledger, hold)


def appealed_twice(ledger: Harness) -> tuple[str, Message]:
    hold = place_hold(ledger)
    ledger.done("pia", AppealHold(hold, STATEMENT))
    ledger.done("cora", UpholdHold(hold, "checked"))
    return "berta", AppealHold(hold, STATEMENT)


def closed_appeal(ledger: Harness) -> tuple[str, Message]:
    hold = place_hold(ledger)
    ledger.done("pia", AppealHold(hold, STATEMENT))
    ledger.done("cora", ReturnHold(hold, "checked"))
    return "pia", AppealHold(hold, STATEMENT)


EUR = CreateAsset("eur", "Euro", 2)
CASES = [
    Case("bank/create_asset", SUSPENDED, silenced("tom", lambda _: EUR)),
    Case("bank/create_asset", MISSING, simply("pia", lambda _: EUR)),
    Case("bank/create_asset", "bank/asset_taken", simply("bea", lambda _: EUR)),
    Case("bank/issue", SUSPENDED, silenced("tom", lambda _: Issue("x", NOBODY, 1))),
    Case("bank/issue", MISSING, simply("pia", lambda _: Issue("x", NOBODY, 1))),
    Case("bank/issue", "bank/unknown_asset", simply("bea", lambda _: Issue("x", NOBODY, 1))),
    Case("bank/issue", "bank/not_issuer", simply("bea", lambda _: Issue("eur", NOBODY, 1))),
    Case(
        "bank/issue",
        "bank/unknown_account",
        simply("tom", lambda _: Issue("eur", NOBODY, UNITS_MAX)),
    ),
    Case("bank/issue", "bank/supply_exceeded", simply("tom", issue("pia", UNITS_MAX))),
    Case("bank/redeem", SUSPENDED, silenced("tom", redeem("pia", 9_999, "x"))),
    Case("bank/redeem", MISSING, simply("pia", redeem("paul", 9_999, "x"))),
    Case("bank/redeem", "bank/unknown_asset", simply("bea", redeem("pia", 9_999, "x"))),
    Case("bank/redeem", "bank/not_issuer", simply("bea", redeem("pia", 9_999))),
    Case("bank/redeem", NOT_AUTHORISED, frozen("tom", redeem("pia", 9_999))),
    Case("bank/redeem", FROZEN, frozen_treasurer),
    Case("bank/redeem", FUNDS, simply("tom", redeem("tom", 1))),
    Case(
        "bank/open_accounts",
        "bank/unknown_account",
        simply("pia", lambda _: OpenAccounts(NOBODY, tuple(PSEUDONYMS.values()))),
    ),
    Case(
        "bank/open_accounts",
        NOT_AUTHORISED,
        simply("pia", lambda h: OpenAccounts(h.id("ann"), tuple(PSEUDONYMS.values()))),
    ),
    Case(
        "bank/open_accounts",
        "bank/account_taken",
        simply("ann", lambda h: OpenAccounts(h.id("ann"), (NOBODY, PSEUDONYMS["cleo"]))),
    ),
    Case("bank/transfer", NOT_AUTHORISED, simply("paul", to_nobody(off_by(8 * DAY_MS, poor)))),
    Case(
        "bank/transfer",
        "bank/booked_at_out_of_bounds",
        simply("pia", to_nobody(off_by(-8 * DAY_MS, poor))),
    ),
    Case("bank/transfer", "bank/unknown_account", frozen("pia", to_nobody(poor))),
    Case(
        "bank/transfer",
        FROZEN,
        judged(freeze_and_refuse, "pia", poor),
    ),
    Case(
        "bank/transfer",
        "bank/unknown_asset",
        judged(refuse_all, "pia", lambda h: pay(h, "pia", "paul", asset="gbp")),
    ),
    Case("bank/transfer", FUNDS, judged(refuse_all, "pia", poor)),
    Case(
        "bank/transfer",
        "bank/refused_by_rule",
        judged(refuse_all, "pia", lambda h: pay(h, "pia", "paul")),
    ),
    Case("bank/open_escrow", NOT_AUTHORISED, simply("paul", off_by(8 * DAY_MS, bad_arbiter))),
    Case(
        "bank/open_escrow",
        "bank/booked_at_out_of_bounds",
        simply("pia", off_by(8 * DAY_MS, bad_arbiter)),
    ),
    Case("bank/open_escrow", "bank/unknown_account", simply("pia", bad_arbiter)),
    Case(
        "bank/open_escrow",
        "bank/time_out_of_bounds",
        simply("pia", to_nobody(lambda h: escrow(h, for_ms=1_000))),
    ),
    Case("bank/open_escrow", "bank/unknown_account", frozen("pia", to_nobody(escrow))),
    Case("bank/open_escrow", FROZEN, frozen("pia", lambda h: escrow(h, amount_units=1_001))),
    Case("bank/open_escrow", "bank/unknown_asset", simply("pia", lambda h: escrow(h, asset="gbp"))),
    Case(
        "bank/open_escrow",
        FUNDS,
        judged(refuse_all, "pia", lambda h: escrow(h, amount_units=1_001)),
    ),
    Case("bank/open_escrow", "bank/refused_by_rule", judged(refuse_all, "pia", escrow)),
    Case("bank/open_escrow", "bank/held_by_rule", judged(hold_all, "pia", escrow)),
    Case(
        "bank/release_escrow", "bank/unknown_escrow", simply("pia", lambda _: ReleaseEscrow(NOBODY))
    ),
    Case("bank/release_escrow", NOT_AUTHORISED, closed_escrow("paul", ReleaseEscrow)),
    Case("bank/release_escrow", "bank/escrow_closed", closed_escrow("pia", ReleaseEscrow)),
    Case(
        "bank/release_escrow",
        FROZEN,
        frozen("pia", lambda h: ReleaseEscrow(open_escrow(h))),
    ),
    Case(
        "bank/refund_escrow", "bank/unknown_escrow", simply("pia", lambda _: RefundEscrow(NOBODY))
    ),
    Case("bank/refund_escrow", NOT_AUTHORISED, closed_escrow("pia", RefundEscrow)),
    Case("bank/refund_escrow", "bank/escrow_closed", closed_escrow("paul", RefundEscrow)),
    *compliance(
        lambda h: (h.done("carl", freeze(h)), freeze(h, for_ms=0))[1],
        "bank/freeze_account",
        unknown=lambda _: FreezeAccount(NOBODY, 0, "suspicion"),
    ),
    Case(
        "bank/freeze_account",
        "bank/already_frozen",
        frozen("cora", lambda h: freeze(h, for_ms=100 * DAY_MS)),
    ),
    Case(
        "bank/freeze_account",
        "bank/time_out_of_bounds",
        simply("cora", lambda h: freeze(h, for_ms=91 * DAY_MS)),
    ),
    *compliance(
        lambda h: UnfreezeAccount(h.id("pia"), "over"),
        "bank/unfreeze_account",
        unknown=lambda _: UnfreezeAccount(NOBODY, "over"),
    ),
    Case(
        "bank/unfreeze_account",
        "bank/not_frozen",
        simply("cora", lambda h: UnfreezeAccount(h.id("pia"), "over")),
    ),
    Case(
        "bank/unfreeze_account",
        "bank/own_case",
        frozen("cora", lambda h: UnfreezeAccount(h.id("cora"), "over"), name="cora"),
    ),
    *review_cases("bank/release_hold", lambda hold, _: ReleaseHold(hold, "checked")),
    *review_cases("bank/return_hold", lambda hold, _: ReturnHold(hold, "checked")),
    *review_cases("bank/renew_hold", lambda hold, time_ms: RenewHold(hold, time_ms, "checked")),
    Case("bank/renew_hold", "bank/too_many_renewals", often_renewed),
    Case(
        "bank/renew_hold",
        "bank/time_out_of_bounds",
        simply("cora", lambda h: renew(h, place_hold(h), HOLD_RENEWAL_MS_MAX.default + 1)),
    ),
    Case("bank/renew_hold", "bank/second_person_needed", renewed_alone),
    Case(
        "bank/appeal_hold",
        "bank/unknown_hold",
        simply("pia", lambda _: AppealHold(NOBODY, STATEMENT)),
    ),
    Case(
        "bank/appeal_hold",
        NOT_AUTHORISED,
        simply("paul", lambda h: AppealHold(closed_hold(h), STATEMENT)),
    ),
    Case("bank/appeal_hold", "bank/hold_closed", closed_appeal),
    Case("bank/appeal_hold", "bank/already_appealed", appealed_twice),
    *review_cases("bank/uphold_hold", lambda hold, _: UpholdHold(hold, "checked")),
    Case(
        "bank/uphold_hold",
        "bank/not_appealed",
        simply("cora", lambda h: UpholdHold(place_hold(h), "checked")),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_refusal(case: Case) -> None:
    check_refusal(case, bank)


def test_the_cases_are_the_rows_of_the_readme() -> None:
    assert table_refusals(CASES) == readme_refusals("bank")


def test_nobody_pays_themselves() -> None:
    ledger = bank()
    ledger.refused("pia", pay(ledger, "pia", "pia"), "ledger/invalid_message")
    ledger.refused("pia", escrow(ledger, "pia", "pia"), "ledger/invalid_message")


def test_a_pseudonym_stands_once() -> None:
    ledger = bank()
    message = OpenAccounts(ledger.id("ann"), (NOBODY, NOBODY))
    ledger.refused("ann", message, "ledger/invalid_message")


@pytest.mark.parametrize("amount_units", [0, -1, 2**63])
def test_an_amount_out_of_bounds_is_malformed(amount_units: int) -> None:
    ledger = bank()
    before = ledger.state.rows.copy()
    outcome = ledger.run("pia", pay(ledger, "pia", "paul", amount_units))
    assert outcome.code == "ledger/malformed_transaction"
    assert ledger.state.rows == before


@pytest.mark.parametrize("sender", ["cora", "ann", "carl"])
def test_no_party_and_nobody_who_ordered_it_decides(sender: str) -> None:
    """The payee, the payer's controller, and the delegate who sent it."""
    ledger = bank()
    ledger.done("adam", *(GrantRole(ledger.id(name), "compliance") for name in ("ann", "paul")))
    ledger.done("ann", Delegate(ledger.id("ann"), ledger.id("carl"), ("bank/transfer",), 99))
    hold = place_hold(ledger, "cleo", "cora", sender="carl")
    ledger.refused(sender, ReleaseHold(hold, "checked"), "bank/own_case")
    ledger.done("paul", ReleaseHold(hold, "checked"))
