"""Assets, transfers, escrow and freezes where they work."""

import pytest

from cairn.ledger.context import Context
from cairn.ledger.errors import MissingVerdictError
from cairn.ledger.hooks import Allow, Movement
from cairn.ledger.messages import Message
from cairn.ledger.module import MessageSpec, Module
from cairn.ledger.records import AccountIdField
from cairn.modules.bank import api
from cairn.modules.bank.errors import UnknownAccountError
from cairn.modules.bank.events import (
    AccountsOpened,
    AssetIssued,
    EscrowRefunded,
    TransferSettled,
)
from cairn.modules.bank.messages import (
    CreateAsset,
    FreezeAccount,
    Issue,
    OpenAccounts,
    Redeem,
    RefundEscrow,
    ReleaseEscrow,
    UnfreezeAccount,
)
from cairn.modules.bank.parameters import BOOKED_AT_SKEW_MS_MAX, FREEZE_MS_MAX
from cairn.modules.bank.queries import get_asset, get_escrow, list_balances, list_freezes
from cairn.modules.bank.records import (
    ACCOUNTS,
    RELEASED,
    UNITS_MAX,
    Asset,
    Balance,
    BankAccount,
    customer_account,
)
from cairn.modules.identity.messages import Delegate, Suspend
from tests.modules.bank.world import (
    CUSTOMERS,
    DAY_MS,
    FUNDED,
    account,
    balance,
    bank,
    escrow,
    open_escrow,
    pay,
)
from tests.modules.harness import Harness


def test_a_transfer_settles() -> None:
    ledger = bank()
    outcome = ledger.done("pia", pay(ledger, "pia", "paul", 300))
    assert outcome.event(TransferSettled) == TransferSettled(
        ledger.id("pia"), ledger.id("paul"), "eur", 300
    )
    assert balance(ledger, "pia") == (700, 0, 0)
    assert balance(ledger, "paul") == (1_300, 0, 0)


def test_everything_can_be_paid_but_no_more() -> None:
    ledger = bank()
    ledger.done("pia", pay(ledger, "pia", "berta", FUNDED))
    assert balance(ledger, "pia") == (0, 0, 0)
    assert balance(ledger, "berta") == (FUNDED, 0, 0)
    ledger.refused("pia", pay(ledger, "pia", "berta", 1), "bank/insufficient_funds")


def test_an_identity_account_gets_its_row_with_its_first_value() -> None:
    ledger = bank()
    assert ledger.get(ACCOUNTS, ledger.id("berta")) is None
    ledger.done("pia", pay(ledger, "pia", "berta", 1))
    assert ledger.get(ACCOUNTS, ledger.id("berta")) == BankAccount(ledger.id("berta"), 0)


def test_an_issuer_makes_and_takes_back_units() -> None:
    ledger = bank()
    ledger.done("bea", CreateAsset("points", "Points", 0))
    event = ledger.done("bea", Issue("points", ledger.id("bea"), 50)).event(AssetIssued)
    assert event.supply_units == 50
    ledger.done("bea", pay(ledger, "bea", "pia", 20, asset="points"))
    ledger.done("bea", Redeem("points", ledger.id("bea"), 10))
    assert get_asset(ledger.context(), "points") == Asset(ledger.id("beta"), "Points", 0, 40)
    assert list_balances(ledger.state, ledger.id("pia")) == [
        ("eur", Balance(FUNDED, 0, 0)),
        ("points", Balance(20, 0, 0)),
    ]
    assert [name for name, _ in list_balances(ledger.state, ledger.id("pia"), limit=1)] == ["eur"]
    assert [name for name, _ in list_balances(ledger.state, ledger.id("pia"), after="eur")] == [
        "points"
    ]


def test_supply_reaches_its_bound_exactly() -> None:
    ledger = bank()
    ledger.done("bea", CreateAsset("points", "Points", 0))
    ledger.done("bea", Issue("points", ledger.id("bea"), UNITS_MAX))
    ledger.refused("bea", Issue("points", ledger.id("bea"), 1), "bank/supply_exceeded")


def test_a_controller_opens_and_operates_customers_accounts() -> None:
    ledger = bank()
    pseudonym = b"\7" * 20
    outcome = ledger.done("bob", OpenAccounts(ledger.id("bob"), (pseudonym,)))
    opened = customer_account(ledger.id("bob"), pseudonym)
    assert outcome.event(AccountsOpened).accounts == (opened,)
    ledger.done("ann", pay(ledger, "cleo", "carlo", 10))
    assert balance(ledger, "carlo") == (1_010, 0, 0)
    assert api.home_of(ledger.context(), CUSTOMERS["cleo"]) == ledger.id("alpha")
    assert api.home_of(ledger.context(), opened) == ledger.id("beta")
    with pytest.raises(UnknownAccountError):
        api.home_of(ledger.context(), bytes(20))


def test_two_controllers_may_use_one_pseudonym() -> None:
    ledger = bank()
    pseudonym = b"\7" * 20
    for name in ("ann", "bob"):
        ledger.done(name, OpenAccounts(ledger.id(name), (pseudonym,)))
    assert customer_account(ledger.id("ann"), pseudonym) != customer_account(
        ledger.id("bob"), pseudonym
    )


def test_delegates_and_agents_pay() -> None:
    ledger = bank()
    ledger.done("ann", pay(ledger, "alpha", "pia", 5))
    ledger.refused("tom", pay(ledger, "alpha", "pia", 5), "bank/not_authorised")
    ledger.done("ann", Delegate(ledger.id("ann"), ledger.id("tom"), ("bank/transfer",), 99))
    ledger.done("tom", pay(ledger, "cleo", "pia", 5))
    assert balance(ledger, "pia") == (1_010, 0, 0)
    ledger.refused("tom", escrow(ledger, "cleo", "pia"), "bank/not_authorised")


def test_a_suspended_controller_has_no_delegates() -> None:
    ledger = bank()
    ledger.done("ann", Delegate(ledger.id("ann"), ledger.id("tom"), ("bank/transfer",), 99))
    ledger.done("adam", Suspend(ledger.id("ann"), None))
    ledger.refused("tom", pay(ledger, "cleo", "pia", 5), "bank/not_authorised")


@pytest.mark.parametrize("skew_ms", [0, BOOKED_AT_SKEW_MS_MAX.default])
def test_booking_times_are_bounded_unless_the_parameter_is_zero(skew_ms: int) -> None:
    ledger = bank(parameters={"bank.booked_at_skew_ms_max": skew_ms})
    old = pay(ledger, "pia", "paul")
    ledger.block(advance_ms=BOOKED_AT_SKEW_MS_MAX.default)
    if skew_ms:
        ledger.refused("pia", old, "bank/booked_at_out_of_bounds")
    else:
        ledger.done("pia", old)


def test_an_escrow_is_released_by_the_payer() -> None:
    ledger = bank()
    opened = open_escrow(ledger)
    assert balance(ledger, "pia") == (900, 0, 100)
    ledger.done("pia", ReleaseEscrow(opened))
    assert balance(ledger, "pia") == (900, 0, 0)
    assert balance(ledger, "paul") == (1_100, 0, 0)
    row = get_escrow(ledger.context(), opened)
    assert row is not None
    assert row.status == RELEASED
    assert ledger.ledger.next_due_ms(ledger.head, ledger.state) is None


def test_escrowed_value_cannot_be_spent() -> None:
    ledger = bank()
    open_escrow(ledger)
    ledger.refused("pia", pay(ledger, "pia", "paul", 901), "bank/insufficient_funds")
    ledger.done("pia", pay(ledger, "pia", "paul", 900))


def test_an_escrow_is_refunded_by_the_payee() -> None:
    ledger = bank()
    opened = open_escrow(ledger)
    assert ledger.done("paul", RefundEscrow(opened)).event(EscrowRefunded).by == ledger.id("paul")
    assert balance(ledger, "pia") == (FUNDED, 0, 0)


@pytest.mark.parametrize("release", [True, False])
def test_an_arbiter_decides_either_way(release: bool) -> None:
    ledger = bank()
    opened = open_escrow(ledger, arbiter="rick")
    ledger.done("rick", ReleaseEscrow(opened) if release else RefundEscrow(opened))
    assert balance(ledger, "paul")[0] == (1_100 if release else FUNDED)


def test_an_escrow_goes_back_at_its_deadline() -> None:
    ledger = bank()
    opened = open_escrow(ledger, for_ms=10_000)
    due = ledger.ledger.next_due_ms(ledger.head, ledger.state)
    assert due is not None
    ledger.block(time_ms=due - 1)
    assert not ledger.end_events
    ledger.block(time_ms=due)
    assert ledger.end_events == (EscrowRefunded(opened, b""),)
    assert balance(ledger, "pia") == (FUNDED, 0, 0)
    ledger.refused("pia", ReleaseEscrow(opened), "bank/escrow_closed")


def test_a_frozen_account_receives_but_does_not_pay() -> None:
    ledger = bank()
    until = ledger.head.time_ms + DAY_MS
    ledger.done("cora", FreezeAccount(ledger.id("pia"), until, "suspicion"))
    ledger.refused("pia", pay(ledger, "pia", "paul"), "bank/account_frozen")
    ledger.done("paul", pay(ledger, "paul", "pia"))
    ledger.submit("pia", pay(ledger, "pia", "paul"))
    assert ledger.block(time_ms=until - 1)[0].codes == ("bank/account_frozen",)
    ledger.submit("pia", pay(ledger, "pia", "paul"))
    assert ledger.block(time_ms=until)[0].ok


def test_an_unfrozen_account_pays_and_both_acts_are_in_the_series() -> None:
    ledger = bank()
    until = ledger.head.time_ms + DAY_MS
    ledger.done("cora", FreezeAccount(CUSTOMERS["cleo"], until, "suspicion"))
    ledger.done("carl", UnfreezeAccount(CUSTOMERS["cleo"], "error"))
    ledger.done("ann", pay(ledger, "cleo", "paul"))
    acts = [entry for _, entry in list_freezes(ledger.context())]
    assert [(act.action, act.by, act.until_ms) for act in acts] == [
        ("frozen", ledger.id("cora"), until),
        ("unfrozen", ledger.id("carl"), 0),
    ]
    assert list_freezes(ledger.context(), start=1)[0][1] == acts[1]


# What other modules do with the bank


class Sweep(Message, tag="sweeper/sweep"):
    """Pay 10 to an account, or try to do so in a wrong way."""

    payee: AccountIdField
    how: str


def sweeper(ledger: list[Harness]) -> Module:
    """Return a module that pays out of pia's account, well or badly."""

    def handle(ctx: Context, message: Sweep) -> None:
        pia = ledger[0].id("pia")
        amount_units = 11 if message.how == "more" else 10
        payee = pia if message.how == "elsewhere" else message.payee
        for _ in range(2 if message.how == "twice" else 1):
            api.transfer(ctx, payer=pia, payee=payee, asset="eur", amount_units=amount_units)

    def movement(message: Sweep) -> Movement:
        return Movement(ledger[0].id("pia"), message.payee, "eur", 10, 0)

    return Module(name="sweeper", messages=(MessageSpec(Sweep, handle, movement=movement),))


def swept(how: str) -> Harness:
    holder: list[Harness] = []
    ledger = bank(sweeper(holder))
    holder.append(ledger)
    ledger.done("paul", Sweep(ledger.id("paul"), how))
    return ledger


def test_a_module_pays_what_it_declared() -> None:
    assert balance(swept("well"), "paul") == (1_010, 0, 0)


@pytest.mark.parametrize("how", ["twice", "more", "elsewhere"])
def test_a_verdict_is_good_for_its_movement_once(how: str) -> None:
    with pytest.raises(MissingVerdictError):
        swept(how)


def test_without_a_verdict_nothing_moves() -> None:
    context = bank().context()
    context.sender = CUSTOMERS["cleo"]
    parties = {"payer": CUSTOMERS["cleo"], "payee": CUSTOMERS["carlo"]}
    with pytest.raises(MissingVerdictError):
        api.transfer(context, **parties, asset="eur", amount_units=1)
    context.verdict = Allow("reviewed")
    assert api.transfer(context, **parties, asset="eur", amount_units=1) is None


def test_a_rule_freezes_within_bounds() -> None:
    ledger = bank()
    context = ledger.context()
    pia, now = ledger.id("pia"), context.time_ms
    assert not api.is_frozen(context, pia)
    assert api.freeze(context, pia, now + 2 * FREEZE_MS_MAX.default, rule="ring", version=4)
    assert api.is_frozen(context, pia)
    row = context.get(ACCOUNTS, pia)
    assert row == BankAccount(pia, now + FREEZE_MS_MAX.default)
    assert not api.freeze(context, pia, now + 5, rule="ring", version=4)
    assert not api.freeze(context, account(ledger, "cleo"), now, rule="ring", version=4)
    assert context.get(ACCOUNTS, pia) == row
    assert api.get_balance(context, pia, "eur") == Balance(FUNDED, 0, 0)
    assert api.get_balance(context, pia, "usd") == Balance(0, 0, 0)
    assert api.get_asset(context, "nothing") is None
