"""The verifier knows the same messages, events, tables and series as the ledger."""

import pytest

from cairn.evidence.catalog import (
    EVENTS,
    MESSAGES,
    SERIES,
    TABLES,
    decode_body,
    decode_event,
    series_of,
    table_of,
    tag_of,
)
from cairn.ledger.admission import SEQUENCES
from cairn.modules.bank.events import TransferSettled
from cairn.modules.bank.records import BALANCES, HOLD_SERIES
from cairn.modules.identity.records import APPROVAL_SERIES
from cairn.modules.registry import standard_registry
from cairn.primitives.encoding import NonCanonicalError, encode

REGISTRY = standard_registry()


def test_the_messages_are_those_of_the_registry() -> None:
    assert len(MESSAGES) == len(set(MESSAGES))
    assert set(MESSAGES) == set(REGISTRY.specs)


def test_the_events_are_those_of_the_registry() -> None:
    declared = [event for module in REGISTRY.modules for event in module.events]
    assert len(EVENTS) == len(set(EVENTS))
    assert set(EVENTS) == set(declared)


def test_the_tables_are_those_of_the_registry() -> None:
    known = set(TABLES) | set(SERIES)
    assert set(REGISTRY.tables) - known == set()
    assert known - set(REGISTRY.tables) == {b"\x06ledger\x09parameter"}
    for prefix, table in REGISTRY.tables.items():
        mine = TABLES.get(prefix) or SERIES[prefix].table
        assert (mine.key_types, mine.record) == (table.key_types, table.record)


def test_a_key_tells_its_table_and_its_series() -> None:
    assert table_of(BALANCES.key(bytes(20), "eur")) is BALANCES
    assert series_of(HOLD_SERIES.key()) is HOLD_SERIES
    assert series_of(APPROVAL_SERIES.key("model", bytes(32))) is APPROVAL_SERIES
    assert table_of(HOLD_SERIES.key()) is None


@pytest.mark.parametrize("key", [b"", b"\x05", b"\x01a", b"\xff\xff", SEQUENCES.key(bytes(20), 0)])
def test_a_key_of_no_known_table_has_none(key: bytes) -> None:
    assert table_of(key) is None
    assert series_of(key) is None


def test_an_event_that_is_not_known_is_refused() -> None:
    event = TransferSettled(bytes(20), bytes(20), "eur", 1)
    assert decode_event(encode(event)) == event
    assert tag_of(event) == "bank/transfer_settled"
    with pytest.raises(NonCanonicalError):
        decode_event(encode(("bank/transfer_dreamt", 1)))
    with pytest.raises(NonCanonicalError):
        decode_body(encode(("bank/transfer", 1)))
