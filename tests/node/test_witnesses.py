"""A node and its witness over loopback HTTP."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from cairn.evidence.assurance import OPERATOR_SIGNED, WITNESSED, judge_assurance
from cairn.evidence.steps import verify_head
from cairn.evidence.trust import TrustedWitness, trust_of_charter
from cairn.ledger.charter import charter_digest
from cairn.node.api import ProofRequest
from cairn.node.errors import ConfigurationError, RolledBackError
from cairn.node.node import Node
from cairn.node.witness import Witness
from cairn.node.witness_server import witness_application
from cairn.node.witnesses import parse_peer
from cairn.primitives.checkpoints import ED25519, parse_note, verifier_key
from cairn.primitives.encoding import encode
from cairn.primitives.signatures import SigningKey
from tests.engine.toy import CHAIN_ID, NODE_KEY, Add, ManualClock, charter, transaction
from tests.node.ledgers import create, reopen, settle
from tests.node.serving import served

WITNESS = SigningKey.from_seed(b"w" * 32)
NAME = "witness.example/w1"
TRUST = trust_of_charter(
    charter(),
    CHAIN_ID,
    charter_digest(encode(charter())),
    (TrustedWitness(NAME, WITNESS.public_key),),
)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def witness(tmp_path: Path, clock: ManualClock) -> Witness:  # type: ignore[misc]
    witness = Witness(tmp_path / "w", NAME, WITNESS, clock=clock)
    witness.watch(verifier_key(CHAIN_ID, ED25519, NODE_KEY.public_key))
    yield witness
    witness.close()


def run(node: Node, clock: ManualClock, *raws: bytes) -> None:
    future = node.submit_later(list(raws))
    settle(node, clock)
    assert {outcome.code for outcome in future.result(timeout=0)} == {"ok"}


def assurance(node: Node) -> str:
    proof = node.prove(ProofRequest(())).head
    return judge_assurance(proof, verify_head(proof, TRUST), TRUST, at_ms=0).word


def test_proofs_carry_the_cosignature_of_their_very_head(
    tmp_path: Path, witness: Witness, clock: ManualClock
) -> None:
    with (
        served(witness_application(witness)) as url,
        create(tmp_path / "n", clock, witnesses__peers=(f"{url} {witness.verifier_key}",)) as node,
    ):
        settle(node, clock)
        for sequence in range(1, 6):
            run(node, clock, transaction(Add(1), sequence=sequence))
            assert assurance(node) == WITNESSED
        assert assurance(node) == WITNESSED
        note = parse_note(node.prove(ProofRequest(())).head.cosigned_checkpoint)
        assert [line.name for line in note.signatures] == [NAME]
        assert node.health().witnesses == ((NAME, "ok"),)
        latest = httpx.get(f"{url}/checkpoint", params={"origin": CHAIN_ID}, trust_env=False)
        assert latest.text.startswith(note.text)
        assert witness.evidence(CHAIN_ID) == []


def test_a_node_goes_on_where_its_witness_stands(
    tmp_path: Path, witness: Witness, clock: ManualClock
) -> None:
    """A new process does not know what the witness saw last, and learns it from the conflict."""
    with served(witness_application(witness)) as url:
        peers = (f"{url} {witness.verifier_key}",)
        with create(tmp_path / "n", clock, witnesses__peers=peers) as node:
            settle(node, clock)
            run(node, clock, transaction(Add(1), sequence=1))
            assert assurance(node) == WITNESSED
        with reopen(tmp_path / "n", clock, witnesses__peers=peers) as node:
            assert assurance(node) == WITNESSED
            run(node, clock, transaction(Add(1), sequence=2))
            assert assurance(node) == WITNESSED


def test_a_log_that_was_rolled_back_is_not_signed_on(
    tmp_path: Path, witness: Witness, clock: ManualClock
) -> None:
    with served(witness_application(witness)) as url:
        peers = (f"{url} {witness.verifier_key}",)
        with create(tmp_path / "n", clock, witnesses__peers=peers) as node:
            settle(node, clock)
            run(node, clock, transaction(Add(1), sequence=1))
        shutil.copytree(tmp_path / "n", tmp_path / "backup")
        with reopen(tmp_path / "n", clock, witnesses__peers=peers) as node:
            run(node, clock, transaction(Add(2), sequence=2))
            assert assurance(node) == WITNESSED
        with pytest.raises(RolledBackError, match="holds block"):
            reopen(tmp_path / "backup", clock, witnesses__peers=peers)


def test_a_history_rewritten_with_the_real_key_is_caught(
    tmp_path: Path, witness: Witness, clock: ManualClock
) -> None:
    """The operator rewrites the past while no witness is set, then wants cosignatures again."""
    with served(witness_application(witness)) as url:
        peers = (f"{url} {witness.verifier_key}",)
        with create(tmp_path / "n", clock, witnesses__peers=peers) as node:
            settle(node, clock)
            run(node, clock, transaction(Add(1), sequence=1))
            assert assurance(node) == WITNESSED
        with create(tmp_path / "forged", clock) as node:
            settle(node, clock)
            for sequence in range(1, 5):
                run(node, clock, transaction(Add(1_000), sequence=sequence))
            assert assurance(node) == OPERATOR_SIGNED
        with pytest.raises(RolledBackError):
            reopen(tmp_path / "forged", clock, witnesses__peers=peers)


def test_a_witness_that_is_away_does_not_stop_the_node(
    tmp_path: Path, witness: Witness, clock: ManualClock
) -> None:
    with served(witness_application(witness)) as url:
        peers = (f"{url} {witness.verifier_key}",)
    with create(tmp_path / "n", clock, witnesses__peers=peers) as node:
        settle(node, clock)
        run(node, clock, transaction(Add(1), sequence=1))
        assert assurance(node) == OPERATOR_SIGNED
        ((name, status),) = node.health().witnesses
        assert name == NAME
        assert status not in ("ok", "not asked yet")


def test_a_cosignature_of_another_key_is_not_taken(
    tmp_path: Path, witness: Witness, clock: ManualClock
) -> None:
    other = verifier_key(NAME, 0x04, SigningKey.from_seed(b"x" * 32).public_key)
    with (
        served(witness_application(witness)) as url,
        create(tmp_path / "n", clock, witnesses__peers=(f"{url} {other}",)) as node,
    ):
        settle(node, clock)
        assert assurance(node) == OPERATOR_SIGNED
        assert "no valid cosignature" in node.health().witnesses[0][1]


def test_the_thread_sends_new_heads_by_itself(tmp_path: Path, witness: Witness) -> None:
    with served(witness_application(witness)) as url:
        peers = (f"{url} {witness.verifier_key}",)
        node = create(tmp_path / "n", start=True, witnesses__peers=peers, witnesses__interval_ms=0)
        node.submit([transaction(Add(1), sequence=1)], wait_ms=10_000)
        for _ in range(1_000):
            latest = witness.latest(CHAIN_ID)
            if latest is not None and b"\n1\n" in latest:
                break
            node.events(node.head().height + 1, limit=1, wait_ms=10)
        node.close()
        latest = witness.latest(CHAIN_ID)
        assert latest is not None
        assert b"\n1\n" in latest


@pytest.mark.parametrize(
    "text", ["", "witness", "ftp://w key", "http://w", "http://w not-a-key", "http://w a+b+c"]
)
def test_a_malformed_peer_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_peer(text)


def test_the_witness_speaks_tlog_witness(witness: Witness) -> None:
    from tests.node.test_witness import Log

    witness.watch(verifier_key("bank-abcdef", ED25519, SigningKey.from_seed(b"l" * 32).public_key))
    log = Log()
    with served(witness_application(witness)) as url, httpx.Client(trust_env=False) as http:

        def post(body: bytes) -> httpx.Response:
            return http.post(f"{url}/add-checkpoint", content=body)

        answer = post(log.request(0, 5))
        assert answer.status_code == 200
        assert answer.text.startswith(f"\u2014 {NAME} ")
        conflict = post(log.request(0, 6))
        assert (conflict.status_code, conflict.text) == (409, "5\n")
        assert conflict.headers["content-type"] == "text/x.tlog.size"
        forked = post(Log(b"fork").request(5, 5, height=50))
        assert (forked.status_code, forked.text[:14]) == (409, "witness/forked")
        assert post(Log(b"fork").request(5, 9)).status_code == 422
        assert post(log.request(0, 5, origin="nobody")).status_code == 404
        assert post(log.request(5, 6, key=WITNESS)).status_code == 403
        assert post(log.request(7, 6)).status_code == 400
        assert post(b"x" * 200_000).status_code == 400
        assert http.get(f"{url}/checkpoint", params={"origin": "nobody"}).status_code == 404
        assert http.get(f"{url}/key").text.strip() == witness.verifier_key
        assert "bank-abcdef" in http.get(f"{url}/origins").text


SERVE = """
import sys
from pathlib import Path
from cairn.engine.embedded import SystemClock
from cairn.node.server import serve_witness
from cairn.node.witness import Witness
from tests.node.test_witnesses import NAME, WITNESS
witness = Witness(Path(sys.argv[1]), NAME, WITNESS, clock=SystemClock())
serve_witness(witness, "127.0.0.1", 0, lambda port: print(port, flush=True))
"""


def test_the_witness_process_ends_in_good_order(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(tmp_path / "w")],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": "src:."},
    )
    assert process.stdout is not None
    url = f"http://127.0.0.1:{int(process.stdout.readline())}"
    assert httpx.get(f"{url}/key", trust_env=False).text.startswith(NAME)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 0
    process.stdout.close()
