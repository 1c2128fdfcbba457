"""What a head rests on, by name: one operator, witnesses, a quorum, a quorum of long ago."""

import pytest

from cairn.evidence.assurance import OPERATOR_SIGNED, QUORUM, QUORUM_EXPIRED, WITNESSED
from cairn.evidence.bundle import StateClaim, decode_bundle, encode_bundle
from cairn.evidence.errors import (
    CheckpointUnprovenError,
    HeaderNotCommittedError,
    NotWitnessedError,
)
from cairn.evidence.report import report_text
from cairn.evidence.verify import Report, verify_bundle
from cairn.modules.bank.records import HOLDS
from cairn.primitives.encoding import replace
from cairn.primitives.light import ABSENT_SIG
from tests.evidence.attacks_head import checkpoint_of
from tests.evidence.chain import WITNESS, Chain, fork
from tests.evidence.story import bundle_of
from tests.modules.founding import found, pay
from tests.modules.harness import key_of

CLAIM = StateClaim(HOLDS.key(bytes(20)))
SECOND = "another.example/witness"


@pytest.fixture(scope="module")
def chain() -> Chain:
    made = found(Chain, check_invariants=False)
    assert isinstance(made, Chain)
    made.done("pia", pay(made, 0, 1, 5))
    return made


@pytest.fixture(scope="module")
def network() -> Chain:
    """A chain of four validators."""
    made = found(Chain, check_invariants=False)
    assert isinstance(made, Chain)
    made.signers += [key_of(f"validator {number}") for number in range(3)]
    made.done("pia", pay(made, 0, 1, 5))
    return made


def verified(chain: Chain, *witnesses: str, threshold: int = 0, at_ms: int = 0) -> Report:
    source = fork(chain).source(witnesses=witnesses)
    trust = chain.trust((WITNESS, SECOND), threshold=threshold)
    return verify_bundle(bundle_of(source, CLAIM), trust, at_ms=at_ms)


def test_one_operator_alone_is_named_so(chain: Chain) -> None:
    report = verified(chain)
    assert report.assurance.word == OPERATOR_SIGNED
    last = report_text(report).splitlines()[-1]
    assert last.startswith("assurance   operator-signed: no witness cosigned this head")
    assert "cannot be excluded" in last


def test_one_witness_is_enough_unless_two_are_asked_for(chain: Chain) -> None:
    assert verified(chain, WITNESS).assurance.word == WITNESSED
    both = verified(chain, WITNESS, SECOND, threshold=2)
    assert both.assurance.witnesses == (SECOND, WITNESS)
    for witnesses in ((), (WITNESS,), (SECOND,)):
        with pytest.raises(NotWitnessedError):
            verified(chain, *witnesses, threshold=2)


def test_a_quorum_says_how_much_power_signed(network: Chain) -> None:
    report = verified(network)
    assert report.assurance.word == QUORUM
    assert "4 of 4 voting power signed" in report.assurance.sentence
    head = network.head.time_ms
    period = network.trust().trusting_period_ms
    assert verified(network, at_ms=head + 1_000 + period).assurance.word == QUORUM
    late = verified(network, at_ms=head + 1_001 + period)
    assert late.assurance.word == QUORUM_EXPIRED
    assert "older than the trusting period" in late.assurance.sentence


def test_a_validator_may_be_absent_but_not_two_of_four(network: Chain) -> None:
    bundle = decode_bundle(bundle_of(fork(network).source(), CLAIM))
    commit = bundle.head.commit
    for count, expected in ((1, "3 of 4"), (2, "")):
        signatures = (ABSENT_SIG,) * count + commit.signatures[count:]
        head = replace(bundle.head, commit=replace(commit, signatures=signatures))
        raw = encode_bundle(replace(bundle, head=head))
        if expected:
            sentence = verify_bundle(raw, network.trust(), at_ms=0).assurance.sentence
            assert expected in sentence
        else:
            with pytest.raises(HeaderNotCommittedError):
                verify_bundle(raw, network.trust(), at_ms=0)


def test_a_quorum_with_witnesses_names_them(network: Chain) -> None:
    assert f"cosigned by {WITNESS}" in verified(network, WITNESS).assurance.sentence


def test_a_checkpoint_is_extended(chain: Chain) -> None:
    seen = checkpoint_of(chain)
    later = fork(chain)
    later.done("pia", pay(later, 0, 1, 6))
    trust = chain.trust(checkpoint=seen)
    raw = bundle_of(fork(later).source(), CLAIM, extends_size=seen.history_size)
    report = verify_bundle(raw, trust, at_ms=0)
    assert f"the history extends the checkpoint at height {seen.height}" in report.checked
    with pytest.raises(CheckpointUnprovenError):
        verify_bundle(bundle_of(fork(later).source(), CLAIM), trust, at_ms=0)
    # Whoever holds no checkpoint learns of the older history all the same.
    shown = verify_bundle(raw, chain.trust(), at_ms=0).checked
    assert any(seen.history_root.hex() in step for step in shown)


def test_the_checkpoints_own_head_needs_no_extension(chain: Chain) -> None:
    seen = checkpoint_of(chain)
    raw = bundle_of(fork(chain).source(), CLAIM)
    assert verify_bundle(raw, chain.trust(checkpoint=seen), at_ms=0).findings
