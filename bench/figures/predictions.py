"""Predictions with receipts: one row, a thousand in one call, and a stream."""

import time
from collections.abc import Sequence

from bench.bank import CLERK, CLERK_ACCOUNT, running_bank
from bench.harness import Figure, seconds
from bench.screening import DEPLOYMENT, go_live
from cairn.sdk.client import Client
from cairn.sdk.predictions import live_schema, predict_inputs

ROWS = 1_000
STREAMED = 20_000


def measure(*, quick: bool) -> list[Figure]:
    """Return what one row and a thousand take from the call to the last durable receipt."""
    with running_bank(10) as bank:
        go_live(bank)
        client = Client(bank.node, CLERK_ACCOUNT, CLERK, lanes=(1, 2, 3, 4))
        rows = _rows(client, ROWS)
        one = 1000 * seconds(lambda: client.predict(DEPLOYMENT, rows[:1]), runs=15)
        many = 1000 * seconds(lambda: client.predict(DEPLOYMENT, rows), runs=9)
        schema = live_schema(client, DEPLOYMENT)
        given = 1000 * seconds(lambda: predict_inputs(client, schema, rows), runs=9)
        found = client.predict(DEPLOYMENT, rows)
        transactions = len({one.transaction_id for one in found})
        streamed = STREAMED // (10 if quick else 1)
        began = time.perf_counter()
        done = sum(1 for _ in client.predict_stream(DEPLOYMENT, _rows(client, streamed)))
        rate = done / (time.perf_counter() - began)
        note = f"100 trees, {len(rows[0])} inputs, durable, {transactions} transactions"
        return [
            Figure("predictions.one_ms", one, "ms", "", {}, "100 trees, durable, one row"),
            Figure(
                "predictions.thousand_ms",
                many,
                "ms",
                "little more than one",
                {"one row, ms": one, "rows parsed before, ms": given},
                note,
            ),
            Figure("predictions.stream_rows_per_s", rate, "rows/s", "", {}, f"{done:,} rows"),
        ]


def _rows(client: Client, count: int) -> Sequence[tuple[int, ...]]:
    """Return rows that differ, each in the integers of the live model."""
    width = len(live_schema(client, DEPLOYMENT).features)
    return [
        tuple((number * 7_919 + place * 104_729) % 50_000 for place in range(width))
        for number in range(count)
    ]
