"""Accounts by name, ids by their first digits, customers by pseudonyms."""

import pytest

from cairn.modules.bank.messages import OpenAccounts
from cairn.modules.bank.records import ACCOUNTS
from cairn.modules.identity.records import member_id, organisation_id
from cairn.sdk.errors import NotFoundError, UsageError
from cairn.sdk.names import (
    Names,
    account_of_customer,
    customer_pseudonym,
    find_id,
    short_id,
)
from tests.sdk.conftest import ClientOf

HOME = organisation_id("bank-a")


def test_names_both_ways(client_of: ClientOf) -> None:
    reader = client_of("core")
    names = Names(reader, {"alice": b"a" * 20}, HOME)
    rita = member_id(HOME, "rita")
    assert names.find("rita") == names.find("bank-a/rita") == rita
    assert names.find(rita.hex()) == rita
    assert names.find("bank-a") == HOME
    assert names.find("customer:alice") == b"a" * 20
    assert (names.show(rita), names.show(b"a" * 20)) == ("bank-a/rita", "customer:alice")
    assert names.show(b"z" * 20) == short_id(b"z" * 20)


@pytest.mark.parametrize("text", ["nobody", "", "customer:zoe", "00" * 19, "RITA"])
def test_nobody_of_that_name(text: str, client_of: ClientOf) -> None:
    names = Names(client_of("core"), {}, HOME)
    with pytest.raises(NotFoundError, match="no account") as caught:
        names.find(text)
    assert "bank-a/rita" in caught.value.hint


def test_ids_by_their_first_digits(client_of: ClientOf) -> None:
    core = client_of("core")
    pseudonyms = tuple(bytes((number,)) * 20 for number in range(40))
    core.submit(OpenAccounts(core.account, pseudonyms))
    accounts = [row.key[0] for row in core.scan(ACCOUNTS)]
    for account in accounts[:5]:
        for digits in (7, 12, 40):
            assert find_id(core, ACCOUNTS, account.hex()[:digits], "an account") == account
    assert find_id(core, ACCOUNTS, accounts[0].hex().upper(), "an account") == accounts[0]
    with pytest.raises(NotFoundError, match="there is no account"):
        find_id(core, ACCOUNTS, "0" * 40, "an account")
    for wrong in ("12345", "zzzzzz", "", "0" * 41):
        with pytest.raises(UsageError, match="not the id of an account"):
            find_id(core, ACCOUNTS, wrong, "an account")


def test_a_pseudonym_does_not_move() -> None:
    found = customer_pseudonym(bytes(range(32)), "bank-a", "customer-1").hex()
    assert found == "a83ee14566c5a4875b3d5ccb4f03623e9c44a589"


def test_pseudonyms_need_the_key_and_differ_between_ledgers() -> None:
    key = b"k" * 32
    first = customer_pseudonym(key, "ledger-1", "alice")
    assert first == customer_pseudonym(key, "ledger-1", "alice")
    others = [
        customer_pseudonym(key, "ledger-1", "bob"),
        customer_pseudonym(key, "ledger-2", "alice"),
        customer_pseudonym(b"l" * 32, "ledger-1", "alice"),
        customer_pseudonym(key, "ledger-1a", "lice"),
    ]
    assert len({first, *others}) == 5
    assert account_of_customer(key, "ledger-1", HOME, "alice") != first
