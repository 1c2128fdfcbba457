"""Workspaces with a founded ledger, made once and copied."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from nacl.pwhash import argon2id

from cairn.modules.identity.records import member_id, organisation_id
from cairn.sdk.charters import Plan
from cairn.sdk.client import Client
from cairn.sdk.founding import found_workspace
from cairn.sdk.keys import KeyCost
from cairn.sdk.local import LocalConnection
from cairn.sdk.workspace import Workspace

PASSPHRASE = "four random words here"
CHEAP = KeyCost(argon2id.OPSLIMIT_MIN, argon2id.MEMLIMIT_MIN)
PLAN = Plan(name="bank-a", organisation="bank-a", assets=(("eur", 2),), purpose="tests")

ClientOf = Callable[[str], Client]


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that no test changes."""
    directory = tmp_path_factory.mktemp("founded") / "bank"
    found_workspace(directory, PLAN, PASSPHRASE, cost=CHEAP)
    return directory


@pytest.fixture
def workspace(founded: Path, tmp_path: Path) -> Workspace:
    """A workspace of the test's own."""
    shutil.copytree(founded, tmp_path / "bank")
    return Workspace(tmp_path / "bank")


@pytest.fixture
def local(workspace: Workspace) -> Iterator[LocalConnection]:
    """The workspace's node, in this process."""
    key = workspace.open_node_key(PASSPHRASE)
    with LocalConnection.open(workspace.directory, key) as connection:
        yield connection


@pytest.fixture
def client_of(workspace: Workspace, local: LocalConnection) -> ClientOf:
    """Makes a client of a member, who verifies everything."""

    def make(name: str) -> Client:
        account = member_id(organisation_id("bank-a"), name)
        key = workspace.open_key(name, PASSPHRASE)
        return Client(local, account, key, trust=workspace.trust())

    return make
