"""Bundles assembled from a real node: what it proves, the verifier accepts."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cairn.evidence.bundle import (
    Claim,
    LiveClaim,
    PaymentClaim,
    PeriodClaim,
    PredictionClaim,
    RangeClaim,
    StateClaim,
    TransactionClaim,
    decode_bundle,
)
from cairn.evidence.errors import ClaimError
from cairn.evidence.trust import Trust
from cairn.evidence.verify import Report, verify_bundle
from cairn.ledger.charter import sign_charter
from cairn.ledger.receipts import RECEIPT_DECODER
from cairn.modules.bank.events import HoldPlaced
from cairn.modules.bank.messages import ReleaseHold
from cairn.modules.bank.records import HOLD_SERIES, HOLDS
from cairn.modules.registry import standard_registry
from cairn.node.node import Node, NodeOptions
from cairn.node.settings import load_settings
from cairn.primitives.checkpoints import parse_note
from cairn.primitives.encoding import encode
from cairn.sdk.errors import UsageError
from cairn.sdk.proof_source import ConnectionSource
from cairn.sdk.prove import Proofs, Wanted, cosigned_by, prove, runs_of
from tests.evidence.chain import Chain
from tests.modules.founding import activate, amount_model, found, go_live, hold_rule, pay
from tests.modules.harness import key_of

WAIT_MS = 20_000


class Bank:
    """A node that lives through the same transactions as a chain in memory."""

    def __init__(self, directory: Path) -> None:
        chain = found(Chain, check_invariants=False, parameters={"bank.booked_at_skew_ms_max": 0})
        assert isinstance(chain, Chain)
        self.chain = chain
        charter = encode(sign_charter(chain.charter, [key_of("founder")]))
        settings = load_settings(directory, flags={"engine.signature_workers": 0})
        options = NodeOptions(registry=standard_registry(), settings=settings)
        self.node = Node.create(directory, charter, key_of("founder"), options)
        self._given = 0

    def give(self) -> None:
        """Let the node have what the chain has."""
        for entry in self.chain.log[self._given :]:
            if entry.transactions:
                self.node.submit(entry.transactions, wait_ms=WAIT_MS)
        self._given = len(self.chain.log)

    def verified(self, claim: Claim, *, replay: bool = True) -> Report:
        """Prove a claim from the node and verify the bundle."""
        raw = prove(ConnectionSource(self.node), claim)
        return verify_bundle(raw, self.trust, at_ms=0, replay=replay)

    @property
    def trust(self) -> Trust:
        """The trust in the node's key."""
        return self.chain.trust()


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    made = Bank(tmp_path_factory.mktemp("ledger"))
    chain = made.chain
    go_live(chain, "fraud", amount_model(10))
    activate(chain, hold_rule("big"))
    for amount in (70_000, 300):
        chain.done("pia", pay(chain, 0, 1, amount))
    for amount in range(400, 430):
        chain.submit("pia", pay(chain, 0, 1, amount))
    chain.block()
    made.give()
    yield made
    made.node.close()


def identities(bank: Bank) -> list[bytes]:
    """Return the ids of the chain's transactions of one payment, in order."""
    receipts = [RECEIPT_DECODER.decode(raw) for entry in bank.chain.log for raw in entry.receipts]
    return [receipt.transaction_id for receipt in receipts[-32:]]


def test_claims_about_payments_and_models_verify(bank: Bank) -> None:
    held, settled = identities(bank)[:2]
    report = bank.verified(PaymentClaim(held, 0))
    assert any("it was held by rule `big` version 1" in finding for finding in report.findings)
    assert report.assurance.word == "operator-signed"
    assert bank.verified(PaymentClaim(settled, 0)).findings
    assert bank.verified(TransactionClaim(settled)).findings
    assert bank.verified(LiveClaim("fraud", bank.node.head().height, None)).findings
    assert bank.verified(PredictionClaim("fraud", 3, None)).findings
    assert bank.verified(RangeClaim(HOLD_SERIES.key(), 0, bank.node.head().time_ms)).findings
    assert bank.verified(StateClaim(HOLDS.key(bytes(20)))).findings


def test_a_period_brings_the_receipts_of_a_block_as_one_run(bank: Bank) -> None:
    claim = PeriodClaim(0, bank.node.head().time_ms, ("fraud",))
    raw = prove(ConnectionSource(bank.node), claim)
    report = verify_bundle(raw, bank.trust, at_ms=0, replay=True)
    assert "32 predictions of deployment `fraud`: 32 derived" in report.findings
    runs = decode_bundle(raw).receipts
    assert sum(len(run.receipts) for run in runs) == 32
    assert len(runs) <= 4


def test_a_claim_that_does_not_hold_is_refused_at_once(bank: Bank) -> None:
    source = ConnectionSource(bank.node)
    for claim in (
        PaymentClaim(bytes(32), 0),
        PredictionClaim("fraud", 99, None),
        PredictionClaim("nothing", 0, None),
    ):
        with pytest.raises(ClaimError):
            prove(source, claim)


def test_a_witness_that_has_not_cosigned_is_named(bank: Bank) -> None:
    source = ConnectionSource(bank.node)
    with pytest.raises(UsageError, match="no witness has cosigned"):
        prove(source, StateClaim(HOLDS.key(bytes(20))), witnesses=("witness.example/w",))


def test_the_note_carries_the_witnesses_that_were_asked_for() -> None:
    chain = found(Chain, check_invariants=False)
    assert isinstance(chain, Chain)
    names = ("b.example/w", "a.example/w")
    note = chain.source(witnesses=names).view.cosigned_checkpoint
    lines = [line.name for line in parse_note(note).signatures]
    assert lines == [chain.chain_id, *names]
    kept = [line.name for line in parse_note(cosigned_by(note, None)).signatures]
    assert kept == sorted(names)
    one = [line.name for line in parse_note(cosigned_by(note, names[:1])).signatures]
    assert one == ["b.example/w"]
    assert cosigned_by(note, ()) == b""
    assert cosigned_by(b"", None) == b""
    with pytest.raises(UsageError, match=r"c\.example/w has not cosigned"):
        cosigned_by(note, ("c.example/w",))


class Restless(ConnectionSource):
    """A source whose ledger moves between reading and proving, the first times."""

    def __init__(self, bank: Bank, moves: list[str]) -> None:
        super().__init__(bank.node)
        self._bank = bank
        self._moves = moves

    def prove(self, wanted: Wanted) -> Proofs:
        if self._moves:
            held = self._moves.pop()
            self._bank.chain.done("cora", ReleaseHold(bytes.fromhex(held), "checked"))
            self._bank.give()
        return super().prove(wanted)


def test_a_ledger_that_moves_in_between_is_asked_again(bank: Bank) -> None:
    outcome = bank.chain.done("pia", pay(bank.chain, 2, 3, 80_000))
    bank.give()
    assert outcome.receipt is not None
    hold = outcome.event(HoldPlaced).hold.hex()
    raw = prove(Restless(bank, [hold]), PaymentClaim(outcome.receipt.transaction_id, 0))
    report = verify_bundle(raw, bank.trust, at_ms=0, replay=True)
    assert any("released to the payee by cora (alpha)" in finding for finding in report.findings)


@pytest.mark.parametrize(
    ("places", "runs"),
    [
        ([], {}),
        ([(3, 1)], {(3, 1): 2}),
        ([(3, 2), (3, 1), (3, 1)], {(3, 1): 3}),
        ([(3, 1), (3, 3), (4, 4)], {(3, 1): 2, (3, 3): 4, (4, 4): 5}),
        ([(1, 0), (2, 1)], {(1, 0): 1, (2, 1): 2}),
    ],
)
def test_receipts_side_by_side_are_one_run(
    places: list[tuple[int, int]], runs: dict[tuple[int, int], int]
) -> None:
    assert runs_of(places) == runs
