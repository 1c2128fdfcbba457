from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.exact.features import FEATURES, Vector, vector
from cairn.exact.rules import Compare, Emit
from cairn.exact.windows import EMPTY, SLOT_MS, add, tag_of
from cairn.ledger.transactions import INDEPENDENT
from cairn.modules.bank.messages import OpenAccounts, Transfer
from cairn.modules.bank.records import customer_account
from cairn.modules.identity.messages import Delegate
from cairn.modules.inference.events import PaymentScored
from cairn.modules.screening.queries import get_windows
from cairn.modules.screening.windows import PAYEE_WINDOWS, PAYER_WINDOWS
from cairn.primitives.hashes import sha256
from tests.modules.founding import activate, amount_model, customer, found, go_live, hold_rule, pay
from tests.modules.harness import Harness, Outcome

HOUR_MS = 3_600_000
WATCH = hold_rule("watch", Compare("model:fraud", ">=", 0), actions=(Emit("seen"),))


def scored() -> Harness:
    """Return a ledger that scores every payment."""
    ledger = found(check_invariants=False)
    go_live(ledger, "fraud", amount_model())
    activate(ledger, WATCH)
    return ledger


def features_of(outcome: Outcome) -> list[Vector]:
    return [event.features for event in outcome.events if isinstance(event, PaymentScored)]


def windows_of(ledger: Harness) -> dict[bytes, bytes]:
    prefixes = (PAYER_WINDOWS.prefix, PAYEE_WINDOWS.prefix)
    return {key: row for key, row in ledger.state.rows.items() if key.startswith(prefixes)}


BASE = scored()

payments = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.integers(0, 3),
        st.integers(1, 1_500_000),
        st.integers(-3 * 24, 1).map(lambda hours: hours * HOUR_MS),
    ).filter(lambda p: p[0] != p[1]),
    min_size=1,
    max_size=12,
)


def fork() -> Harness:
    """Return a ledger that goes on from `BASE` on its own."""
    ledger = Harness.__new__(Harness)
    ledger.__dict__.update(BASE.__dict__)
    ledger.states = [state.copy() for state in BASE.states]
    ledger._queue = []
    ledger._sequences = dict(BASE._sequences)
    return ledger


@given(payments=payments)
@settings(max_examples=40, deadline=None)
def test_a_block_of_many_gives_what_many_blocks_of_one_give(
    payments: list[tuple[int, int, int, int]],
) -> None:
    many, single = fork(), fork()
    now_ms = BASE.head.time_ms + 1_000
    messages = [
        pay(BASE, payer, payee, amount, booked_at_ms=now_ms + offset_ms)
        for payer, payee, amount, offset_ms in payments
    ]
    many.submit("pia", *messages, mode=INDEPENDENT)
    together = features_of(many.block(time_ms=now_ms)[0])
    apart = []
    for message in messages:
        single.submit("pia", message)
        apart += features_of(single.block(time_ms=now_ms)[0])
    assert len(together) == len(messages)
    assert together == apart
    assert windows_of(many) == windows_of(single)


@given(payments=payments)
@settings(max_examples=25, deadline=None)
def test_the_features_are_those_of_the_shared_definition(
    payments: list[tuple[int, int, int, int]],
) -> None:
    ledger = fork()
    now_ms = BASE.head.time_ms + 1_000
    messages = [
        pay(BASE, payer, payee, amount, booked_at_ms=now_ms + offset_ms)
        for payer, payee, amount, offset_ms in payments
    ]
    payers = dict.fromkeys(range(4), EMPTY)
    payees = dict(payers)
    expected = []
    for payer, payee, amount, offset_ms in payments:
        booked_ms = min(now_ms + offset_ms, now_ms)  # A booking in the future counts as now.
        tags = tag_of(customer(payer)), tag_of(customer(payee))
        expected.append(vector(payers[payer], payees[payee], amount, booked_ms, tag=tags[1]))
        payers[payer] = add(payers[payer], booked_ms, amount, tags[1])
        payees[payee] = add(payees[payee], booked_ms, amount, tags[0])
    ledger.submit("pia", *messages, mode=INDEPENDENT)
    assert features_of(ledger.block(time_ms=now_ms)[0]) == expected
    for index in range(4):
        found_windows = get_windows(ledger.context(), "eur", customer(index))
        assert found_windows == (payers[index], payees[index])


def test_refused_and_held_attempts_count() -> None:
    ledger = fork()
    assert ledger.run("pia", pay(ledger, 0, 1, 99_000_000)).codes == ("bank/insufficient_funds",)
    payer, payee = get_windows(ledger.context(), "eur", customer(0))
    assert (payer.day_counts, payee) == ((1,), EMPTY)
    assert get_windows(ledger.context(), "eur", customer(1))[1].day_sums == (99_000_000,)


def test_an_undone_transaction_counts() -> None:
    ledger = fork()
    outcome = ledger.run("pia", pay(ledger, 0, 1, 5), pay(ledger, 0, 1, 99_000_000))
    assert outcome.codes == ("ledger/undone", "bank/insufficient_funds")
    assert get_windows(ledger.context(), "eur", customer(0))[0].day_counts == (2,)


def test_nobody_fills_somebody_elses_windows() -> None:
    ledger = fork()
    before = windows_of(ledger)
    for sender in ("paul", "bob", "cora"):
        assert ledger.run(sender, pay(ledger, 0, 1, 5)).codes == ("bank/not_authorised",)
    assert windows_of(ledger) == before


def test_a_delegate_moves_the_windows_of_whom_it_acts_for() -> None:
    ledger = fork()
    until_height = ledger.head.height + 50
    pia, paul = ledger.id("pia"), ledger.id("paul")
    ledger.done("pia", Delegate(pia, paul, ("bank/transfer",), until_height))
    ledger.done("paul", pay(ledger, 0, 1, 5))
    assert get_windows(ledger.context(), "eur", customer(0))[0].day_counts == (1,)


def test_a_booking_out_of_bounds_moves_no_window() -> None:
    ledger = fork()
    before = windows_of(ledger)
    for days in (-8, 8):
        booked_ms = ledger.head.time_ms + days * 24 * HOUR_MS
        codes = ledger.run("pia", pay(ledger, 0, 1, 5, booked_at_ms=booked_ms)).codes
        assert codes == ("bank/booked_at_out_of_bounds",)
    assert windows_of(ledger) == before


def test_a_booking_in_the_future_does_not_push_the_past_out_of_the_window() -> None:
    ledger = fork()
    places = [FEATURES.index(name) for name in ("payer_count_1h", "payer_count_24h")]
    for attempt in range(4):
        later_ms = ledger.head.time_ms + attempt * 26 * HOUR_MS
        outcome = ledger.done("pia", pay(ledger, 0, 1, 5, booked_at_ms=later_ms))
        (features,) = features_of(outcome)
        assert [features[place] for place in places] == [attempt, attempt]


def test_in_a_replay_bookings_are_taken_as_they_are() -> None:
    ledger = found(check_invariants=False, parameters={"bank.booked_at_skew_ms_max": 0})
    booked_ms = ledger.head.time_ms + 400 * 24 * HOUR_MS
    ledger.done("pia", pay(ledger, 0, 1, 5, booked_at_ms=booked_ms))
    payer, _ = get_windows(ledger.context(), "eur", customer(0))
    assert (payer.slot, payer.last_ms) == (booked_ms // SLOT_MS, booked_ms)


def test_an_account_that_its_own_block_opens_is_screened() -> None:
    ledger = fork()
    new = customer_account(ledger.id("pia"), b"\x07" * 20)
    opened = OpenAccounts(ledger.id("pia"), (b"\x07" * 20,))
    spend = Transfer(new, customer(1), "eur", 5, ledger.head.time_ms, sha256(b""))
    outcome = ledger.run("pia", opened, pay(ledger, 0, 1, 5), spend, spend, mode=INDEPENDENT)
    assert outcome.codes[:2] == ("ok", "ok")
    place = FEATURES.index("payer_count_1h")
    assert [features[place] for features in features_of(outcome)] == [0, 0, 1]


def test_each_asset_has_windows_of_its_own() -> None:
    ledger = fork()
    ledger.done("pia", pay(ledger, 0, 1, 5))
    other = Transfer(customer(0), customer(1), "usd", 5, ledger.head.time_ms, sha256(b""))
    (features,) = features_of(ledger.run("pia", other))
    assert features[FEATURES.index("payer_first_seen")] == 1


def test_nobody_fills_the_windows_of_an_account_that_is_to_come() -> None:
    ledger = fork()
    victim = customer_account(ledger.id("pia"), b"\x07" * 20)
    attack = Transfer(victim, ledger.id("bob"), "eur", 2**60, ledger.head.time_ms, sha256(b""))
    # Alone, and ahead of the accounts in the block that opens them.
    assert ledger.run("bob", attack).codes == ("bank/not_authorised",)
    ledger.submit("bob", attack)
    ledger.submit("pia", OpenAccounts(ledger.id("pia"), (b"\x07" * 20,)))
    ledger.submit("bob", attack, lane=1)
    assert [outcome.code for outcome in ledger.block()][1] == "ok"
    assert get_windows(ledger.context(), "eur", victim) == (EMPTY, EMPTY)
    assert get_windows(ledger.context(), "eur", ledger.id("bob")) == (EMPTY, EMPTY)
