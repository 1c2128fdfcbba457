"""The bank's section of the charter, and its laws on a broken state."""

import pytest

from cairn.ledger.errors import InvariantError
from cairn.ledger.memory import MemoryState
from cairn.modules.bank.errors import InvalidGenesisError
from cairn.modules.bank.invariants import (
    check_set_aside,
    check_set_aside_change,
    check_supply,
    check_supply_change,
)
from cairn.modules.bank.module import BANK
from cairn.modules.bank.records import (
    ACCOUNTS,
    ASSETS,
    BALANCES,
    DUE,
    ESCROWS,
    HOLDS,
    UNITS_MAX,
    Asset,
    Balance,
    BankAccount,
    BankGenesis,
    Due,
    Escrow,
    FoundingAccount,
    FoundingAsset,
    FoundingBalance,
    customer_account,
)
from cairn.modules.identity.records import member_id, organisation_id
from cairn.primitives.encoding import Record, encode
from tests.modules.bank.world import CUSTOMERS, FUNDED, balance, bank, open_escrow, pay, place_hold
from tests.modules.harness import Harness

ALPHA = organisation_id("alpha")
ANN = member_id(ALPHA, "ann")
NOBODY = bytes(20)
EUR = FoundingAsset("eur", ALPHA, "Euro", 2)
CLEO = FoundingAccount(ANN, NOBODY)


def test_the_charter_founds_assets_accounts_and_balances() -> None:
    ledger = bank()
    assert ledger.get(ASSETS, "eur") == Asset(ALPHA, "Euro", 2, 6 * FUNDED)
    assert ledger.get(ASSETS, "usd") == Asset(ALPHA, "Dollar", 2, 0)
    assert balance(ledger, "cleo") == (FUNDED, 0, 0)


def test_a_bank_needs_no_section() -> None:
    ledger = Harness(BANK)
    assert ledger.get(ASSETS, "eur") is None


INVALID = {
    "an asset twice": BankGenesis((EUR, EUR), (), ()),
    "an unknown issuer": BankGenesis((FoundingAsset("eur", NOBODY, "", 2),), (), ()),
    "a person as issuer": BankGenesis((FoundingAsset("eur", ANN, "", 2),), (), ()),
    "an account twice": BankGenesis((), (CLEO, CLEO), ()),
    "an unknown controller": BankGenesis((), (FoundingAccount(NOBODY, NOBODY),), ()),
    "an unknown asset": BankGenesis((), (), (FoundingBalance(ANN, "eur", 1),)),
    "an unknown account": BankGenesis((EUR,), (), (FoundingBalance(NOBODY, "eur", 1),)),
    "more than can be counted": BankGenesis(
        (EUR,), (), (FoundingBalance(ANN, "eur", UNITS_MAX), FoundingBalance(ANN, "eur", 1))
    ),
}


@pytest.mark.parametrize("section", INVALID.values(), ids=INVALID.keys())
def test_a_wrong_founding_is_refused(section: BankGenesis) -> None:
    with pytest.raises(InvalidGenesisError):
        Harness(BANK, sections={"bank": section})


def test_a_founded_account_has_the_id_that_its_controller_can_compute() -> None:
    ledger = Harness(BANK, sections={"bank": BankGenesis((), (CLEO,), ())})
    row = ledger.get(ACCOUNTS, customer_account(ANN, NOBODY))
    assert row == BankAccount(ANN, 0)


def changed(ledger: Harness, key: bytes, row: Record | None) -> MemoryState:
    """Return a copy of the state with one row written past all rules."""
    state = ledger.state.copy()
    if key not in state.rows:
        state.order = sorted([*state.order, key])
    if row is None:
        state.order.remove(key)
        del state.rows[key]
    else:
        state.rows[key] = encode(row)
    return state


CLEO_EUR = BALANCES.key(CUSTOMERS["cleo"], "eur")


@pytest.mark.parametrize(
    ("key", "row"),
    [
        (CLEO_EUR, Balance(FUNDED + 1, 0, 0)),
        (CLEO_EUR, Balance(FUNDED + 1, -1, 0)),
        (CLEO_EUR, None),
        (BALANCES.key(CUSTOMERS["cleo"], "gbp"), Balance(1, 0, 0)),
        (ASSETS.key("eur"), Asset(ALPHA, "Euro", 2, FUNDED)),
    ],
)
def test_a_wrong_supply_is_seen(key: bytes, row: Record | None) -> None:
    ledger = bank()
    check_supply(ledger.state)
    with pytest.raises(InvariantError):
        check_supply(changed(ledger, key, row))


def test_wrong_value_set_aside_is_seen() -> None:
    ledger = bank()
    hold, escrow = place_hold(ledger), open_escrow(ledger)
    check_set_aside(ledger.state)
    hold_due, escrow_due = (key for key in ledger.state.order if key.startswith(DUE.prefix))
    pia = BALANCES.key(ledger.id("pia"), "eur")
    breaks: list[tuple[bytes, Record | None]] = [
        (pia, Balance(800, 101, 99)),
        (pia, Balance(800, 100, 101)),
        (pia, None),
        (HOLDS.key(hold), None),
        (ESCROWS.key(escrow), None),
        (hold_due, None),
        (escrow_due, None),
        (DUE.key(5, hold), Due("hold")),
        (DUE.key(5, NOBODY), Due("hold")),
    ]
    for key, row in breaks:
        with pytest.raises(InvariantError):
            check_set_aside(changed(ledger, key, row))


def test_the_incremental_laws_see_what_one_block_does_wrong() -> None:
    escrow = Escrow(ANN, CUSTOMERS["cleo"], "eur", 5, 1, None, "open")
    asset, more = Asset(ALPHA, "Euro", 2, 10), Asset(ALPHA, "Euro", 2, 15)
    eur, ann = ASSETS.key("eur"), BALANCES.key(ANN, "eur")
    check_supply_change({eur: (asset, more), ann: (None, Balance(5, 0, 0))})
    for balances in (Balance(4, 0, 0), Balance(6, -1, 0)):
        with pytest.raises(InvariantError):
            check_supply_change({eur: (asset, more), ann: (None, balances)})
    opened = {ESCROWS.key(NOBODY): (None, escrow)}
    check_set_aside_change({**opened, ann: (Balance(5, 0, 0), Balance(0, 0, 5))})
    with pytest.raises(InvariantError):
        check_set_aside_change({**opened, ann: (Balance(5, 0, 0), Balance(1, 0, 4))})
    with pytest.raises(InvariantError):
        check_set_aside_change({**opened, ann: (Balance(5, 0, 0), Balance(0, 5, 0))})


def test_the_harness_runs_the_laws_after_every_block() -> None:
    ledger = bank()
    pia = BALANCES.key(ledger.id("pia"), "eur")
    ledger.state.rows[pia] = encode(Balance(FUNDED + 1, 0, 0))
    ledger.submit("paul", pay(ledger, "paul", "berta"))
    with pytest.raises(InvariantError):
        ledger.block()
