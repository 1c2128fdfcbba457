"""Messages as JSON: every type there and back, and mistakes named."""

import json
import types
import typing
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.evidence.catalog import MESSAGES
from cairn.ledger.messages import Message
from cairn.primitives.encoding import Decoder, NonCanonicalError, encode
from cairn.sdk.errors import NotFoundError, UsageError
from cairn.sdk.message_json import describe_fields, find_message, from_json, tag_of, to_json
from tests.modules.harness import key_of


def nobody(name: str) -> bytes:
    raise NotFoundError(f"there is no account {name!r}")


def alice(name: str) -> bytes:
    return b"alice".ljust(20) if name == "alice" else nobody(name)


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type, within its bounds."""
    meta: dict[str, Any] = {}
    if typing.get_origin(kind) is typing.Annotated:
        kind, *notes = typing.get_args(kind)
        for note in notes:
            names = ("ge", "gt", "le", "lt", "min_length", "max_length", "pattern")
            meta |= {n: getattr(note, n) for n in names if getattr(note, n) is not None}
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return st.one_of([st.none() if a is type(None) else values(a) for a in arguments])
    if origin is tuple:
        least = meta.get("min_length", 0)
        most = min(meta.get("max_length", 3), least + 3)
        return st.lists(values(arguments[0]), min_size=least, max_size=most).map(tuple)
    if origin is typing.Literal:
        return st.sampled_from(arguments)
    if kind is bytes:
        least = meta.get("min_length", 0)
        if least == 34:
            return st.sampled_from(["ann", "bob"]).map(lambda name: bytes(key_of(name).public_key))
        return st.binary(min_size=least, max_size=min(meta.get("max_length", 40), least + 40))
    if kind is bool:
        return st.booleans()
    if kind is int:
        least = meta.get("ge", meta.get("gt", -(2**63) - 1) + 1)
        most = meta.get("le", meta.get("lt", 2**63) - 1)
        return st.integers(least, most)
    if kind is str:
        if "pattern" in meta:
            return st.from_regex(meta["pattern"], fullmatch=True).map(lambda t: t[:64])
        return st.text(st.characters(codec="ascii"), max_size=20).map(lambda t: t + "x")
    return records(kind)


def records(kind: Any) -> st.SearchStrategy[Any]:
    fields = {field.name: values(field.type) for field in msgspec.structs.fields(kind)}
    return st.builds(kind, **fields)


@pytest.mark.parametrize("kind", MESSAGES, ids=tag_of)
@given(data=st.data())
@settings(deadline=None, max_examples=10)
def test_every_message_comes_back(kind: type[Message], data: st.DataObject) -> None:
    message = data.draw(records(kind))
    try:
        Decoder[Message](kind).decode(encode(message))
    except NonCanonicalError:
        return  # a pattern and a length that exclude each other
    shown = json.loads(json.dumps(to_json(message)))
    assert shown.pop("type") == tag_of(kind)
    assert from_json(kind, shown, nobody) == message
    assert list(describe_fields(kind)) == list(shown)


TRANSFER = {
    "payer": "alice",
    "payee": "00" * 20,
    "asset": "eur",
    "amount_units": 5,
    "booked_at_ms": 0,
    "reference": "11" * 32,
}

MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"payer": "carol"}, "payer: there is no account 'carol'"),
    ({"payer": 7}, "payer is 7, not hex"),
    ({"payee": "00" * 19}, "`payee`"),
    ({"amount_units": "5"}, "amount_units is '5', which is no integer"),
    ({"amount_units": True}, "amount_units is True"),
    ({"amount_units": 0}, "`amount_units`"),
    ({"amount_units": 2**64}, "amount_units is 18446744073709551616"),
    ({"amount_units": 1.5}, "amount_units is 1.5"),
    ({"asset": "EUR"}, "`asset`"),
    ({"memo": "x"}, "unknown field 'memo'"),
    ({"reference": "did:key:zzz"}, "reference: "),
]


@pytest.mark.parametrize(("change", "message"), MISTAKES)
def test_a_mistake_names_its_field(change: dict[str, Any], message: str) -> None:
    kind = find_message("bank/transfer")
    assert from_json(kind, TRANSFER, alice)
    with pytest.raises(UsageError, match=message):
        from_json(kind, {**TRANSFER, **change}, alice)


def test_missing_fields_and_other_values() -> None:
    kind = find_message("bank/transfer")
    with pytest.raises(UsageError, match="'payer' is missing") as caught:
        from_json(kind, {}, alice)
    assert "amount_units: integer" in caught.value.hint
    for value in ([], None, 7, "x"):
        with pytest.raises(UsageError, match="not an object"):
            from_json(kind, value, alice)


def test_nested_records_and_lists() -> None:
    kind = find_message("identity/set_policy")
    policy = {
        "threshold": 2,
        "roles": ["risk"],
        "author_counts": False,
        "distinct_organisations": False,
    }
    fields = {"name": "models", "policy": policy, "proposal": "p1"}
    assert from_json(kind, fields, nobody)
    with pytest.raises(UsageError, match="roles is not a list"):
        from_json(kind, {**fields, "policy": {**policy, "roles": "risk"}}, nobody)
    with pytest.raises(UsageError, match="'threshold' is missing"):
        from_json(kind, {**fields, "policy": {}}, nobody)


def test_an_unknown_message_names_its_neighbours() -> None:
    with pytest.raises(UsageError, match="no message 'bank/pay'") as caught:
        find_message("bank/pay")
    assert "bank/transfer" in caught.value.hint
    assert "rules/" not in caught.value.hint
