"""Proofs: how big they are, what making and verifying them costs."""

import time

from bench.bank import BenchBank, running_bank
from bench.harness import Figure, seconds
from bench.screening import DEPLOYMENT, go_live
from cairn.evidence.bundle import Claim, PaymentClaim, PeriodClaim, StateClaim, TransactionClaim
from cairn.evidence.trust import Trust, trust_of_charter
from cairn.evidence.verify import verify_bundle
from cairn.ledger.charter import SIGNED_CHARTER_DECODER, charter_digest, open_charter
from cairn.modules.bank.records import BALANCES
from cairn.sdk.proof_source import ConnectionSource
from cairn.sdk.prove import prove

CUSTOMERS = 10_000
PAYMENTS = 10_000


def measure(*, quick: bool) -> list[Figure]:
    """Return time and size of one proof, of a payment's story and of a period of 10,000."""
    payments = PAYMENTS // (10 if quick else 1)
    with running_bank(CUSTOMERS) as bank:
        go_live(bank)
        began = bank.node.head().time_ms + 1
        outcomes = bank.run(bank.transfers(payments, 1))
        trust = _trust(bank)
        one = TransactionClaim(outcomes[0].transaction_id)
        row = StateClaim(BALANCES.key(bank.accounts[0], "eur"))
        story = PaymentClaim(outcomes[0].transaction_id, 0)
        period = PeriodClaim(began, bank.node.head().time_ms + 1, (DEPLOYMENT,))
        time.sleep(0.05)
        return [
            _figure("evidence.verify_ms", bank, trust, one, goal="<= 1 ms"),
            _figure("evidence.state_verify_ms", bank, trust, row),
            _figure("evidence.payment_verify_ms", bank, trust, story),
            _period(bank, trust, period, payments),
        ]


def _figure(name: str, bank: BenchBank, trust: Trust, claim: Claim, goal: str = "") -> Figure:
    source = ConnectionSource(bank.node)
    raw = prove(source, claim)
    at_ms = bank.node.head().time_ms

    def check() -> None:
        for _ in range(20):
            verify_bundle(raw, trust, at_ms=at_ms)

    making = seconds(lambda: prove(ConnectionSource(bank.node), claim), runs=5)
    return Figure(
        name,
        1000 * seconds(check) / 20,
        "ms",
        goal,
        {"making, ms": 1000 * making},
        f"{len(raw):,} bytes, {len(bank.accounts):,} accounts, head and commit included",
    )


def _period(bank: BenchBank, trust: Trust, claim: PeriodClaim, payments: int) -> Figure:
    began = time.perf_counter()
    raw = prove(ConnectionSource(bank.node), claim)
    making = time.perf_counter() - began
    at_ms = bank.node.head().time_ms
    plain = seconds(lambda: verify_bundle(raw, trust, at_ms=at_ms), runs=3)
    replayed = seconds(lambda: verify_bundle(raw, trust, at_ms=at_ms, replay=True), runs=3)
    return Figure(
        "evidence.verify_10k_s",
        plain,
        "s",
        "<= 5 s",
        {"with replay, s": replayed, "making, s": making},
        f"a period with {payments:,} scored payments, complete; {len(raw):,} bytes",
    )


def _trust(bank: BenchBank) -> Trust:
    file = bank.node.charter()
    charter, chain_id = open_charter(file)
    digest = charter_digest(SIGNED_CHARTER_DECODER.decode(file).charter)
    return trust_of_charter(charter, chain_id, digest)
