"""Keys, members, roles, policies, approvals and parameters through the real commands."""

from pathlib import Path

import pytest

from tests.cli.conftest import Shell


def test_everybody_who_founded_is_listed(cairn: Shell) -> None:
    rows = {row["name"]: row for row in cairn.json("org show")}
    assert set(rows) == {
        "bank-a",
        *(f"bank-a/{n}" for n in ["carl", "core", "dana", "dirk", "rita", "vera"]),
    }
    assert rows["bank-a/vera"]["roles"] == ["admin", "validator"]
    assert len(rows["bank-a"]["account"]) == 40


def test_a_new_member_gets_a_key_a_role_and_may_act(cairn: Shell) -> None:
    cairn("key new tom")
    cairn("key new tom", code=2)
    assert cairn("key show tom").out.startswith("did:key:z6Mk")
    ran = cairn("bank asset create usd --as tom", code=2)
    assert "not registered on this ledger" in ran.err
    cairn("org member add tom --role risk --as rita", code=1)
    cairn("org member add tom --role risk --as vera")
    cairn("bank asset create usd --as tom", code=1)
    cairn("org role grant tom treasurer --as vera")
    cairn("bank asset create usd --as tom")
    cairn("org role revoke tom treasurer --as vera")
    cairn("bank asset create chf --as tom", code=1)
    cairn("org member suspend tom --as vera --yes")
    ran = cairn("rule switch off --as tom --yes", code=1)
    assert "ledger/unknown_key" in ran.err
    cairn("org member reinstate tom --as carl")
    cairn("rule switch off --as tom --yes")


def test_a_key_is_rotated_and_the_old_one_kept(cairn: Shell) -> None:
    before = cairn("key show core").out
    rotated = cairn.json("key rotate core")
    assert cairn("key show core").out.strip() == rotated["key"] != before.strip()
    cairn("bank asset create usd --as core")
    assert len(list(Path("keys/retired").glob("core-*.json"))) == 1
    assert not Path("keys/core.next").exists()
    own = {row["name"]: row for row in cairn.json("key list")}
    assert own["core"]["from_height"] == rotated["speaks_from"]
    ran = cairn("key revoke core --as core --yes", code=1)
    assert "identity/last_key" in ran.err


def test_a_refused_rotation_leaves_the_key_as_it_was(cairn: Shell) -> None:
    before = Path("keys/rita.json").read_bytes()
    cairn("org member suspend rita --as vera --yes")
    cairn("key rotate rita", code=1)
    assert Path("keys/rita.json").read_bytes() == before
    assert sorted(p.name for p in Path("keys").iterdir()) == [
        f"{name}.json" for name in ("carl", "core", "dana", "dirk", "rita", "vera")
    ]


def test_a_second_key_is_added_and_revoked(cairn: Shell) -> None:
    cairn("key new spare")
    cairn("key add spare --as rita")
    keys = [row["key"] for row in cairn.json("key list rita")]
    assert len(keys) == 2
    cairn("rule switch off --as spare --yes")
    cairn(f"key revoke {keys[0]} --as spare --yes")
    ran = cairn("rule switch on --as rita --yes", code=2)
    assert "stopped speaking" in ran.err
    cairn("rule switch on --as spare --yes")


def test_lost_keys_are_recovered_by_two_people(cairn: Shell) -> None:
    cairn("key new again")
    ran = cairn("key recover core again --proposal lost-1 --as rita", code=1)
    assert "2 more of 2 have to approve" in ran.err
    cairn("key recover core again --proposal lost-1 --as rita --approve")
    cairn("key recover core again --proposal lost-1 --as carl --approve")
    cairn("key recover core again --proposal lost-1 --as rita")
    cairn("bank asset create usd --as again")
    cairn("bank asset create chf --as core", code=2)


def test_a_parameter_is_set_by_governance(cairn: Shell) -> None:
    line = "org parameters set bank.hold_ms_max 5000 --proposal p1"
    ran = cairn(f"{line} --as rita", code=1)
    subject = ran.err.strip().rpartition(" ")[2]
    cairn(f"{line} --as rita --approve")
    standing = cairn.json(f"org approve governance {subject} --as vera")
    assert standing["missing"] == 1
    assert sorted(standing["approved_by"]) == ["bank-a/rita", "bank-a/vera"]
    cairn(f"org withdraw governance {subject} --as vera")
    cairn(f"org approve governance {subject} --as dana")
    cairn(f"org approve governance {subject} --as carl")
    assert cairn.json(f"org approvals governance {subject}")["missing"] == 0
    cairn(f"{line} --as rita")
    rows = {row["parameter"]: row for row in cairn.json("org parameters show bank")}
    assert rows["bank.hold_ms_max"]["value"] == 5000
    assert rows["bank.freeze_ms_max"]["value"] == rows["bank.freeze_ms_max"]["default"]
    assert cairn.json(f"org approvals governance {subject}")["spent"] is True
    ran = cairn("org parameters set bank.nothing 1 --proposal p2 --as rita --approve")
    cairn("org approvals nothing", "00" * 32, code=2)


def test_a_policy_is_changed_by_governance(cairn: Shell) -> None:
    line = "org policy set rules --threshold 1 --role risk --author-counts --proposal p1"
    for person in ("rita", "vera", "dana"):
        cairn(f"{line} --approve --as {person}")
    cairn(f"{line} --as rita")
    rows = {row["policy"]: row for row in cairn.json("org policy show")}
    assert (rows["rules"]["threshold"], rows["rules"]["roles"]) == (1, ["risk"])
    assert rows["models"]["threshold"] == 3


def test_a_delegate_may_act(cairn: Shell) -> None:
    cairn("bank issue eur core 10 --as core --yes")
    cairn("bank transfer core rita 1 eur --as dana --yes", code=1)
    cairn("org delegate dana --message bank/transfer --until-height 9000 --as core")
    cairn("bank transfer core rita 1 eur --as dana --yes")
    cairn("org delegate dana --message bank/transfer --until-height 9000 --as core --end")
    cairn("bank transfer core rita 1 eur --as dana --yes", code=1)


@pytest.mark.parametrize("variable", ["CAIRN_AS"])
def test_who_acts_may_stand_in_the_environment(
    cairn: Shell, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "core")
    cairn("bank asset create usd")
