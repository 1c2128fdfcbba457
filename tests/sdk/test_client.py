"""The client against a real node: numbers, refusals, finality, and nothing believed unproved."""

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from cairn.engine.base import Outcome
from cairn.ledger.messages import Message
from cairn.ledger.transactions import ATOMIC, INDEPENDENT
from cairn.modules.bank.events import AccountsOpened, AssetIssued, HoldPlaced
from cairn.modules.bank.messages import Issue, OpenAccounts, Transfer
from cairn.modules.bank.records import (
    ACCOUNTS,
    BALANCES,
    FREEZE_SERIES,
    HOLD_SERIES,
    Balance,
    BankAccount,
)
from cairn.modules.data.records import CHANGES
from cairn.modules.identity.messages import GrantRole
from cairn.modules.identity.records import APPROVAL_SERIES, member_id, organisation_id
from cairn.node.api import Connection, ProofRequest, Proofs, RowPage
from cairn.primitives.encoding import encode, replace
from cairn.sdk.client import Client
from cairn.sdk.errors import NotFoundError, ProtocolError, RejectedError, UsageError
from cairn.sdk.local import LocalConnection
from cairn.sdk.outcomes import open_receipt
from cairn.sdk.reading import Reader
from cairn.sdk.workspace import Workspace
from tests.modules.founding import dataset_message
from tests.sdk.conftest import PASSPHRASE, ClientOf

CORE = member_id(organisation_id("bank-a"), "core")


def opened(core: Client, *names: bytes) -> tuple[bytes, ...]:
    """Open customers' accounts; return them."""
    pseudonyms = tuple(name.ljust(20, b".") for name in names)
    return core.submit(OpenAccounts(core.account, pseudonyms)).event(AccountsOpened).accounts


def paying(core: Client, payer: bytes, payee: bytes, units: int) -> Transfer:
    return Transfer(payer, payee, "eur", units, core.head().time_ms, b"r" * 32)


def test_a_transaction_takes_effect_and_its_outcome_is_proved(client_of: ClientOf) -> None:
    core = client_of("core")
    alice, bob = opened(core, b"alice", b"bob")
    final = core.submit(Issue("eur", alice, 1_000), paying(core, alice, bob, 250))
    assert final.event(AssetIssued).amount_units == 1_000
    assert final.find(HoldPlaced) is None
    assert core.require(BALANCES, alice, "eur") == Balance(750, 0, 0)
    assert core.outcome(final.transaction_id) == final
    assert core.outcome(b"\0" * 32) is None


def test_a_refusal_names_its_code_and_undoes_everything(client_of: ClientOf) -> None:
    core = client_of("core")
    alice, bob = opened(core, b"alice", b"bob")
    with pytest.raises(RejectedError) as caught:
        core.submit(Issue("eur", alice, 100), paying(core, alice, bob, 101))
    assert caught.value.code == "bank/insufficient_funds"
    assert caught.value.hint
    assert core.get(BALANCES, alice, "eur") is None


def test_each_operation_may_stand_alone(client_of: ClientOf) -> None:
    core = client_of("core")
    alice, bob = opened(core, b"alice", b"bob")
    outcomes = core.submit_each(Issue("eur", alice, 100), paying(core, alice, bob, 101))
    assert [one.code for one in outcomes] == ["ok", "bank/insufficient_funds"]
    outcomes[0].check()
    with pytest.raises(RejectedError, match="fewer available units"):
        outcomes[1].check()
    assert core.require(BALANCES, alice, "eur").available == 100


def test_many_transactions_keep_their_order(client_of: ClientOf) -> None:
    core = client_of("core")
    alice, bob = opened(core, b"alice", b"bob")
    batches: list[Sequence[Message]] = [[Issue("eur", alice, 10)]]
    batches += [[paying(core, alice, bob, 1)] for _ in range(12)]
    finals = core.submit_many(batches, mode=ATOMIC)
    codes = [final.operations[0].code for final in finals]
    assert codes == ["ok"] * 11 + ["bank/insufficient_funds"] * 2
    assert [(f.height, f.position) for f in finals] == sorted(
        (f.height, f.position) for f in finals
    )


def test_clients_that_share_a_lane_recover(
    workspace: Workspace, local: LocalConnection, client_of: ClientOf
) -> None:
    key = workspace.open_key("core", PASSPHRASE)
    first, second = (Client(local, CORE, key, lanes=(3,)) for _ in range(2))
    (alice,) = opened(first, b"alice")
    for client in (first, second, second, first, second, first):
        client.submit(Issue("eur", alice, 1))
    assert first.require(BALANCES, alice, "eur").available == 6


def test_threads_use_lanes_of_their_own(client_of: ClientOf) -> None:
    core = client_of("core")
    (alice,) = opened(core, b"alice")
    errors: list[Exception] = []

    def issue() -> None:
        try:
            for _ in range(5):
                core.submit(Issue("eur", alice, 1))
        except RejectedError as error:
            errors.append(error)

    threads = [threading.Thread(target=issue) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert core.require(BALANCES, alice, "eur").available == 30


def test_a_key_that_speaks_for_nobody_is_refused(
    workspace: Workspace, local: LocalConnection
) -> None:
    stranger = Client(local, CORE, workspace.open_key("rita", PASSPHRASE))
    with pytest.raises(RejectedError) as caught:
        stranger.submit(Issue("eur", CORE, 1))
    assert caught.value.code == "ledger/unknown_key"


def test_an_empty_or_oversized_transaction_is_refused_here(client_of: ClientOf) -> None:
    core = client_of("core")
    with pytest.raises(UsageError, match="needs an operation"):
        core.submit()
    many = [OpenAccounts(CORE, tuple(bytes((n, i)) * 10 for i in range(256))) for n in range(20)]
    with pytest.raises(UsageError, match="more than 65536"):
        core.submit(*many)
    (alice,) = opened(core, b"alice")
    assert core.submit(Issue("eur", alice, 1)).code == "ok"


def test_rows_are_scanned_in_order_and_page_by_page(client_of: ClientOf) -> None:
    core = client_of("core")
    names = [b"%03d" % number for number in range(250)]
    accounts = opened(core, *names)
    found = list(core.scan(ACCOUNTS))
    assert [row.key[0] for row in found] == sorted(accounts)
    assert all(row.record == BankAccount(CORE, 0) for row in found)
    assert len(list(core.scan(ACCOUNTS, limit=201))) == 201
    assert [row.key[0] for row in core.scan(ACCOUNTS, accounts[7])] == [accounts[7]]


def test_series_and_ranges(client_of: ClientOf) -> None:
    owner = client_of("dana")
    assert list(owner.series(CHANGES)) == []
    finals = [owner.submit(dataset_message(version=number)) for number in range(1, 6)]
    entries = list(owner.series(CHANGES))
    assert [entry.time_ms for entry in entries] == [final.time_ms for final in finals]
    assert [entry.position for entry in owner.series(CHANGES, start=1, limit=3)] == [1, 2, 3]
    middle = owner.range(CHANGES, from_ms=finals[1].time_ms, until_ms=finals[3].time_ms)
    assert middle == tuple(entries[1:3])
    plain = Reader(owner.connection)
    assert plain.range(CHANGES, from_ms=finals[1].time_ms, until_ms=finals[3].time_ms) == middle
    assert owner.range(HOLD_SERIES, from_ms=0, until_ms=1) == ()
    assert owner.series_size(FREEZE_SERIES) == 0
    assert list(owner.series(APPROVAL_SERIES, "models", b"s" * 32)) == []


def test_what_is_not_there(client_of: ClientOf) -> None:
    core = client_of("core")
    assert core.get(ACCOUNTS, b"a" * 20) is None
    with pytest.raises(NotFoundError, match="no bank/account 6161"):
        core.require(ACCOUNTS, b"a" * 20)


class Lying:
    """A node whose answers are bent on their way."""

    def __init__(self, honest: LocalConnection) -> None:
        self._honest = honest

    def __getattr__(self, name: str) -> Any:
        return getattr(self._honest, name)


class ForgedRow(Lying):
    def prove(self, request: ProofRequest) -> Proofs:
        proofs = self._honest.prove(request)
        forged = encode(Balance(10**9, 0, 0))
        return replace(proofs, states=tuple(replace(s, value=forged) for s in proofs.states))


class HiddenRow(Lying):
    def prove(self, request: ProofRequest) -> Proofs:
        proofs = self._honest.prove(request)
        return replace(proofs, states=tuple(replace(s, value=None) for s in proofs.states))


class OtherRow(Lying):
    def prove(self, request: ProofRequest) -> Proofs:
        other = [replace(query, key=query.key + b"x") for query in request.queries]  # type: ignore[union-attr]
        return self._honest.prove(replace(request, queries=tuple(other)))


class FewerProofs(Lying):
    def prove(self, request: ProofRequest) -> Proofs:
        return replace(self._honest.prove(request), states=())


class OldHead(Lying):
    first: Proofs | None = None

    def prove(self, request: ProofRequest) -> Proofs:
        proofs = self._honest.prove(request)
        self.first = self.first or proofs
        return self.first


class ForgedHead(Lying):
    def prove(self, request: ProofRequest) -> Proofs:
        proofs = self._honest.prove(request)
        return replace(proofs, head=replace(proofs.head, history_size=proofs.head.history_size + 1))


class ListedRow(Lying):
    def rows(self, prefix: bytes, *, cursor: bytes, limit: int) -> RowPage:
        page = self._honest.rows(prefix, cursor=cursor, limit=limit)
        return replace(page, rows=(*page.rows, (prefix + b"\x14" + b"z" * 20, page.rows[0][1])))


class ForgedOutcome(Lying):
    def submit(self, raws: Sequence[bytes], *, wait_ms: int) -> list[Outcome]:
        return [replace(o, height=o.height + 1) for o in self._honest.submit(raws, wait_ms=wait_ms)]


class NoOutcome(Lying):
    def submit(self, raws: Sequence[bytes], *, wait_ms: int) -> list[Outcome]:
        return self._honest.submit(raws, wait_ms=wait_ms)[:-1]


def lied_to(kind: type[Lying], workspace: Workspace, local: LocalConnection) -> Client:
    key = workspace.open_key("core", PASSPHRASE)
    liar: Any = kind(local)
    connection: Connection = liar
    return Client(connection, CORE, key, trust=workspace.trust())


@pytest.mark.parametrize("kind", [ForgedRow, HiddenRow, OtherRow, FewerProofs, ForgedHead])
def test_a_bent_row_is_noticed(
    kind: type[Lying], workspace: Workspace, local: LocalConnection, client_of: ClientOf
) -> None:
    core = client_of("core")
    (alice,) = opened(core, b"alice")
    core.submit(Issue("eur", alice, 5))
    with pytest.raises(ProtocolError):
        lied_to(kind, workspace, local).get(BALANCES, alice, "eur")


def test_an_invented_row_of_a_listing_is_noticed(
    workspace: Workspace, local: LocalConnection, client_of: ClientOf
) -> None:
    opened(client_of("core"), b"alice")
    with pytest.raises(ProtocolError, match="not there"):
        list(lied_to(ListedRow, workspace, local).scan(ACCOUNTS))


def test_a_node_that_goes_back_is_noticed(
    workspace: Workspace, local: LocalConnection, client_of: ClientOf
) -> None:
    core = client_of("core")
    (alice,) = opened(core, b"alice")
    liar = lied_to(OldHead, workspace, local)
    assert liar.get(BALANCES, alice, "eur") is None
    core.submit(Issue("eur", alice, 5))
    proved = core.newest_head()[1]
    liar._proved_height = proved.height
    with pytest.raises(ProtocolError, match="went back"):
        liar.get(BALANCES, alice, "eur")


@pytest.mark.parametrize("kind", [ForgedOutcome, NoOutcome])
def test_a_bent_outcome_is_noticed(
    kind: type[Lying], workspace: Workspace, local: LocalConnection
) -> None:
    liar = lied_to(kind, workspace, local)
    with pytest.raises(ProtocolError):
        liar.submit(Issue("eur", CORE, 1))


def test_another_ledger_is_noticed(workspace: Workspace, local: LocalConnection) -> None:
    trust = workspace.trust()
    object.__setattr__(trust, "chain_id", "bank-b-" + "a" * 32)
    with pytest.raises(ProtocolError, match="the node serves bank-a-"):
        Reader(local, trust=trust)


def test_without_a_trust_file_nothing_can_be_checked(local: LocalConnection) -> None:
    with pytest.raises(UsageError, match="no trust file"):
        Reader(local).newest_head()


def test_a_receipt_that_does_not_parse_is_refused() -> None:
    with pytest.raises(ProtocolError, match="does not parse"):
        open_receipt(b"\0" * 32, height=1, position=0, time_ms=0, receipt=b"\x00")


def test_modes_are_signed(client_of: ClientOf) -> None:
    vera = client_of("vera")
    rita = member_id(organisation_id("bank-a"), "rita")
    batch = [GrantRole(rita, "risk"), GrantRole(rita, "agent")]
    refused = vera.submit_many([batch], mode=ATOMIC)[0]
    assert [one.code for one in refused.operations] == ["identity/role_held", "ledger/undone"]
    taken = vera.submit_many([batch], mode=INDEPENDENT)[0]
    assert [one.code for one in taken.operations] == ["identity/role_held", "ok"]
