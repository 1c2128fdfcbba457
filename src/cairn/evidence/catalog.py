"""All messages, events, tables and series that a verifier knows, by their tags and keys.

It equals the registry of the ledger's modules, which a test compares, and imports none of their
handlers.
"""

from types import ModuleType
from typing import Any

from cairn.exact.windows import Window
from cairn.ledger.messages import Event, Message, union_of
from cairn.ledger.parameters import PARAMETERS
from cairn.ledger.records import Series, Table
from cairn.ledger.transactions import Body, body_decoder
from cairn.modules.bank import events as bank_events
from cairn.modules.bank import messages as bank_messages
from cairn.modules.bank import records as bank_records
from cairn.modules.data import events as data_events
from cairn.modules.data import messages as data_messages
from cairn.modules.data import records as data_records
from cairn.modules.decisions import events as decisions_events
from cairn.modules.decisions import messages as decisions_messages
from cairn.modules.decisions import records as decisions_records
from cairn.modules.identity import events as identity_events
from cairn.modules.identity import messages as identity_messages
from cairn.modules.identity import records as identity_records
from cairn.modules.inference import events as inference_events
from cairn.modules.inference import messages as inference_messages
from cairn.modules.inference import records as inference_records
from cairn.modules.models import events as models_events
from cairn.modules.models import messages as models_messages
from cairn.modules.models import records as models_records
from cairn.modules.rules import events as rules_events
from cairn.modules.rules import messages as rules_messages
from cairn.modules.rules import records as rules_records
from cairn.modules.screening import events as screening_events
from cairn.modules.screening import messages as screening_messages
from cairn.modules.screening import records as screening_records
from cairn.modules.training import events as training_events
from cairn.modules.training import messages as training_messages
from cairn.modules.training import records as training_records
from cairn.primitives.encoding import Decoder, Record

_MESSAGE_FILES = (
    identity_messages,
    bank_messages,
    data_messages,
    training_messages,
    models_messages,
    inference_messages,
    screening_messages,
    rules_messages,
    decisions_messages,
)
_EVENT_FILES = (
    identity_events,
    bank_events,
    data_events,
    training_events,
    models_events,
    inference_events,
    screening_events,
    rules_events,
    decisions_events,
)
_RECORD_FILES = (
    identity_records,
    bank_records,
    data_records,
    training_records,
    models_records,
    inference_records,
    screening_records,
    rules_records,
    decisions_records,
)


def _declared(files: tuple[ModuleType, ...], base: type[Record]) -> tuple[type[Any], ...]:
    """Return the subclasses of `base` that files declare, in their order."""
    return tuple(
        value
        for file in files
        for value in vars(file).values()
        if isinstance(value, type)
        and issubclass(value, base)
        and value is not base
        and value.__module__ == file.__name__
    )


MESSAGES: tuple[type[Message], ...] = _declared(_MESSAGE_FILES, Message)
EVENTS: tuple[type[Event], ...] = _declared(_EVENT_FILES, Event)

SERIES: dict[bytes, Series[Record]] = {
    value.prefix: value
    for file in _RECORD_FILES
    for value in vars(file).values()
    if isinstance(value, Series)
}
"""Series by the beginning of their keys."""

TABLES: dict[bytes, Table[Record]] = {
    value.prefix: value
    for file in _RECORD_FILES
    for value in vars(file).values()
    if isinstance(value, Table)
}
"""Tables by the beginning of their keys."""
_OTHERS: tuple[Table[Any], ...] = (
    PARAMETERS,
    Table("screening", "payer_window", (str, bytes), Window),
    Table("screening", "payee_window", (str, bytes), Window),
    Table("screening", "terminal_window", (str, bytes), Window),
)
TABLES.update((table.prefix, table) for table in _OTHERS)

_body: Decoder[Body] = body_decoder(MESSAGES)
_event: Decoder[Event] = Decoder(union_of(EVENTS))


def decode_body(raw: bytes) -> Body:
    """Return the body that `raw` spells, its operations among the known messages.

    Raises:
        NonCanonicalError: It spells none.
    """
    return _body.decode(raw)


def decode_event(raw: bytes) -> Event:
    """Return the event that `raw` spells.

    Raises:
        NonCanonicalError: It spells none that is known.
    """
    return _event.decode(raw)


def tag_of(record: Record) -> str:
    """Return the tag of a message or event, such as `bank/transfer`."""
    return str(record.__struct_config__.tag)  # type: ignore[attr-defined]


def table_of(key: bytes) -> Table[Record] | None:
    """Return the table to which a row key belongs, None if it is unknown."""
    return TABLES.get(_prefix(key))


def series_of(key: bytes) -> Series[Record] | None:
    """Return the series whose head has this key, None if it is unknown."""
    return SERIES.get(_prefix(key))


def _prefix(key: bytes) -> bytes:
    """Return the first two parts of a row key with their lengths: the module and the table."""
    module_end = 1 + key[0] if key else 0
    table_end = module_end + 1 + key[module_end] if len(key) > module_end else 0
    return key[:table_end]
