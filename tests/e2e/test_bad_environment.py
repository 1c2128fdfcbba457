"""What surrounds a node goes wrong: each time a named error with a hint, and nothing is lost."""

import errno
import os
import random
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace as changed
from pathlib import Path

import lmdb
import pytest

from cairn.engine.base import Outcome
from cairn.engine.errors import WrongValidatorError
from cairn.ledger.charter import Charter, sign_charter
from cairn.ledger.errors import Fault
from cairn.modules.bank.records import BALANCES
from cairn.node.api import ProofRequest
from cairn.node.errors import CharterError, ConfigurationError, DirectoryError, WrongDirectoryError
from cairn.node.node import Node
from cairn.node.opening import replay_from_genesis
from cairn.primitives.checkpoints import COSIGNATURE_V1, verifier_key
from cairn.primitives.encoding import encode, replace
from cairn.storage.errors import (
    CorruptCheckpointError,
    CorruptLogError,
    DirectoryInUseError,
    NoSpaceError,
    StorageError,
)
from cairn.storage.simulated_disk import SimulatedDisk
from cairn.storage.store import rebuild
from tests.e2e.banks import (
    LEDGER,
    WAIT_MS,
    Story,
    found_bank,
    let_go,
    open_bank,
    options,
    story,
    submit,
)
from tests.engine.toy import ManualClock
from tools import crash_bank
from tools.crash_bank import ACCOUNTS, ASSET, CHARTER_FILE, VALIDATOR, transaction

ROOT = Path(__file__).parents[2]
NOBODY = 65_534


def in_child(work: Callable[[], object]) -> str:
    """Run a function in a forked process; return what it returns, or the error's name, as text."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            answer = str(work())
        except BaseException as error:  # noqa: BLE001 - the parent reads it
            answer = f"{type(error).__name__}: {error} | {getattr(error, 'hint', '')}"
        os.write(writing, answer.encode()[:4_000])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        answer = stream.read().decode()
    _, status = os.waitpid(child, 0)
    assert status == 0, f"the process ended with status {status}"
    return answer


def submit_until_it_fails(node: Node, lane: int, outcomes: list[Outcome]) -> None:
    """Submit transactions one by one, noting what is acknowledged."""
    first = node.next_sequence(crash_bank.CLERK_ACCOUNT, lane)
    for sequence in range(first, first + 200):
        outcomes += node.submit([transaction(lane, sequence)], wait_ms=WAIT_MS)


# The disk


def test_a_disk_that_fills_up_within_a_block_stops_the_node(memory_path: Path) -> None:
    disk = SimulatedDisk()
    node = found_bank(memory_path / "n", disk=disk)
    outcomes = submit(node, 5)
    disk.free_bytes = 100
    with pytest.raises(NoSpaceError) as caught:
        node.submit([transaction(0, 6)], wait_ms=WAIT_MS)
    assert "free some space" in caught.value.hint
    assert node.health().status == "stopped"
    with pytest.raises(NoSpaceError):
        node.submit([transaction(0, 6)], wait_ms=WAIT_MS)
    height = node.head().height
    node.close()
    disk.free_bytes = None
    Story(memory_path / "n", tuple(outcomes), height).check_intact(disk)


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_disk_that_refuses_any_operation_loses_nothing(memory_path: Path, number: int) -> None:
    for fail_at in range(3, 16, 3):
        disk = SimulatedDisk(fail_at, fail_at=fail_at, fail_errno=number)
        directory = memory_path / str(fail_at)
        try:
            node = found_bank(directory, disk=disk)
        except StorageError:
            continue
        outcomes: list[Outcome] = []
        with pytest.raises(StorageError) as caught:
            submit_until_it_fails(node, 0, outcomes)
        assert caught.value.hint
        height = max((outcome.height for outcome in outcomes), default=0)
        node.close()
        Story(directory, tuple(outcomes), height).check_intact(disk)


def fill(directory: Path, lane: int) -> str:
    """Submit until a limit of the system is reached; return the fault's name and hint."""
    with open_bank(directory, storage__checkpoint_blocks=10) as node:
        sequence = node.next_sequence(crash_bank.CLERK_ACCOUNT, lane)
        try:
            for number in range(sequence, sequence + 4_000, 20):
                raws = [transaction(lane, number + place) for place in range(20)]
                node.submit(raws, wait_ms=WAIT_MS)
        except Fault as fault:
            return f"{type(fault).__name__}: {fault} | {getattr(fault, 'hint', '')}"
    return "no limit was reached"


def test_a_file_size_limit_is_named_and_nothing_is_lost(memory_path: Path) -> None:
    before = story(memory_path / "n")

    def limited() -> str:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        return fill(before.directory, 1)

    answer = in_child(limited)
    assert answer.startswith(("NoSpaceError", "DiskFaultError")), answer
    assert not answer.endswith("| ")
    before.check_intact()


def test_a_full_file_system_is_named_and_nothing_is_lost(tmp_path: Path) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "cairn-test", str(mount)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("making a small file system needs root and the right to mount")
    try:
        before = story(mount / "n")
        answer = in_child(lambda: fill(before.directory, 1))
        assert answer.startswith("NoSpaceError"), answer
        assert "free some space" in answer
        subprocess.run(["mount", "-o", "remount,size=64m", str(mount)], check=True)
        before.check_intact()
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def test_a_read_only_directory_is_named_and_left_alone(tmp_path: Path) -> None:
    before = story(tmp_path / "n")
    paths = [before.directory, *before.directory.rglob("*")]
    for path in reversed(paths):
        path.chmod(0o555 if path.is_dir() else 0o444)
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:3]:
        parent.chmod(0o755)

    def as_nobody() -> str:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        return f"opened {open_bank(before.directory)}"

    def founding() -> str:
        if os.geteuid() == 0:
            os.setuid(NOBODY)
        return f"founded {found_bank(tmp_path / 'other')}"

    tmp_path.chmod(0o555)
    assert in_child(as_nobody).startswith("ReadOnlyError")
    assert in_child(founding).startswith(("DirectoryError", "ReadOnlyError"))
    for path in paths:
        path.chmod(0o755 if path.is_dir() else 0o644)
    tmp_path.chmod(0o755)
    before.check_intact()


# The log


def test_a_log_damaged_in_the_middle_is_reported_and_left_alone(memory_path: Path) -> None:
    before = story(memory_path / "n")
    whole = before.log.read_bytes()
    draw = random.Random(1)
    for position in [0, 10, 45, 50, 60, 90, *(draw.randrange(len(whole) // 2) for _ in range(12))]:
        damaged = bytearray(whole)
        damaged[position] ^= 1 << draw.randrange(8)
        before.log.write_bytes(bytes(damaged))
        with pytest.raises(CorruptLogError) as caught:
            open_bank(before.directory)
        assert "backup" in caught.value.hint
        assert caught.value.height is not None
        assert before.log.read_bytes() == bytes(damaged)
    before.log.write_bytes(whole)
    before.check_intact()


def test_a_missing_log_is_reported_and_not_begun_anew(memory_path: Path) -> None:
    before = story(memory_path / "n")
    aside = memory_path / "aside"
    before.log.rename(aside)
    with pytest.raises(CorruptLogError):
        open_bank(before.directory)
    aside.rename(before.log)
    before.check_intact()


def test_a_torn_tail_is_cut_and_a_cut_log_is_reported(memory_path: Path) -> None:
    before = story(memory_path / "n", checkpointed=False)
    whole = before.log.read_bytes()
    for tail in (b"C", b"CBLK\x01" + bytes(8), whole[-40:], bytes(300), whole[60:400]):
        before.log.write_bytes(before.log.read_bytes() + tail)
        with open_bank(before.directory) as node:
            assert node._opened.store.torn_tail is not None
    before.check_intact()
    with open_bank(before.directory) as node:
        submit(node, 1)
    whole = before.log.read_bytes()
    for size in (1, 100, len(whole) // 2):
        before.log.write_bytes(whole[:-size])
        with pytest.raises(CorruptLogError, match=r"durable|cut off"):
            open_bank(before.directory)
        assert before.log.read_bytes() == whole[:-size], "it is left alone"
    before.log.write_bytes(whole)
    before.check_intact()


# The checkpoint


def test_a_damaged_checkpoint_is_named_and_made_again_from_the_log(memory_path: Path) -> None:
    before = story(memory_path / "n")
    data = before.checkpoint / "data.mdb"
    whole = data.read_bytes()
    draw = random.Random(2)
    damages = {
        "truncated": whole[: len(whole) // 2],
        "cut to its first page": whole[:4096],
        "cut to some bytes": whole[:100],
        "zeroed": bytes(len(whole)),
        "zeroed after its head": whole[:8192] + bytes(len(whole) - 8192),
        "random": draw.randbytes(len(whole)),
        "random after its head": whole[:8192] + draw.randbytes(len(whole) - 8192),
        "text": b"not a database at all",
    }
    for name, content in damages.items():
        data.write_bytes(content)

        def opened() -> str:
            return f"opened {open_bank(before.directory)}"

        answer = in_child(opened)
        assert answer.startswith("CorruptCheckpointError"), f"{name}: {answer}"
        assert "rebuild" in answer, name
    rebuild(before.directory / LEDGER)
    before.check_intact()


def test_rows_that_rot_in_the_checkpoint_are_never_believed(memory_path: Path) -> None:
    """One block executed over a rotten row would be signed, and no replay would come to it."""
    before = story(memory_path / "n")
    data = before.checkpoint / "data.mdb"
    whole = data.read_bytes()
    for account in ACCOUNTS[:12]:
        with open_bank(before.directory) as node:
            value = node.row(BALANCES.key(account, ASSET))
        assert value is not None
        content = data.read_bytes().replace(
            value, value[:-3] + bytes((value[-3] ^ 1,)) + value[-2:]
        )
        data.write_bytes(content)
        node = open_bank(before.directory)
        with pytest.raises(CorruptCheckpointError, match="a row's checksum is wrong"):
            node.row(BALANCES.key(account, ASSET))
        with pytest.raises(CorruptCheckpointError, match="a row's checksum is wrong"):
            node.check()
        let_go(node)
        data.write_bytes(whole)
    before.check_intact()


def test_a_checkpoint_that_lost_what_it_belongs_to_is_not_founded_upon(memory_path: Path) -> None:
    before = story(memory_path / "n")
    environment = lmdb.open(str(before.checkpoint), max_dbs=8, map_size=2**30)
    with environment.begin(write=True) as transaction:
        assert transaction.delete(b"meta", db=environment.open_db(b"meta", transaction))
    environment.close()
    with pytest.raises(CorruptCheckpointError, match="names no head"):
        open_bank(before.directory)
    rebuild(before.directory / LEDGER)
    before.check_intact()


def test_an_older_checkpoint_of_the_same_ledger_is_good_enough(memory_path: Path) -> None:
    before = story(memory_path / "n")
    aside = memory_path / "older"
    shutil.copytree(before.checkpoint, aside)
    with open_bank(before.directory) as node:
        later = submit(node, 9)
        height = node.head().height
    shutil.rmtree(before.checkpoint)
    aside.rename(before.checkpoint)
    Story(before.directory, (*before.outcomes, *later), height).check_intact()


# Another ledger's


def other_charter() -> bytes:
    """Return the charter of another ledger with the same validator."""
    charter: Charter = replace(crash_bank.charter(), name="other")
    return encode(sign_charter(charter, [VALIDATOR]))


@pytest.mark.parametrize("has_checkpoint", [True, False])
def test_a_charter_of_another_ledger_is_refused_and_changes_nothing(
    memory_path: Path, has_checkpoint: bool
) -> None:
    before = story(memory_path / "n", checkpointed=has_checkpoint)
    if not has_checkpoint:
        rebuild(before.directory / LEDGER)
    own = before.directory / "charter.cairn"
    own.write_bytes(other_charter())
    log = before.log.read_bytes()
    with pytest.raises(WrongDirectoryError):
        open_bank(before.directory)
    assert before.log.read_bytes() == log
    own.write_bytes(CHARTER_FILE)
    before.check_intact()


@pytest.mark.parametrize("blocks", [0, 1, 40])
def test_a_checkpoint_of_another_ledger_is_refused_and_changes_nothing(
    memory_path: Path, blocks: int
) -> None:
    before = story(memory_path / "n")
    other = memory_path / "other"
    clock = ManualClock(crash_bank.START_MS + 1_000)
    given = changed(options(other), clock=clock, start=False)
    with Node.create(other, other_charter(), VALIDATOR, given) as node:
        for _ in range(blocks):
            clock.now += 11 * 86_400_000  # more than a third of the trusting period
            assert node.engine.step()
    shutil.rmtree(before.checkpoint)
    shutil.copytree(other / LEDGER / "checkpoint", before.checkpoint)
    log = before.log.read_bytes()
    with pytest.raises(Fault) as caught:
        open_bank(before.directory)
    assert isinstance(caught.value, StorageError | WrongDirectoryError)
    assert before.log.read_bytes() == log
    rebuild(before.directory / LEDGER)
    before.check_intact()


def test_a_key_of_another_validator_is_refused(memory_path: Path) -> None:
    before = story(memory_path / "n")
    with pytest.raises(WrongValidatorError) as caught:
        Node.open(before.directory, crash_bank.CLERK, options(before.directory))
    assert "charter names" in caught.value.hint
    before.check_intact()


def test_a_second_process_is_told_who_has_the_directory(memory_path: Path) -> None:
    before = story(memory_path / "n")
    with open_bank(before.directory) as node:
        answer = in_child(lambda: f"opened {open_bank(before.directory)}")
        assert answer.startswith("DirectoryInUseError")
        assert str(os.getpid()) in answer
        with pytest.raises(DirectoryInUseError):
            replay_from_genesis(before.directory)
        submit(node, 1)
    before.check_intact()


# Files that people edit, and what a kill leaves of a founding


def test_damaged_settings_and_charters_are_named(memory_path: Path) -> None:
    before = story(memory_path / "n")
    settings, charter = before.directory / "cairn.toml", before.directory / "charter.cairn"
    text = settings.read_text()
    for bad in ("[engine\n", "[engine]\nblock_operations = 'x'\n", "[nothing]\nhere = 1\n", "\x00"):
        settings.write_text(bad)
        with pytest.raises(ConfigurationError):
            open_bank(before.directory)
    settings.write_text(text)
    for content in (b"", CHARTER_FILE[:-1], CHARTER_FILE[:-9] + bytes(9), b"\xc0" * 99):
        charter.write_bytes(content)
        with pytest.raises(CharterError):
            open_bank(before.directory)
    charter.unlink()
    with pytest.raises(DirectoryError):
        open_bank(before.directory)
    charter.write_bytes(CHARTER_FILE)
    (before.directory / LEDGER / "FORMAT").write_text("cairn ledger directory 9\n")
    with pytest.raises(StorageError, match="directory 9"):
        open_bank(before.directory)
    (before.directory / LEDGER / "FORMAT").write_text("cairn ledger directory 1\n")
    before.check_intact()


def test_a_damaged_note_of_the_witnesses_is_made_anew(memory_path: Path) -> None:
    before = story(memory_path / "n")
    key = verifier_key("witness", COSIGNATURE_V1, crash_bank.CLERK.public_key)
    settings = before.directory / "cairn.toml"
    settings.write_text(f'[witnesses]\npeers = ["http://127.0.0.1:9 {key}"]\ninterval_ms = 0\n')
    for content in (b"", b"\x00" * 300, b"crash\n12\n", bytes(range(256))):
        (before.directory / "cosigned.note").write_bytes(content)
        with open_bank(before.directory) as node:
            proofs = node.prove(ProofRequest(()))
            assert proofs.head.cosigned_checkpoint == b""
            submit(node, 1)
    settings.write_text("")
    before.check_intact()


@pytest.mark.parametrize("left", [("cairn.toml",), ("cairn.toml", "charter.cairn.new")])
def test_a_founding_that_was_killed_can_be_done_again(
    memory_path: Path, left: tuple[str, ...]
) -> None:
    directory = memory_path / "n"
    directory.mkdir()
    for name in left:
        (directory / name).write_bytes(CHARTER_FILE[:50] if "charter" in name else b"")
    with pytest.raises(DirectoryError):
        open_bank(directory)
    with found_bank(directory) as node:
        submit(node, 1)


# The clock


def test_a_clock_that_goes_back_or_leaps_ahead_never_turns_the_ledger_back(
    memory_path: Path,
) -> None:
    clock = ManualClock(crash_bank.START_MS + 1_000)
    given = changed(options(memory_path / "n"), clock=clock, start=False)
    node = Node.create(memory_path / "n", CHARTER_FILE, VALIDATOR, given)
    times: list[int] = []
    sequence = 0
    year_ms = 365 * 86_400_000

    def work(count: int) -> None:
        nonlocal sequence
        for _ in range(count):
            sequence += 1
            future = node.submit_later([transaction(0, sequence)])
            while not future.done():
                clock.now += 20
                node.engine.step()
                times.append(node.head().time_ms)
            assert future.result()[0].code == "ok"

    work(5)
    for leap in (-3_600_000, -year_ms, year_ms + 3_600_000, year_ms, -year_ms):
        clock.now += leap
        work(5)
        node.close()
        node = Node.open(memory_path / "n", VALIDATOR, given)
        clock.now += 20
        node.engine.step()
        times.append(node.head().time_ms)
    assert times == sorted(times)
    node.check()
    node.close()
    assert replay_from_genesis(memory_path / "n").height == node.head().height


def test_a_transaction_that_waits_for_others_is_answered_though_the_clock_went_back(
    memory_path: Path,
) -> None:
    clock = ManualClock(crash_bank.START_MS + 1_000)
    given = changed(options(memory_path / "n"), clock=clock, start=False)
    with Node.create(memory_path / "n", CHARTER_FILE, VALIDATOR, given) as node:
        future = node.submit_later([transaction(0, 2)])
        for _ in range(5):
            clock.now += 20
            node.engine.step()
        clock.now -= 3_600_000
        node.engine.step()
        for _ in range(200):
            clock.now += 20
            node.engine.step()
        assert future.done(), "two seconds have passed since the clock was set"
        assert future.result()[0].code == "ledger/bad_sequence"


# The interpreter


def test_a_node_does_not_run_without_assertions(memory_path: Path) -> None:
    before = story(memory_path / "n")
    script = (
        "import sys; from pathlib import Path; from tests.e2e.banks import open_bank, found_bank\n"
        "for act, name in ((open_bank, 'n'), (found_bank, 'new')):\n"
        "    try:\n        act(Path(sys.argv[1]) / name)\n"
        "    except Exception as error:\n        print(type(error).__name__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-O", "-c", script, str(memory_path)],
        env={"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["OptimizedPythonError"] * 2
    assert not (memory_path / "new").exists(), "nothing was founded"
    before.check_intact()


def test_a_dead_signature_worker_stops_the_node_and_loses_nothing(memory_path: Path) -> None:
    before = story(memory_path / "n")
    node = open_bank(before.directory, engine__signature_workers=1)
    first = node.next_sequence(crash_bank.CLERK_ACCOUNT, 3)
    outcomes = node.submit([transaction(3, first + n) for n in range(200)], wait_ms=WAIT_MS)
    (worker,) = node._signatures._workers
    os.kill(worker.pid, 9)
    with pytest.raises(Fault, match="worker"):
        submit_until_it_fails(node, 3, outcomes)
    assert node.health().status == "stopped"
    height = node.head().height
    node.close()
    Story(before.directory, (*before.outcomes, *outcomes), height).check_intact()


def test_a_log_whose_entry_is_no_block_is_named(memory_path: Path) -> None:
    before = story(memory_path / "n", checkpointed=False)
    with open_bank(before.directory) as node:
        node.engine.stop()
        store, height = node._opened.store, node.head().height
        store.append_block(height + 1, b"\x93not a block")
    whole = before.log.read_bytes()
    with pytest.raises(CorruptLogError, match="not a block"):
        open_bank(before.directory)
    assert before.log.read_bytes() == whole
