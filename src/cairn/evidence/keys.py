"""Step 8 of verification: each signer's key spoke for the sender at the block's height.

Keys are rows that are never deleted, each with its interval of heights, so the newest header tells
of an old signature whether its key was valid then.
"""

from cairn.evidence.catalog import decode_body
from cairn.evidence.errors import (
    ClaimError,
    KeyNotValidError,
    TransactionProofError,
    WrongChainError,
)
from cairn.evidence.facts import VerifiedFacts
from cairn.modules.identity.records import KEYS
from cairn.primitives.encoding import NonCanonicalError


def check_keys(facts: VerifiedFacts) -> None:
    """Check every transaction's key against its interval, and that it was signed for this chain.

    That the sender was not suspended then is the validators' word: the row says how it is now.

    Raises:
        WrongChainError: The body was signed for another chain.
        KeyNotValidError: The key's row is not shown, is another account's, or did not hold then.
        TransactionProofError: The body is not one of known operations.
    """
    for transaction in facts.transactions.values():
        height = transaction.block.height
        key = transaction.envelope.key
        try:
            body = decode_body(transaction.envelope.body)
        except NonCanonicalError as error:
            raise TransactionProofError(f"the body is not a known one: {error}") from error
        if body.chain_id != facts.chain_id:
            raise WrongChainError(f"a transaction was signed for {body.chain_id}")
        try:
            row = facts.row(KEYS, key)
        except ClaimError as error:
            raise KeyNotValidError(f"nothing shows whose key signed: {error}") from error
        if row is None or row.account != body.sender:
            raise KeyNotValidError(f"the key that signed at height {height} is not the sender's")
        if height < row.from_height or (
            row.until_height is not None and height >= row.until_height
        ):
            until = "now" if row.until_height is None else str(row.until_height - 1)
            raise KeyNotValidError(
                f"the key that signed at height {height} spoke from {row.from_height} to {until}"
            )
