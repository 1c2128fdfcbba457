"""What every command has: its options, the workspace, a connection, and somebody to act as.

    @command(app, "balance")
    def balance(session: Session, account: Annotated[str, Argument()]) -> None:
        …

gives the command the options that all commands share, `--dir`, `--as`, `--json` and so on.
"""

import functools
import inspect
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Option

from cairn.cli.output import Output
from cairn.ledger.messages import Message
from cairn.modules.identity.records import ACCOUNTS, KEYS
from cairn.node.api import Connection
from cairn.primitives.signatures import PublicKey
from cairn.sdk.client import Client
from cairn.sdk.connecting import connect
from cairn.sdk.errors import KeyFileError, NotFoundError, UsageError
from cairn.sdk.names import Names
from cairn.sdk.outcomes import Final
from cairn.sdk.passphrases import read_passphrase
from cairn.sdk.reading import Reader
from cairn.sdk.workspace import Workspace, find_workspace

PERSON_VARIABLE = "CAIRN_AS"

Directory = Annotated[
    Path | None,
    Option("--dir", help="The workspace; else CAIRN_DIR, else around here.", show_default=False),
]
Person = Annotated[str, Option("--as", help="Whose key signs; else CAIRN_AS.", show_default=False)]
Address = Annotated[str, Option("--node", help="Address of a running node.", show_default=False)]
PassphraseFile = Annotated[
    Path | None,
    Option("--passphrase-file", help="Its first line opens the keys.", show_default=False),
]
AsJson = Annotated[bool, Option("--json", help="Print JSON.", show_default=False)]
Yes = Annotated[bool, Option("--yes", "-y", help="Do not ask.", show_default=False)]


@dataclass
class Session:
    """One run of a command."""

    directory: Path | None = None
    person: str = ""
    url: str = ""
    passphrase_file: Path | None = None
    as_json: bool = False
    yes: bool = False
    _passphrase: str = field(default="", repr=False)

    @functools.cached_property
    def out(self) -> Output:
        """Where data and talk go."""
        return Output(as_json=self.as_json)

    @functools.cached_property
    def workspace(self) -> Workspace:
        """The workspace that the command is about."""
        return find_workspace(self.directory)

    def passphrase(self, *, confirm: bool = False) -> str:
        """Return the passphrase, asking for it once."""
        if not self._passphrase:
            self._passphrase = read_passphrase(self.passphrase_file, confirm=confirm)
        return self._passphrase

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Yield a connection to the workspace's node."""
        with connect(self.workspace, passphrase=self.passphrase, url=self.url) as connection:
            yield connection

    @contextmanager
    def reader(self) -> Iterator[Reader]:
        """Yield a reader of the workspace's ledger that believes nothing unproved."""
        trust = self.workspace.trust()
        with self.connection() as connection:
            yield Reader(connection, trust=trust)

    @contextmanager
    def client(self) -> Iterator[Client]:
        """Yield a client that acts as the chosen person."""
        name = self.acting()
        key = self.workspace.open_key(name, self.passphrase())
        trust = self.workspace.trust()
        with self.connection() as connection:
            reader = Reader(connection, trust=trust)
            account = account_of(reader, key.public_key, name)
            yield Client(connection, account, key, trust=trust)

    def acting(self) -> str:
        """Return whose key signs.

        Raises:
            UsageError: Nobody was chosen, and the workspace has the keys of several.
        """
        name = self.person or os.environ.get(PERSON_VARIABLE, "")
        if name:
            return name
        people = list(self.workspace.people())
        if len(people) != 1:
            raise UsageError(
                "who acts?", f"choose with --as, or set {PERSON_VARIABLE}: {', '.join(people)}"
            )
        return people[0]

    def names(self, reader: Reader) -> Names:
        """Return the names of the accounts, with the customers that the workspace knows."""
        home = b""
        for key in self.workspace.people().values():
            row = reader.get(KEYS, key)
            if row is not None:
                home = reader.require(ACCOUNTS, row.account).organisation
                break
        return Names(reader, self.workspace.customers(), home)

    def now_ms(self) -> int:
        """Return the time of day, in milliseconds since the epoch."""
        return time.time_ns() // 1_000_000

    def confirm(self, what: str) -> None:
        """Say what a command is about to do, and ask whether it may.

        Raises:
            UsageError: The answer is no, or there is nobody to ask.
        """
        self.out.talk(what)
        if self.yes:
            return
        if not os.isatty(0):
            raise UsageError("not done: there is no terminal to ask at", "give --yes to do it")
        if not typer.confirm("Do it?", default=False, err=True):
            raise UsageError("not done", "give --yes to do it without a question")

    def send(self, client: Client, *messages: Message) -> Final:
        """Submit messages as one transaction, and tell where it stands."""
        final = client.submit(*messages)
        self.out.talk(f"done in block {final.height}, transaction {final.transaction_id.hex()}")
        return final


def account_of(reader: Reader, key: PublicKey, name: str) -> bytes:
    """Return the account that a key speaks for.

    Raises:
        NotFoundError: It speaks for none on this ledger.
        KeyFileError: It no longer speaks.
    """
    row = reader.get(KEYS, key)
    if row is None:
        raise NotFoundError(
            f"the key of {name} is not registered on this ledger",
            "an administrator registers it: `cairn org member add`",
        )
    if row.until_height is not None and row.until_height <= reader.head().height:
        raise KeyFileError(
            f"the key of {name} stopped speaking at height {row.until_height}",
            "use the key that replaced it",
        )
    return row.account


def command(app: typer.Typer, name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as a command, with the options that all commands share."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(function, eval_str=True)
        own = [p for p in signature.parameters.values() if p.annotation is not Session]
        shared = _shared_parameters()

        @functools.wraps(function)
        def run(**values: Any) -> None:
            session = Session(
                directory=values.pop("directory_"),
                person=values.pop("person_"),
                url=values.pop("url_"),
                passphrase_file=values.pop("passphrase_file_"),
                as_json=values.pop("as_json_"),
                yes=values.pop("yes_"),
            )
            function(session, **values)

        parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in (*own, *shared)]
        run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        app.command(name)(run)
        return function

    return register


def _shared_parameters() -> list[inspect.Parameter]:
    kinds: dict[str, tuple[Any, object]] = {
        "directory_": (Directory, None),
        "person_": (Person, ""),
        "url_": (Address, ""),
        "passphrase_file_": (PassphraseFile, None),
        "as_json_": (AsJson, False),
        "yes_": (Yes, False),
    }
    return [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in kinds.items()
    ]


def new_app(help_text: str) -> typer.Typer:
    """Return the group of a noun's commands."""
    return typer.Typer(
        help=help_text,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
