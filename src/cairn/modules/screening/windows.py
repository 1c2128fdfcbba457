"""Windows of accounts and terminals, and how the movements of a block pass through them.

The rule: the features of a movement come from the windows as they were when the block began plus
the earlier attempts within the block, in order; the attempt itself is added afterwards, whatever
becomes of it. So a block of two thousand movements gives the same features as two thousand blocks
of one.
"""

from collections.abc import Sequence

from cairn.exact.features import Vector, extractor
from cairn.exact.windows import ABSENT, EMPTY, Window, add, advance, relabel, tag_of
from cairn.ledger.context import Context
from cairn.ledger.hooks import AdmittedOperation, Movement
from cairn.ledger.messages import Message
from cairn.ledger.records import Table
from cairn.modules.bank import api as bank
from cairn.modules.screening.records import AttemptEntry

PAYER_WINDOWS: Table[Window] = Table("screening", "payer_window", (str, bytes), Window)
"""What an account paid lately in an asset."""
PAYEE_WINDOWS: Table[Window] = Table("screening", "payee_window", (str, bytes), Window)
"""What an account was paid lately in an asset."""
TERMINAL_WINDOWS: Table[Window] = Table("screening", "terminal_window", (str, bytes), Window)
"""What was paid lately at a terminal in an asset."""


class _Side:
    """The windows of one side of the payments while a block passes through them."""

    def __init__(self, ctx: Context, table: Table[Window]) -> None:
        self._ctx = ctx
        self._table = table
        self._prefixes: dict[str, bytes] = {}
        self.windows: dict[bytes, Window] = {}

    def find(self, asset: str, account: bytes) -> tuple[bytes, Window]:
        """Return the row key of an account's window, and the window as it stands."""
        prefix = self._prefixes.get(asset)
        if prefix is None:
            prefix = self._prefixes[asset] = self._table.key(asset)
        key = prefix + bytes((len(account),)) + account
        window = self.windows.get(key)
        if window is None:
            window = self._ctx.state.get(self._table, key) or EMPTY
        return key, window

    def write(self) -> None:
        """Write the windows that changed."""
        for key, window in self.windows.items():
            self._ctx.state.put(self._table, key, window)


def attempts(ctx: Context, operations: Sequence[AdmittedOperation]) -> list[int]:
    """Return the places of the operations whose movements are attempts that windows count.

    A movement is none if the bank is bound to refuse it whatever else the block does: its sender
    may not act for the payer, or its booking time is out of bounds. Otherwise anyone could fill
    anyone's windows, those of accounts to come included. Whoever acts for a controller acts for the
    accounts that it opens earlier in the block.
    """
    skew_ms = ctx.param(bank.BOOKED_AT_SKEW_MS_MAX)
    controllers: dict[bytes, bytes] = {}
    places: list[int] = []
    for place, operation in enumerate(operations):
        movement = operation.movement
        if movement is None:
            controllers.update(bank.accounts_opened(operation.message))
            continue
        if skew_ms and not -skew_ms <= movement.booked_at_ms - ctx.time_ms <= skew_ms:
            continue
        ctx.sender = operation.sender
        payer = controllers.get(movement.payer, movement.payer)
        if bank.operates(ctx, payer, _tag_of(operation.message)):
            places.append(place)
    ctx.sender = b""
    return places


def pass_through(
    ctx: Context, movements: Sequence[Movement], names: tuple[str, ...]
) -> list[Vector]:
    """Return the features of each movement in order, and write the windows that they leave."""
    payers, payees = _Side(ctx, PAYER_WINDOWS), _Side(ctx, PAYEE_WINDOWS)
    terminals = _Side(ctx, TERMINAL_WINDOWS)
    extract = extractor(names)
    is_bounded = ctx.param(bank.BOOKED_AT_SKEW_MS_MAX) > 0
    block_ms = ctx.time_ms
    vectors: list[Vector] = []
    for movement in movements:
        asset, amount_units = movement.asset, movement.amount_units
        booked_at_ms = movement.booked_at_ms
        if is_bounded and booked_at_ms > block_ms:
            booked_at_ms = block_ms
        payer_tag, payee_tag = tag_of(movement.payer), tag_of(movement.payee)
        payer_key, payer = payers.find(asset, movement.payer)
        payee_key, payee = payees.find(asset, movement.payee)
        payer, payee = advance(payer, booked_at_ms), advance(payee, booked_at_ms)
        terminal = ABSENT
        if movement.terminal:
            terminal_key, terminal = terminals.find(asset, movement.terminal)
            terminal = advance(terminal, booked_at_ms)
            terminals.windows[terminal_key] = add(terminal, booked_at_ms, amount_units, payer_tag)
        vectors.append(extract(payer, payee, terminal, amount_units, booked_at_ms, payee_tag))
        payers.windows[payer_key] = add(payer, booked_at_ms, amount_units, payee_tag)
        payees.windows[payee_key] = add(payee, booked_at_ms, amount_units, payer_tag)
    for side in (payers, payees, terminals):
        side.write()
    return vectors


def counted_at(ctx: Context, booked_at_ms: int) -> int:
    """Return the time at which windows count a booking: not after the block's, if that is bound."""
    if booked_at_ms > ctx.time_ms and ctx.param(bank.BOOKED_AT_SKEW_MS_MAX) > 0:
        return ctx.time_ms
    return booked_at_ms


def relabel_attempt(ctx: Context, attempt: AttemptEntry, change: int) -> None:
    """Change how many frauds the windows of an attempt's payer, payee and terminal hold."""
    sides = (
        (PAYER_WINDOWS, attempt.payer),
        (PAYEE_WINDOWS, attempt.payee),
        (TERMINAL_WINDOWS, attempt.terminal),
    )
    for table, party in sides:
        window = ctx.get(table, attempt.asset, party) if party else None
        if window is not None:
            ctx.put(table, relabel(window, attempt.booked_at_ms, change), attempt.asset, party)


def _tag_of(message: Message) -> str:
    tag: str = type(message).__struct_config__.tag  # type: ignore[attr-defined]
    return tag
