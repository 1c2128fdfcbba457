"""Answers a proof request from one view: every proof hangs on the same head."""

from cairn.evidence.proofs import (
    RangeProof,
    ReceiptsProof,
    SeriesProof,
    StateProof,
    TransactionProof,
)
from cairn.node.api import (
    ProofRequest,
    Proofs,
    RangeQuery,
    ReceiptsQuery,
    SeriesQuery,
    StateQuery,
    TransactionQuery,
)
from cairn.node.prover import (
    ProvingView,
    prove_head,
    prove_range,
    prove_receipts,
    prove_series,
    prove_state,
    prove_transaction,
)


def least_time_ms(request: ProofRequest) -> int:
    """Return the least time that the proving header must have: no range may end after it."""
    ends = [query.until_ms for query in request.queries if isinstance(query, RangeQuery)]
    return max(request.min_time_ms, *ends, 0)


def prove_all(view: ProvingView, request: ProofRequest) -> Proofs:
    """Return the proofs that a request asks for, each kind in the order asked.

    Raises:
        BadRangeError, NotFoundError, NotProvableYetError: The first one that cannot be made.
    """
    states: list[StateProof] = []
    series: list[SeriesProof] = []
    ranges: list[RangeProof] = []
    receipts: list[ReceiptsProof] = []
    transactions: list[TransactionProof] = []
    for query in request.queries:
        match query:
            case StateQuery(key):
                states.append(prove_state(view, key))
            case SeriesQuery(key, start, end):
                series.append(prove_series(view, key, start, end))
            case RangeQuery(key, from_ms, until_ms):
                ranges.append(prove_range(view, key, from_ms, until_ms))
            case ReceiptsQuery(height, start, end):
                receipts.append(prove_receipts(view, height, start, end))
            case TransactionQuery(transaction_id):
                transactions.append(prove_transaction(view, transaction_id))
    head = prove_head(view, extends_size=request.extends_size)
    return Proofs(
        head,
        tuple(states),
        tuple(series),
        tuple(ranges),
        tuple(receipts),
        tuple(transactions),
    )
