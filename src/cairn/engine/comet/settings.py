"""How CometBFT is set: every value that differs from its own default, once, with the reason.

Measured on two shared vCPUs with one and four validators and an application that checks every
signature.
"""

from dataclasses import dataclass, field
from pathlib import Path

from cairn.engine.comet.errors import SocketPathError
from cairn.engine.comet.server import SOCKET_PATH_BYTES_MAX
from cairn.ledger.transactions import TRANSACTION_SIZE_BYTES_MAX

MODULE = "github.com/cometbft/cometbft"
PINNED_VERSION = "0.40.0"
MODULE_SUM = "h1:0+zc7FlcnonFfMwzhyDCd5vK/fHZqz0RfRyTCxZsFPU="
"""Checksum of the Go module that `make engine` builds."""

Value = str | int | bool


@dataclass(frozen=True, slots=True)
class Knob:
    """One line of CometBFT's configuration."""

    section: str
    """Empty for the top of the file."""
    key: str
    value: Value
    reason: str


TUNED: tuple[Knob, ...] = (
    Knob("", "db_backend", "goleveldb", "pure Go, so that the build needs no C compiler"),
    Knob("", "log_format", "json", "one record in a line, for whoever reads the log"),
    Knob("rpc", "max_body_bytes", 1_000_000, "only our own process asks, and only for headers"),
    Knob("p2p", "flush_throttle_timeout", "10ms", "100 ms by default: it is added to every vote"),
    Knob("p2p", "max_packet_msg_payload_size", 65_536, "1 kB by default: a block is 4,000 packets"),
    Knob("p2p", "send_rate", 51_200_000, "5 MB/s by default would hold up blocks of 4 MiB"),
    Knob("p2p", "recv_rate", 51_200_000, "as send_rate"),
    Knob("p2p", "pex", False, "members name each other; nobody is found by gossip"),
    Knob("p2p", "addr_book_strict", False, "members may be on private addresses"),
    Knob("p2p", "allow_duplicate_ip", True, "several members may share an address, or one machine"),
    Knob("mempool", "type", "app", "the ledger orders lanes and checks signatures in batches"),
    Knob("mempool", "max_tx_bytes", TRANSACTION_SIZE_BYTES_MAX, "the ledger takes no larger one"),
    Knob("mempool", "max_batch_bytes", 1_048_576, "a bulk submission goes out in few messages"),
    Knob("mempool", "reap_interval", "50ms", "500 ms by default: peers would propose without it"),
    Knob("mempool", "recheck", False, "the ledger's own mempool drops what a block made stale"),
    Knob("consensus", "timeout_propose", "3s", "above the proposer's wait for work when idle"),
    Knob("consensus", "timeout_commit", "200ms", "1 s by default; less costs throughput"),
    Knob("consensus", "create_empty_blocks", True, "this mempool tells CometBFT of no transaction"),
    Knob("consensus", "peer_gossip_sleep_duration", "10ms", "100 ms by default, for each hop"),
    Knob("storage", "discard_abci_responses", True, "receipts are kept by the ledger"),
    Knob("tx_index", "indexer", "null", "the ledger has its own index"),
)


@dataclass(frozen=True, slots=True)
class CometSettings:
    """Where one CometBFT lives and whom it knows."""

    home: Path
    """Its own directory; holds a copy of the validator key, so only this user may enter."""
    p2p_address: str = "127.0.0.1:26656"
    """Where peers reach it, host and port."""
    peers: tuple[str, ...] = ()
    """The other members, each as `node-id@host:port`."""
    moniker: str = "cairn"
    binary: Path | None = None
    """None looks where `make engine` puts it, then in the search path."""
    log_level: str = "error"
    idle_wait_ms: int = 2_000
    """How long a proposer waits for transactions when there are none."""
    restart_pause_ms: int = 500
    """Pause before the first restart; it doubles with each one that follows soon."""
    restart_pause_ms_max: int = 30_000
    restarts_max: int = 10
    """So many restarts in a row, none of which held for a minute, and the engine gives up."""
    overrides: tuple[Knob, ...] = field(default=())
    """Replace tuned values, for experiments."""

    @property
    def peer_ids(self) -> tuple[str, ...]:
        """The names under which the other members' nodes are known."""
        return tuple(peer.split("@")[0] for peer in self.peers)

    @property
    def abci_socket(self) -> Path:
        """Where CometBFT finds its application."""
        return self._socket("abci.sock")

    @property
    def rpc_socket(self) -> Path:
        """Where CometBFT answers questions about its record."""
        return self._socket("rpc.sock")

    @property
    def log_file(self) -> Path:
        """What CometBFT writes to its outputs."""
        return self.home / "comet.log"

    def _socket(self, name: str) -> Path:
        path = self.home / name
        if len(str(path).encode()) > SOCKET_PATH_BYTES_MAX:
            raise SocketPathError(f"{path} is longer than {SOCKET_PATH_BYTES_MAX} bytes")
        return path


def config_text(settings: CometSettings) -> str:
    """Return `config.toml` for one node."""
    own = (
        Knob("", "proxy_app", f"unix://{settings.abci_socket}", "this process"),
        Knob("", "abci", "socket", "the one transport that was measured"),
        Knob("", "filter_peers", True, "only members' nodes may connect"),
        Knob("", "moniker", settings.moniker, "for people"),
        Knob("", "log_level", settings.log_level, "for people"),
        Knob("rpc", "laddr", f"unix://{settings.rpc_socket}", "nobody else may ask"),
        Knob("p2p", "laddr", f"tcp://{settings.p2p_address}", "where peers reach it"),
        Knob("p2p", "persistent_peers", ",".join(settings.peers), "the other members"),
    )
    knobs: dict[tuple[str, str], Knob] = {}
    for knob in (*TUNED, *own, *settings.overrides):
        knobs[knob.section, knob.key] = knob
    lines: list[str] = []
    for section in dict.fromkeys(["", *(knob.section for knob in knobs.values())]):
        if section:
            lines += ["", f"[{section}]"]
        for knob in knobs.values():
            if knob.section == section:
                lines += [f"# {knob.reason}", f"{knob.key} = {_toml(knob.value)}"]
    return "\n".join(lines) + "\n"


def _toml(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
