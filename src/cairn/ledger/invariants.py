"""Checking the modules' stated laws: over all rows, or over what one block changed."""

from collections.abc import Mapping
from typing import Any

from cairn.ledger.changes import StateReader
from cairn.ledger.module import Registry
from cairn.ledger.records import Table


def check_all(registry: Registry, reader: StateReader) -> list[str]:
    """Check every invariant over all rows; return their names, in order.

    Raises:
        InvariantError: One does not hold.
    """
    checked = []
    for module in registry.modules:
        for invariant in module.invariants:
            invariant.full(reader)
            checked.append(f"{module.name}: {invariant.name}")
    return checked


def check_changes(
    registry: Registry, changed_rows: Mapping[bytes, tuple[Table[Any], Any, Any]]
) -> None:
    """Check the invariants that can be checked on one block's changes alone.

    Args:
        registry: The ledger's modules.
        changed_rows: `key -> (table, old, new)` of every row that the block changed.

    Raises:
        InvariantError: One does not hold.
    """
    for module in registry.modules:
        for invariant in module.invariants:
            if invariant.incremental is None:
                continue
            prefixes = [table.prefix for table in invariant.tables]
            rows = {
                key: (old, new)
                for key, (table, old, new) in changed_rows.items()
                if table.prefix in prefixes
            }
            if rows:
                invariant.incremental(rows)
