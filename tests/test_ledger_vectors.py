"""A whole ledger as golden vectors: charter, blocks, receipts and roots; and the list of codes.

Whoever writes another implementation replays `vectors/ledger.json`: from the charter, block by
block, every receipt, result and root must come out as it stands there.
"""

from typing import Any

import pytest

from cairn.ledger.charter import open_charter, sign_charter
from cairn.ledger.execution import Block, Ledger, LedgerHead
from cairn.ledger.memory import MemoryState
from cairn.ledger.transactions import signature_triple
from cairn.modules.registry import standard_registry
from cairn.primitives.encoding import encode
from cairn.primitives.signatures import verify_many
from cairn.sdk.refusals import meanings
from tests.evidence.story import told
from tests.modules.harness import key_of
from tests.vector_files import load, replay


def head_data(head: LedgerHead) -> dict[str, Any]:
    return {
        "state_root": head.state_root.hex(),
        "history_size": head.history.size,
        "history_root": head.history.root().hex(),
        "app_hash": head.app_hash.hex(),
    }


def ledger_data() -> dict[str, Any]:
    chain = told().story.chain
    blocks = []
    for entry, head in zip(chain.log, chain.heads[1:], strict=True):
        blocks.append(
            {
                "height": entry.header.height,
                "header": encode(entry.header).hex(),
                "commit": encode(entry.commit).hex(),
                "transactions": [raw.hex() for raw in entry.transactions],
                "receipts": [raw.hex() for raw in entry.receipts],
                "results": [[one.code, one.data.hex(), one.cost] for one in entry.results],
                **head_data(head),
            }
        )
    signed = sign_charter(chain.charter, [key_of("founder")])
    return {
        "what": "a ledger of all modules, from its charter on; bytes in hex",
        "charter": encode(signed).hex(),
        "chain_id": chain.chain_id,
        "founded": head_data(chain.heads[0]),
        "blocks": blocks,
    }


@pytest.mark.vectors
def test_the_ledger_is_the_golden_one() -> None:
    replay("ledger", ledger_data())


@pytest.mark.vectors
def test_no_code_was_renamed_or_reused() -> None:
    replay("codes", {"what": "every code of a receipt", "codes": sorted(meanings())})


def test_the_golden_ledger_replays_from_its_bytes_alone() -> None:
    golden = load("ledger")
    charter, chain_id = open_charter(bytes.fromhex(golden["charter"]))
    assert chain_id == golden["chain_id"]
    ledger, state = Ledger(standard_registry()), MemoryState()
    result = ledger.found(charter, chain_id, state)
    assert head_data(result.head) == golden["founded"]
    for block, entry in zip(golden["blocks"], told().story.chain.log, strict=True):
        state.apply(result.changes)
        raws = [bytes.fromhex(raw) for raw in block["transactions"]]
        triples = [signature_triple(raw) for raw in raws]
        valid = verify_many([triple or (b"", b"", b"") for triple in triples])
        header = entry.header
        assert encode(header).hex() == block["header"]
        ordered = Block(
            header.height,
            header.time.seconds * 1000 + header.time.nanos // 1_000_000,
            entry.commit.block_id.hash,
            header.data_hash,
            [ledger.decode(raw) for raw in raws],
            valid,
        )
        result = ledger.execute(result.head, state, ordered)
        assert [raw.hex() for raw in result.receipts] == block["receipts"]
        assert head_data(result.head) == {key: block[key] for key in golden["founded"]}
