import pytest

from cairn.modules.data.events import DatasetRegistered, DatasetWithdrawn, UseGranted, UseRecorded
from cairn.modules.data.messages import GrantUse, RecordUse, RevokeUse, WithdrawDataset
from cairn.modules.data.queries import (
    find_dataset,
    get_consent,
    get_dataset,
    list_changes,
    list_consents,
)
from cairn.modules.identity.messages import Suspend
from cairn.primitives.hashes import sha256
from tests.modules.founding import dataset_message, found, register_dataset
from tests.modules.harness import START_MS, Harness

NOBODY = b"\xee" * 20
FAR_MS = START_MS + 10_000_000
REFERENCE = sha256(b"what it was used for")


@pytest.fixture
def ledger() -> Harness:
    return found()


def test_a_registered_dataset_is_found_by_id_and_by_name(ledger: Harness) -> None:
    outcome = ledger.done("dana", dataset_message("payments", 3))
    event = outcome.event(DatasetRegistered)
    row = get_dataset(ledger.context(), event.dataset)
    assert row is not None
    assert (row.owner, row.registered_by) == (ledger.id("alpha"), ledger.id("dana"))
    assert (row.row_count, row.synthetic, row.withdrawn_ms) == (1_000, True, 0)
    assert row.registered_ms == ledger.head.time_ms
    assert find_dataset(ledger.context(), ledger.id("alpha"), "payments", 3) == event.dataset
    assert find_dataset(ledger.context(), ledger.id("alpha"), "payments", 4) is None
    ((time_ms, change),) = list_changes(ledger.context())
    assert (time_ms, change.action, change.dataset) == (
        ledger.head.time_ms,
        "registered",
        event.dataset,
    )


def test_registering_is_refused_in_order(ledger: Harness) -> None:
    register_dataset(ledger)
    again = dataset_message()
    ledger.submit("ann", Suspend(ledger.id("dana"), None))
    ledger.submit("dana", again)
    assert ledger.block()[1].codes == ("identity/suspended",)
    ledger.refused("dev", again, "identity/missing_role")
    # Another organisation has its own names.
    assert ledger.run("dora", again).ok
    ledger.refused("dora", again, "data/dataset_exists")


def test_withdrawing_is_refused_in_order(ledger: Harness) -> None:
    dataset = register_dataset(ledger)
    ledger.refused("dev", WithdrawDataset(NOBODY), "identity/missing_role")
    ledger.refused("dora", WithdrawDataset(NOBODY), "data/dataset_not_found")
    ledger.refused("dora", WithdrawDataset(dataset), "data/not_owner")
    outcome = ledger.done("dana", WithdrawDataset(dataset))
    assert outcome.event(DatasetWithdrawn).dataset == dataset
    # That it is withdrawn comes before whose it is.
    ledger.refused("dora", WithdrawDataset(dataset), "data/dataset_withdrawn")
    actions = [change.action for _, change in list_changes(ledger.context())]
    assert actions == ["registered", "withdrawn"]


def test_granting_is_refused_in_order(ledger: Harness) -> None:
    dataset = register_dataset(ledger)
    past = GrantUse(NOBODY, NOBODY, "training", START_MS)
    ledger.refused("dev", past, "identity/missing_role")
    ledger.refused("dora", past, "data/dataset_not_found")
    ledger.refused("dora", GrantUse(dataset, NOBODY, "training", START_MS), "data/not_owner")
    wrong = GrantUse(dataset, NOBODY, "training", START_MS)
    ledger.refused("dana", wrong, "identity/unknown_account")
    late = GrantUse(dataset, ledger.id("dirk"), "training", START_MS)
    ledger.refused("dana", late, "data/consent_in_past")
    grant = GrantUse(dataset, ledger.id("dirk"), "training", FAR_MS)
    assert ledger.done("dana", grant).event(UseGranted).until_ms == FAR_MS
    ledger.done("dana", WithdrawDataset(dataset))
    ledger.refused("dana", grant, "data/dataset_withdrawn")


def test_revoking_is_refused_in_order(ledger: Harness) -> None:
    dataset = register_dataset(ledger)
    dirk = ledger.id("dirk")
    revoke = RevokeUse(dataset, dirk, "training")
    ledger.refused("dev", revoke, "identity/missing_role")
    ledger.refused("dora", RevokeUse(NOBODY, dirk, "training"), "data/dataset_not_found")
    ledger.refused("dora", revoke, "data/not_owner")
    ledger.refused("dana", revoke, "data/consent_not_found")
    ledger.done("dana", GrantUse(dataset, dirk, "training", FAR_MS))
    ledger.refused("dana", RevokeUse(dataset, dirk, "audit"), "data/consent_not_found")
    ledger.done("dana", revoke)
    ledger.refused("dana", revoke, "data/consent_not_found")
    consent = get_consent(ledger.context(), dataset, dirk, "training")
    assert consent is not None
    assert consent.revoked_ms > consent.granted_ms


def test_a_use_needs_a_consent_that_stands(ledger: Harness) -> None:
    dataset = register_dataset(ledger)
    dirk = ledger.id("dirk")
    use = RecordUse(dataset, "training", REFERENCE)
    ledger.refused("dirk", RecordUse(NOBODY, "training", REFERENCE), "data/dataset_not_found")
    ledger.refused("dirk", use, "data/use_not_allowed")
    ledger.done("dana", GrantUse(dataset, dirk, "training", ledger.head.time_ms + 5_000))
    assert ledger.done("dirk", use).event(UseRecorded).account == dirk
    ledger.refused("dirk", RecordUse(dataset, "audit", REFERENCE), "data/use_not_allowed")
    ledger.refused("berta", use, "data/use_not_allowed")
    ledger.block(advance_ms=5_000)
    ledger.refused("dirk", use, "data/use_not_allowed")
    ledger.done("dana", GrantUse(dataset, dirk, "training", FAR_MS))
    ledger.done("dirk", use)
    ledger.done("dana", RevokeUse(dataset, dirk, "training"))
    ledger.refused("dirk", use, "data/use_not_allowed")
    ledger.done("dana", WithdrawDataset(dataset))
    ledger.refused("dirk", use, "data/dataset_withdrawn")


def test_the_consent_ends_at_its_time_and_not_after(ledger: Harness) -> None:
    dataset = register_dataset(ledger)
    until_ms = ledger.head.time_ms + 10_000
    ledger.done("dana", GrantUse(dataset, ledger.id("dirk"), "training", until_ms))
    use = RecordUse(dataset, "training", REFERENCE)
    ledger.submit("dirk", use)
    assert ledger.block(time_ms=until_ms - 1)[0].ok
    ledger.submit("dirk", use)
    assert ledger.block(time_ms=until_ms)[0].codes == ("data/use_not_allowed",)


def test_the_owners_own_people_need_no_consent(ledger: Harness) -> None:
    dataset = register_dataset(ledger)
    ledger.done("pia", RecordUse(dataset, "training", REFERENCE))
    ((_, entry),) = list_consents(ledger.context(), dataset)
    assert (entry.action, entry.account, entry.until_ms) == ("used", ledger.id("pia"), 0)


def test_the_series_tells_every_grant_use_and_revocation_in_order(ledger: Harness) -> None:
    dataset = register_dataset(ledger)
    dirk = ledger.id("dirk")
    ledger.done("dana", GrantUse(dataset, dirk, "training", FAR_MS))
    ledger.done("dirk", RecordUse(dataset, "training", REFERENCE))
    ledger.done("dana", RevokeUse(dataset, dirk, "training"))
    entries = [entry for _, entry in list_consents(ledger.context(), dataset)]
    assert [entry.action for entry in entries] == ["granted", "used", "revoked"]
    assert [entry.by for entry in entries] == [ledger.id("dana"), dirk, ledger.id("dana")]
    assert entries[1].reference == REFERENCE
    page = list_consents(ledger.context(), dataset, start=1, limit=1)
    assert [entry.action for _, entry in page] == ["used"]


def test_a_suspended_person_uses_nothing(ledger: Harness) -> None:
    dataset = register_dataset(ledger)
    ledger.submit("ann", Suspend(ledger.id("pia"), None))
    ledger.submit("pia", RecordUse(dataset, "training", REFERENCE))
    assert ledger.block()[1].codes == ("identity/suspended",)
