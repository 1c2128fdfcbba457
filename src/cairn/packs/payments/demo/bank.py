"""The demo's bank: its people, its ledger, and a node that a supervisor's witness watches."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cairn.evidence.trust import Trust, TrustedWitness
from cairn.modules.bank.records import customer_account
from cairn.modules.identity.records import GOVERNANCE, RECOVERY, Policy, member_id, organisation_id
from cairn.packs.payments.demo.errors import DemoError
from cairn.packs.payments.demo.folder import DemoFolder
from cairn.packs.payments.demo.source import DemoPayments
from cairn.primitives.checkpoints import ED25519, verifier_key
from cairn.primitives.ids import AccountId
from cairn.primitives.signatures import SigningKey
from cairn.sdk.charters import Member, Plan
from cairn.sdk.client import Client
from cairn.sdk.founding import found_workspace
from cairn.sdk.keys import generate_key
from cairn.sdk.local import LocalConnection, LocalWitness
from cairn.sdk.names import customer_pseudonym
from cairn.sdk.workspace import Workspace

ORGANISATION = "bank"
PASSPHRASE = "cairn demo"  # noqa: S105 - the keys are new in every run and guard nothing
WITNESS_NAME = "supervisor.example/witness"
APPROVER = "approver"
MODELS, RULES = "models", "rules"

DATA_OWNER, DEVELOPER, VALIDATOR, RISK, COMPLIANCE = "dana", "dirk", "vera", "rita", "carl"
OFFICER = "cora"
"""The second officer of compliance, who answers appeals."""
SERVICE = "payments"
"""The service that operates the customers' accounts and signs their payments."""
RAIL = "rail"
"""The system that settles instant payments outside of the ledger, and says what it did."""

MEMBERS = (
    Member(DATA_OWNER, (APPROVER, "data-owner")),
    Member(DEVELOPER, (APPROVER, "developer")),
    Member(VALIDATOR, ("admin", APPROVER, "validator")),
    Member(RISK, (APPROVER, "risk")),
    Member(COMPLIANCE, (APPROVER, "compliance")),
    Member(OFFICER, ("compliance",)),
    Member(SERVICE, ("treasurer",), "service"),
    Member(RAIL, ("executor",), "service"),
)
POLICIES = {
    MODELS: Policy(3, (APPROVER,), False, False),
    RULES: Policy(3, (APPROVER,), False, False),
    GOVERNANCE: Policy(3, (APPROVER,), True, False),
    RECOVERY: Policy(3, (APPROVER,), True, False),
}

ANSWER_SECONDS = 5
"""How long the rail has, in the demo, to say what it did."""

NODE_FLAGS: Mapping[str, int | str | tuple[str, ...]] = {
    "witnesses.interval_ms": 500,
    "storage.checkpoint_rows": 400_000,
}


@dataclass
class DemoBank:
    """The bank's workspace, the keys of its people, and its running node."""

    folder: DemoFolder
    workspace: Workspace
    chain_id: str
    node_key: SigningKey
    keys: dict[str, SigningKey]
    witness: LocalWitness
    trust: Trust
    pseudonym_key: bytes
    accounts: dict[str, AccountId] = field(default_factory=dict)
    """Accounts of customers and merchants by their name in the data, which stays in the bank."""
    aliases: dict[str, AccountId] = field(default_factory=dict)
    """Pseudonyms by name, each computed once."""
    _connection: LocalConnection | None = None
    _clients: dict[str, Client] = field(default_factory=dict)

    @property
    def connection(self) -> LocalConnection:
        """The running node.

        Raises:
            DemoError: It is closed.
        """
        if self._connection is None:
            raise DemoError("the bank's node is closed")
        return self._connection

    def open_node(self) -> None:
        """Start the node, watched by the witness."""
        flags = {**NODE_FLAGS, "witnesses.peers": (self.witness.peer,)}
        self._connection = LocalConnection.open(
            self.workspace.directory, self.node_key, flags=flags
        )

    def close_node(self) -> None:
        """Stop the node in good order, if it runs."""
        connection, self._connection = self._connection, None
        self._clients.clear()
        if connection is not None:
            connection.close()

    def close(self) -> None:
        """Stop node and witness."""
        self.close_node()
        self.witness.close()

    def account(self, member: str) -> AccountId:
        """Return the account of one of the bank's members."""
        return member_id(organisation_id(ORGANISATION), member)

    def client(self, member: str) -> Client:
        """Return a client that signs as one of the bank's members."""
        if member not in self._clients:
            self._clients[member] = Client(self.connection, self.account(member), self.keys[member])
        return self._clients[member]

    def alias(self, name: str) -> AccountId:
        """Return the pseudonym of a customer, merchant or terminal on this ledger."""
        if name not in self.aliases:
            raw = customer_pseudonym(self.pseudonym_key, self.chain_id, name)
            self.aliases[name] = AccountId(raw)
        return self.aliases[name]

    def customer(self, name: str) -> AccountId:
        """Return the account of a customer or merchant, which follows from the pseudonym."""
        if name not in self.accounts:
            self.accounts[name] = customer_account(self.account(SERVICE), self.alias(name))
        return self.accounts[name]


def found_bank(folder: DemoFolder, data: DemoPayments) -> DemoBank:
    """Found the bank's ledger and the supervisor's witness, with new keys, and start both.

    Raises:
        CairnError: A folder or port cannot be used.
    """
    plan = Plan(
        name="demo-bank",
        organisation=ORGANISATION,
        members=MEMBERS,
        policies=POLICIES,
        purpose="To hold risky payments before they settle, and to let anybody check it.",
        assets=((data.asset, data.decimals),),
        parameters={
            "bank.booked_at_skew_ms_max": 0,
            "decisions.answer_ms_max": ANSWER_SECONDS * 1000,
            "rules.backtest_required": 1,
        },
    )
    workspace = found_workspace(folder.bank, plan, PASSPHRASE)
    chain_id = workspace.chain_id
    node_key = workspace.open_node_key(PASSPHRASE)
    keys = {member.name: workspace.open_key(member.name, PASSPHRASE) for member in MEMBERS}
    witness_key = generate_key()
    witness = LocalWitness(folder.witness, WITNESS_NAME, witness_key)
    witness.watch(verifier_key(chain_id, ED25519, node_key.public_key))
    founded = workspace.trust()
    trust = Trust(
        founded.chain_id,
        founded.genesis_digest,
        founded.validators,
        founded.trusting_period_ms,
        (TrustedWitness(WITNESS_NAME, witness_key.public_key),),
        1,
        None,
    )
    workspace.save_trust(trust)
    bank = DemoBank(
        folder, workspace, chain_id, node_key, keys, witness, trust, workspace.pseudonym_key()
    )
    try:
        bank.open_node()
    except BaseException:
        witness.close()
        raise
    return bank
