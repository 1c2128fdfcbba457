"""Puts a 100-tree model and a rule live on a benchmark's bank, all steps through the ledger."""

from typing import TypeVar

import lightgbm
import numpy as np

from bench.bank import BenchBank
from cairn.engine.base import Outcome
from cairn.exact import rules
from cairn.exact.models import encode_model
from cairn.learning.conversion.convert import convert
from cairn.ledger.messages import Event
from cairn.ledger.receipts import RECEIPT_DECODER
from cairn.modules.data.events import DatasetRegistered
from cairn.modules.data.messages import RegisterDataset
from cairn.modules.identity.messages import Approve
from cairn.modules.models.events import VersionRegistered
from cairn.modules.models.messages import (
    CreateDeployment,
    Promote,
    RegisterVersion,
    SealModel,
    UploadChunk,
)
from cairn.modules.models.records import CHUNK_SIZE_BYTES_MAX, model_digest, promotion_subject
from cairn.modules.registry import standard_registry
from cairn.modules.rules.messages import ActivateRule, SubmitRule
from cairn.modules.rules.records import activation_subject, rule_digest
from cairn.modules.training.events import RunRecorded
from cairn.modules.training.messages import RecordRun
from cairn.modules.training.records import SplitUse
from cairn.packs.payments.evaluate import PAYMENT_FEATURES

EventT = TypeVar("EventT", bound=Event)
DEPLOYMENT = "payment-risk"
NO_DIGEST = bytes(32)
INPUTS = (*PAYMENT_FEATURES, "payee_fraud_ppm_7d", "terminal_fraud_ppm_7d")
"""What the model looks at."""


def go_live(bank: BenchBank) -> str:
    """Train, upload, approve and promote a model; activate a rule; return a note about it.

    The rule looks at the score and holds about one transfer in 180, by its amount.
    """
    raw = train_model()
    digest = model_digest(raw)
    dataset = _event(
        bank.do(
            RegisterDataset(
                "bench", 1, 1, NO_DIGEST, 1000, NO_DIGEST, NO_DIGEST, 1, "none", True, "bench"
            )
        ),
        DatasetRegistered,
    ).dataset
    run = _event(
        bank.do(
            RecordRun(
                (SplitUse(dataset, "train", 0, 1000),),
                NO_DIGEST,
                b"",
                1,
                NO_DIGEST,
                1,
                (),
                digest,
                "lightgbm",
                lightgbm.__version__,
            )
        ),
        RunRecorded,
    ).run
    chunks = [
        raw[at : at + CHUNK_SIZE_BYTES_MAX] for at in range(0, len(raw), CHUNK_SIZE_BYTES_MAX)
    ]
    for index, chunk in enumerate(chunks):
        bank.do(UploadChunk(digest, index, len(chunks), chunk))
    bank.do(SealModel(digest, len(raw)))
    version = _event(
        bank.do(RegisterVersion("payment-risk", run, digest, NO_DIGEST)), VersionRegistered
    ).version
    bank.do(CreateDeployment(DEPLOYMENT, "models", "benchmark"))
    bank.do(Approve("models", promotion_subject(DEPLOYMENT, version, 0)))
    bank.do(Promote(DEPLOYMENT, version))
    rule = rules.encode_rule(
        rules.Rule(
            1,
            "hold-risky",
            (
                rules.Compare("model:" + DEPLOYMENT, ">=", 1),
                rules.Compare("field:amount_units", ">", 8_950),
                rules.All(2),
            ),
            (rules.Hold(86_400_000, "settle"),),
            1_000_000,
        )
    )
    bank.do(SubmitRule(rule))
    bank.do(Approve("rules", activation_subject("hold-risky", 1, rule_digest(rule), 0)))
    bank.do(ActivateRule("hold-risky", 1))
    return f"model of {len(raw):,} bytes"


def train_model() -> bytes:
    """Return an exact model of 100 trees of depth 6 over features that the ledger derives."""
    draw = np.random.default_rng(1)
    rows = draw.integers(0, 100_000, (20_000, len(INPUTS))).astype(np.float64)
    labels = (rows[:, :3].sum(axis=1) + draw.normal(0, 30_000, len(rows)) > 200_000).astype(int)
    settings = {
        "objective": "binary",
        "num_leaves": 64,
        "max_depth": 6,
        "verbose": -1,
        "seed": 1,
        "num_threads": 1,
    }
    booster = lightgbm.train(settings, lightgbm.Dataset(rows, labels), 100)
    return encode_model(convert(booster, INPUTS, rows).model)


def _event(outcome: Outcome, kind: type[EventT]) -> EventT:
    """Return the one event of this kind in a transaction's receipt."""
    receipt = RECEIPT_DECODER.decode(outcome.receipt)
    decoder = standard_registry().event_decoder
    events = [decoder.decode(raw) for one in receipt.operations for raw in one.events]
    bad = [one.code for one in receipt.operations if one.code != "ok"]
    if bad:
        raise RuntimeError(f"an operation was refused: {bad[0]}")
    return next(event for event in events if isinstance(event, kind))
