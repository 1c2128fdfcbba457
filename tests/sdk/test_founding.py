"""Founding: what a plan must say, and that a failure leaves nothing behind."""

from dataclasses import replace
from pathlib import Path

import pytest

from cairn.modules.identity.records import Policy
from cairn.sdk.charters import DEFAULT_MEMBERS, DEFAULT_POLICIES, Member, Plan
from cairn.sdk.errors import UsageError
from cairn.sdk.founding import found_workspace
from cairn.sdk.workspace import Workspace
from tests.sdk.conftest import CHEAP, PASSPHRASE, PLAN


def test_the_charter_says_what_was_planned(founded: Path) -> None:
    charter, chain_id = Workspace(founded).charter()
    assert chain_id.startswith("bank-a-")
    assert len(charter.founders) == 5
    assert [name for name, _ in charter.sections] == ["bank", "identity"]
    assert charter.purpose == "tests"


def test_two_foundings_share_no_key_and_no_chain(founded: Path, tmp_path: Path) -> None:
    other = found_workspace(tmp_path / "bank", PLAN, PASSPHRASE, cost=CHEAP)
    first = Workspace(founded)
    assert other.chain_id != first.chain_id
    assert not set(other.people().values()) & set(first.people().values())


NOT_ACCEPTABLE = [
    (replace(PLAN, name="Bank A"), "not a ledger's name"),
    (replace(PLAN, name="a" * 18), "not a ledger's name"),
    (replace(PLAN, organisation="Bank"), "'Bank' is not a name"),
    (replace(PLAN, members=(*DEFAULT_MEMBERS, Member("rita", ("risk",)))), "named twice"),
    (replace(PLAN, members=DEFAULT_MEMBERS[:2]), "nobody has the role admin"),
    (replace(PLAN, members=(Member("ann", ("Admin",)),)), "'Admin' is not a name"),
    (
        replace(PLAN, policies={**DEFAULT_POLICIES, "models": Policy(6, ("risk",), True, False)}),
        "asks for 6 people, and 1 hold",
    ),
    (
        replace(PLAN, policies={"models": DEFAULT_POLICIES["models"]}),
        "policy governance is missing",
    ),
    (replace(PLAN, members=(Member("core", ("admin", "risk"), "service"),)), "asks for"),
    (replace(PLAN, parameters={"bank.nothing": 1}), "refuse the charter"),
    (replace(PLAN, parameters={"bank.hold_ms_max": -1}), "refuse the charter"),
]


@pytest.mark.parametrize(("plan", "message"), NOT_ACCEPTABLE, ids=lambda value: str(value)[:40])
def test_what_cannot_be_founded_is_told_and_leaves_nothing(
    plan: Plan, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        found_workspace(tmp_path / "bank", plan, PASSPHRASE, cost=CHEAP)
    assert list(tmp_path.iterdir()) == []


def test_only_services_cannot_found(tmp_path: Path) -> None:
    policy = Policy(1, ("admin",), True, False)
    plan = replace(
        PLAN,
        members=(Member("core", ("admin",), "service"),),
        policies=dict.fromkeys(("governance", "recovery"), policy),
    )
    with pytest.raises(UsageError, match="no person"):
        found_workspace(tmp_path / "bank", plan, PASSPHRASE, cost=CHEAP)


def test_a_directory_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        found_workspace(tmp_path, PLAN, PASSPHRASE, cost=CHEAP)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_an_empty_directory_will_do(tmp_path: Path) -> None:
    (tmp_path / "bank").mkdir()
    found_workspace(tmp_path / "bank", PLAN, PASSPHRASE, cost=CHEAP)
    assert (tmp_path / "bank" / "charter.cairn").is_file()


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be"):
        found_workspace(tmp_path / "file" / "bank", PLAN, PASSPHRASE, cost=CHEAP)
