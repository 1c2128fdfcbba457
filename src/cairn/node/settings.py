"""Node settings in one table; a flag goes before CAIRN_*, that before the file and the default.

They say how this node works, never what the ledger means: protocol parameters are state. The file
is `cairn.toml` in the node's directory, with one section for each first part of a name.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cairn.engine.embedded import EmbeddedSettings
from cairn.engine.mempool import MempoolSettings
from cairn.node.errors import ConfigurationError
from cairn.storage.store import StoreSettings

SETTINGS_FILE = "cairn.toml"
ENVIRONMENT_PREFIX = "CAIRN_"
WORKERS_AUTOMATIC = -1
WORKERS_AUTOMATIC_MAX = 4

Value = int | str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: `section.name_with_unit`; bounds are of the number, or of the text's length."""

    name: str
    default: Value
    minimum: int
    maximum: int
    help: str

    @property
    def environment_name(self) -> str:
        """Name of the environment variable."""
        return ENVIRONMENT_PREFIX + self.name.replace(".", "_").upper()


SETTINGS = (
    Setting("engine.interval_ms", 20, 1, 10_000, "Least time between two blocks."),
    Setting(
        "engine.block_operations", 2_000, 1, 20_000, "Waiting operations that make a block at once."
    ),
    Setting(
        "engine.block_size_bytes_max",
        4_194_304,
        65_536,
        16_777_216,
        "Most bytes of transactions in one block.",
    ),
    Setting(
        "engine.signature_workers",
        WORKERS_AUTOMATIC,
        WORKERS_AUTOMATIC,
        64,
        "Processes that check signatures; 0 checks in the node's own, "
        "-1 is one fewer than there are processors, at most 4.",
    ),
    Setting(
        "engine.invariant_interval_blocks",
        16,
        1,
        100_000,
        "Blocks whose changes are checked together against the modules' invariants.",
    ),
    Setting("mempool.transactions_max", 50_000, 1, 10_000_000, "Most transactions that wait."),
    Setting(
        "mempool.size_bytes_max",
        134_217_728,
        65_536,
        17_179_869_184,
        "Most bytes of transactions that wait.",
    ),
    Setting(
        "mempool.sequence_wait_ms",
        2_000,
        0,
        600_000,
        "How long a transaction may wait for the ones before it in its lane.",
    ),
    Setting(
        "storage.checkpoint_blocks",
        200,
        1,
        1_000_000,
        "Blocks after which a checkpoint is written; fewer make a restart faster.",
    ),
    Setting(
        "storage.checkpoint_rows",
        100_000,
        1_000,
        10_000_000,
        "Changed rows after which a checkpoint is written; they wait in memory.",
    ),
    Setting("server.host", "127.0.0.1", 1, 255, "Address that the HTTP server listens on."),
    Setting("server.port", 7460, 0, 65_535, "Port of the HTTP server; 0 serves the socket alone."),
    Setting(
        "server.socket",
        "node.sock",
        0,
        100,
        "Unix socket, relative to the node's directory; empty for none.",
    ),
    Setting(
        "server.body_size_bytes_max",
        8_388_608,
        65_536,
        67_108_864,
        "Largest body of a request.",
    ),
    Setting(
        "server.wait_ms_max",
        30_000,
        0,
        600_000,
        "Longest time that a request waits for finality or for news.",
    ),
    Setting(
        "witnesses.peers",
        (),
        0,
        32,
        'Witnesses to ask for cosignatures, each "URL VERIFIER_KEY".',
    ),
    Setting(
        "witnesses.interval_ms", 1_000, 0, 3_600_000, "Least time between two heads sent to them."
    ),
    Setting("witnesses.timeout_ms", 5_000, 100, 120_000, "How long a witness may take to answer."),
)
"""Every setting there is; the reference page is made from this table."""

_BY_NAME = {setting.name: setting for setting in SETTINGS}


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where and how the node serves."""

    host: str
    port: int
    socket: str
    body_size_bytes_max: int
    wait_ms_max: int


@dataclass(frozen=True, slots=True)
class WitnessesSettings:
    """Whom the node asks for cosignatures."""

    peers: tuple[str, ...]
    interval_ms: int
    timeout_ms: int


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a node, checked."""

    engine: EmbeddedSettings
    mempool: MempoolSettings
    signature_workers: int
    invariant_interval_blocks: int
    storage: StoreSettings
    server: ServerSettings
    witnesses: WitnessesSettings


@dataclass(frozen=True, slots=True)
class Origin:
    """A setting's value and where it comes from, for `cairn config show`."""

    setting: Setting
    value: Value
    origin: str
    """`flag`, `environment`, `file` or `default`."""


def resolve_settings(
    directory: Path, *, flags: Mapping[str, Value], environment: Mapping[str, str]
) -> list[Origin]:
    """Return every setting with its value and origin.

    Args:
        directory: The node's directory; its file may be missing.
        flags: Values by setting name, from the command line.
        environment: The environment; variables of other programs are passed over.

    Raises:
        ConfigurationError: The file cannot be read, a name is unknown, a value is out of bounds.
    """
    file = _read_file(directory / SETTINGS_FILE)
    for name in (*file, *flags):
        if name not in _BY_NAME:
            raise ConfigurationError(f"there is no setting {name}")
    resolved = []
    for setting in SETTINGS:
        text = environment.get(setting.environment_name)
        if setting.name in flags:
            origin = Origin(setting, flags[setting.name], "flag")
        elif text is not None:
            origin = Origin(setting, _parse_text(setting, text), "environment")
        elif setting.name in file:
            origin = Origin(setting, file[setting.name], "file")
        else:
            origin = Origin(setting, setting.default, "default")
        _check(setting, origin.value)
        resolved.append(origin)
    return resolved


def load_settings(
    directory: Path,
    *,
    flags: Mapping[str, Value] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Return the settings of the node in `directory`.

    Raises:
        ConfigurationError: As `resolve_settings`.
    """
    resolved = resolve_settings(directory, flags=flags or {}, environment=environment or {})
    values = {origin.setting.name: origin.value for origin in resolved}

    def number(name: str) -> int:
        value = values[name]
        assert isinstance(value, int)
        return value

    peers = values["witnesses.peers"]
    assert isinstance(peers, tuple)
    workers = number("engine.signature_workers")
    if workers == WORKERS_AUTOMATIC:
        workers = min(WORKERS_AUTOMATIC_MAX, (os.cpu_count() or 1) - 1)
    return Settings(
        EmbeddedSettings(number("engine.interval_ms"), number("engine.block_operations")),
        MempoolSettings(
            number("mempool.transactions_max"),
            number("mempool.size_bytes_max"),
            number("mempool.sequence_wait_ms"),
            number("engine.block_operations"),
            number("engine.block_size_bytes_max"),
        ),
        workers,
        number("engine.invariant_interval_blocks"),
        StoreSettings(number("storage.checkpoint_blocks"), number("storage.checkpoint_rows")),
        ServerSettings(
            str(values["server.host"]),
            number("server.port"),
            str(values["server.socket"]),
            number("server.body_size_bytes_max"),
            number("server.wait_ms_max"),
        ),
        WitnessesSettings(peers, number("witnesses.interval_ms"), number("witnesses.timeout_ms")),
    )


def settings_text() -> str:
    """Return a settings file in which every setting stands as a comment with its default."""
    lines = ["# Settings of this node. Uncomment a line to change it."]
    section = ""
    for setting in SETTINGS:
        first, _, name = setting.name.partition(".")
        if first != section:
            section = first
            lines += ["", f"[{section}]"]
        default = setting.default
        shown = f'"{default}"' if isinstance(default, str) else str(default)
        if isinstance(default, tuple):
            shown = "[]"
        lines += [f"# {setting.help}", f"# {name} = {shown}"]
    return "\n".join(lines) + "\n"


def _read_file(path: Path) -> dict[str, Value]:
    """Return the file's values by full name."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{path}: {error}") from error
    values: dict[str, Value] = {}
    for section, entries in document.items():
        if not isinstance(entries, dict):
            raise ConfigurationError(f"{path}: {section} stands outside of a section")
        for name, value in entries.items():
            is_list = isinstance(value, list) and all(isinstance(one, str) for one in value)
            values[f"{section}.{name}"] = tuple(value) if is_list else value
    return values


def _parse_text(setting: Setting, text: str) -> Value:
    """Return a variable's value in the setting's type; a list is separated by commas."""
    if isinstance(setting.default, str):
        return text
    if isinstance(setting.default, tuple):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    try:
        return int(text)
    except ValueError as error:
        raise ConfigurationError(f"{setting.environment_name} is not a number") from error


def _check(setting: Setting, value: Value) -> None:
    if type(value) is not type(setting.default):
        expected = type(setting.default).__name__.replace("tuple", "list of texts")
        raise ConfigurationError(f"{setting.name} is not of type {expected}")
    size = value if isinstance(value, int) else len(value)
    if not setting.minimum <= size <= setting.maximum:
        raise ConfigurationError(
            f"{setting.name} is {size}, outside of {setting.minimum} to {setting.maximum}"
        )
