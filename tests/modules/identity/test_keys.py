"""Keys are intervals of heights: a change at height H acts from H + 1."""

import pytest

from cairn.ledger.messages import Message
from cairn.modules.identity.events import AccountRecovered, KeyAdded, KeyRevoked
from cairn.modules.identity.handlers import key_speaks
from cairn.modules.identity.messages import (
    AddKey,
    Approve,
    GrantRole,
    Recover,
    RegisterAccount,
    Reinstate,
    RevokeKey,
    RotateKey,
    Suspend,
    subject_of,
)
from cairn.modules.identity.queries import get_key, list_keys
from cairn.modules.identity.records import KEYS, OPEN_KEYS, Key
from cairn.primitives.did import did_key
from tests.modules.harness import Harness, key_of

UNKNOWN_KEY = "ledger/unknown_key"
NEW = key_of("pia-2")


def rotate(ledger: Harness, name: str = "pia") -> RotateKey:
    return RotateKey(ledger.id(name), key_of(name).public_key, NEW.public_key)


def harmless(ledger: Harness) -> Message:
    """Return something that anybody may send and that is refused by a rule, not at the door."""
    return GrantRole(ledger.id("pia"), "x")


def speaks_at(ledger: Harness, name: str, key: bytes, height: int) -> bool:
    context = ledger.context()
    context.height = height
    return key_speaks(context, ledger.id(name), key)


def test_a_rotated_key_is_refused_from_the_next_height_on() -> None:
    ledger = Harness()
    ledger.submit("pia", rotate(ledger))
    ledger.submit("pia", harmless(ledger), lane=1)
    ledger.submit("pia", harmless(ledger), lane=2, key=NEW)
    rotated, still_old, too_early = ledger.block()
    assert rotated.ok
    assert still_old.code == "ledger/operation_refused"
    assert too_early.code == UNKNOWN_KEY

    assert ledger.run("pia", harmless(ledger)).code == UNKNOWN_KEY
    assert ledger.run("pia", harmless(ledger), key=NEW).code == "ledger/operation_refused"


def test_an_old_signature_stays_attributable() -> None:
    ledger = Harness()
    outcome = ledger.done("pia", rotate(ledger))
    rotated_at = ledger.head.height
    for _ in range(3):
        ledger.block()
    old = key_of("pia").public_key
    assert ledger.get(KEYS, old) == Key(ledger.id("pia"), 1, rotated_at + 1)
    assert ledger.get(KEYS, NEW.public_key) == Key(ledger.id("pia"), rotated_at + 1, None)
    assert speaks_at(ledger, "pia", old, rotated_at)
    assert not speaks_at(ledger, "pia", old, rotated_at + 1)
    assert not speaks_at(ledger, "pia", NEW.public_key, rotated_at)
    assert speaks_at(ledger, "pia", NEW.public_key, rotated_at + 1)
    assert outcome.event(KeyRevoked).until_height == rotated_at + 1
    assert outcome.event(KeyAdded).from_height == rotated_at + 1


def test_a_key_speaks_for_its_account_alone() -> None:
    ledger = Harness()
    assert not speaks_at(ledger, "paul", key_of("pia").public_key, 1)
    assert not speaks_at(ledger, "pia", key_of("pia").public_key, 0)
    assert not speaks_at(ledger, "pia", key_of("nobody").public_key, 1)
    assert ledger.run("pia", harmless(ledger), key=key_of("paul")).code == UNKNOWN_KEY


def test_several_keys_speak_until_each_is_revoked() -> None:
    ledger = Harness()
    ledger.done("pia", AddKey(ledger.id("pia"), NEW.public_key))
    assert ledger.run("pia", harmless(ledger), key=NEW).receipt is not None
    assert ledger.run("pia", harmless(ledger)).receipt is not None
    ledger.done("pia", RevokeKey(ledger.id("pia"), key_of("pia").public_key), key=NEW)
    assert ledger.run("pia", harmless(ledger)).code == UNKNOWN_KEY
    assert [view.did for view in list_keys(ledger.context(), ledger.id("pia"))] == [
        did_key(NEW.public_key)
    ]
    ledger.refused(
        "pia",
        AddKey(ledger.id("pia"), key_of("pia").public_key),
        "identity/key_taken",
        key=NEW,
    )


def test_a_key_added_and_revoked_at_one_height_never_speaks() -> None:
    ledger = Harness()
    account, key = ledger.id("pia"), NEW.public_key
    ledger.done("pia", AddKey(account, key), RevokeKey(account, key))
    assert ledger.get(KEYS, key) == Key(account, 2, 2)
    assert not any(speaks_at(ledger, "pia", key, height) for height in range(5))


def test_recovery_replaces_all_keys() -> None:
    ledger = Harness()
    ledger.done("pia", AddKey(ledger.id("pia"), key_of("pia-3").public_key))
    message = Recover(ledger.id("pia"), (NEW.public_key,), "lost-phone")
    ledger.done("cora", Approve("recovery", subject_of(message)))
    ledger.refused("paul", message, "identity/not_approved")
    ledger.done("carl", Approve("recovery", subject_of(message)))
    outcome = ledger.done("paul", message)
    approvers = sorted([ledger.id("cora"), ledger.id("carl")])
    assert outcome.event(AccountRecovered).approvers == tuple(approvers)
    for lost in ("pia", "pia-3"):
        assert ledger.run("pia", harmless(ledger), key=key_of(lost)).code == UNKNOWN_KEY
    assert ledger.run("pia", harmless(ledger), key=NEW).receipt is not None
    open_keys = ledger.get(OPEN_KEYS, ledger.id("pia"))
    assert open_keys is not None
    assert open_keys.keys == (NEW.public_key,)


def test_strangers_cannot_recover_an_account() -> None:
    ledger = Harness()
    message = Recover(ledger.id("pia"), (NEW.public_key,), "theft")
    for name in ("bob", "ben"):
        ledger.done(name, Approve("recovery", subject_of(message)))
    ledger.refused("berta", message, "identity/wrong_organisation")


@pytest.mark.parametrize("admin", ["ann", "adam"])
def test_an_administrator_keeps_the_keys_of_devices(admin: str) -> None:
    ledger = Harness()
    key = key_of("pos").public_key
    outcome = ledger.done("ann", RegisterAccount("device", "pos", (), (key,)))
    device = outcome.events[0].account  # type: ignore[attr-defined]
    ledger.add_actor("pos", device)
    ledger.done(admin, RotateKey(device, key, NEW.public_key))
    row = get_key(ledger.context(), NEW.public_key)
    assert row is not None
    assert row.account == device
    assert ledger.run("pos", harmless(ledger)).code == UNKNOWN_KEY


def test_a_suspended_account_is_silent_from_the_next_height_on() -> None:
    ledger = Harness()
    ledger.submit("ann", Suspend(ledger.id("tom"), None))
    ledger.submit("tom", harmless(ledger))
    assert ledger.block()[1].receipt is not None
    assert ledger.run("tom", harmless(ledger)).code == UNKNOWN_KEY
    ledger.done("ann", Reinstate(ledger.id("tom"), None))
    assert ledger.run("tom", harmless(ledger)).receipt is not None


def test_a_suspended_organisation_silences_its_members() -> None:
    ledger = Harness()
    message = Suspend(ledger.id("beta"), "breach")
    for name in ("ann", "rick"):
        ledger.done(name, Approve("governance", subject_of(message)))
    ledger.done("pia", message)
    assert ledger.run("bob", harmless(ledger)).code == UNKNOWN_KEY
    back = Reinstate(ledger.id("beta"), "breach-closed")
    for name in ("ann", "rick"):
        ledger.done(name, Approve("governance", subject_of(back)))
    ledger.done("pia", back)
    assert ledger.run("bob", harmless(ledger)).receipt is not None


def test_two_administrators_cannot_remove_each_other_in_one_block() -> None:
    ledger = Harness()
    ledger.submit("ann", Suspend(ledger.id("adam"), None))
    ledger.submit("adam", Suspend(ledger.id("ann"), None))
    first, second = ledger.block()
    assert first.ok
    assert second.codes == ("identity/suspended",)
