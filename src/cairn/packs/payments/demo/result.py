"""How a demo went, and its numbers as they stand in demo.json."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cairn.learning.backtest import BacktestReport
from cairn.learning.evaluation import EvaluationReport
from cairn.learning.metrics import AlertQuality
from cairn.packs.payments.demo.attacks_history import Rewriting
from cairn.packs.payments.demo.attempts import Attempt
from cairn.packs.payments.demo.dataset import Registered
from cairn.packs.payments.demo.history import Replayed
from cairn.packs.payments.demo.model import METRIC, Evaluated, Live, Trained
from cairn.packs.payments.demo.proofs import Proved, Verified
from cairn.packs.payments.demo.quality import Money, Quality
from cairn.packs.payments.demo.rule import Shadow
from cairn.packs.payments.demo.source import DemoPayments
from cairn.packs.payments.demo.stream import EXPIRED, RELEASED, RETURNED, Expiry, Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """How a demo went."""

    directory: Path
    seed: int
    data: DemoPayments
    registered: Registered
    replayed: Replayed
    trained: Trained
    evaluated: Evaluated
    live: Live
    backtest: BacktestReport
    shadow: Shadow
    stream: Stream
    expiry: Expiry
    outcomes: int
    """Outcomes that were recorded."""
    live_report: EvaluationReport
    """What the live model was worth on the stream, when the labels had come."""
    quality: Quality
    money: Money
    proofs: tuple[Proved, ...]
    verified: tuple[Verified, ...]
    attempts: tuple[Attempt, ...]
    rewriting: Rewriting
    seconds: dict[str, float]
    """How long each step took, and `all` of them."""

    @property
    def figures(self) -> dict[str, Any]:
        """The numbers of this run; names are added, never changed."""
        return {
            "seed": self.seed,
            "synthetic": self.data.is_synthetic,
            "asset": self.data.asset,
            "decimals": self.data.decimals,
            "data": _data(self.registered),
            "history": _history(self.replayed),
            "model": _model(self.trained, self.evaluated, self.live),
            "backtest": _backtest(self.backtest, self.shadow),
            "stream": _stream(self.stream, self.expiry),
            "live_average_precision": round(self.live_report.figures[METRIC].value, 4),
            "decisions": _decisions(self.stream),
            "holds": _holds(self.quality),
            "outcomes": self.outcomes,
            "money": _money(self.money),
            "evidence": {
                proof.path.name: _evidence(proof, done)
                for proof, done in zip(self.proofs, self.verified, strict=True)
            },
            "attempts": [_attempt(one) for one in self.attempts],
            "seconds": self.seconds,
        }


def _history(replayed: Replayed) -> dict[str, Any]:
    return {
        "accounts": replayed.accounts,
        "payments": replayed.payments,
        "signatures": replayed.signatures,
        "labels": replayed.labels,
        "payments_per_s": round(replayed.payments / max(replayed.seconds, 1e-9)),
    }


def _data(registered: Registered) -> dict[str, Any]:
    return {
        "rows": registered.manifest.row_count,
        "quality": registered.quality.figures,
        "refused": registered.refused.code,
        "refused_quality": registered.export.figures,
        "leaks_found": list(registered.export.leaks),
    }


def _backtest(report: BacktestReport, shadow: Shadow) -> dict[str, Any]:
    return {
        "payments": report.payments,
        "alerts": report.alerts,
        "alerts_per_day": report.alerts_per_day_milli / 1000,
        "value_held_units": report.value_held_units,
        "precision_ppm": report.precision_ppm,
        "recall_ppm": report.recall_ppm,
        "shadow_payments": shadow.payments,
        "shadow_alerts": shadow.alerts,
        "shadow_frauds": shadow.frauds,
    }


def _decisions(stream: Stream) -> dict[str, Any]:
    statuses = [one.status for one in stream.rail.asked]
    verdicts = [one.verdict for one in stream.rail.asked]
    counts = {name: statuses.count(name) for name in sorted(dict.fromkeys(statuses))}
    return {"asked": len(statuses), "held": verdicts.count("hold"), **counts}


def _model(trained: Trained, evaluated: Evaluated, live: Live) -> dict[str, Any]:
    comparison, report = evaluated.comparison, trained.run.trained.conversion
    precision = evaluated.report.figures[METRIC]
    return {
        "train_payments": trained.run.record.train_rows,
        "train_frauds": trained.run.record.train_positives,
        "test_payments": evaluated.report.row_count,
        "test_frauds": evaluated.report.positive_count,
        "average_precision": round(precision.value, 4),
        "average_precision_lower": round(precision.lower, 4),
        "average_precision_upper": round(precision.upper, 4),
        "is_blind": evaluated.recorded.is_blind,
        **_quality("", comparison.model.quality),
        **_quality("rule_", comparison.rule.quality),
        "roc_auc": round(comparison.model.roc_auc, 4),
        "size_bytes": report.size_bytes,
        "chunks": live.chunks,
        "raw_difference_max": report.largest_raw_difference,
        "threshold_ppm": trained.threshold_ppm,
    }


def _stream(stream: Stream, expiry: Expiry) -> dict[str, Any]:
    fates = [one.fate for one in stream.holds]
    count = len(stream.transaction_ids)
    return {
        "payments": count,
        "payments_per_s": round(count / max(stream.seconds, 1e-9)),
        "latency_ms_p50": round(stream.percentile_ms(50), 1),
        "latency_ms_p99": round(stream.percentile_ms(99), 1),
        "held": len(fates),
        **{fate: fates.count(fate) for fate in (RELEASED, RETURNED, EXPIRED)},
        "appealed": 1,
        "different_from_offline": stream.different,
        "expiry_height": expiry.height,
        "expiry_block_transactions": expiry.transactions,
    }


def _holds(quality: Quality) -> dict[str, Any]:
    return {
        **_quality("", quality.held),
        **_quality("rule_", quality.baseline),
        "fraud_stopped_units": quality.stopped_units,
        "fraud_units": quality.fraud_units,
        "wrong_units": quality.wrong_units,
        "wrong_unit_hours": round(quality.wrong_unit_hours, 1),
        "wrong_unit_hours_in_earnest": round(quality.wrong_unit_hours_real, 1),
    }


def _quality(prefix: str, quality: AlertQuality) -> dict[str, Any]:
    return {
        f"{prefix}alerts": quality.alerts,
        f"{prefix}precision": round(quality.precision, 4),
        f"{prefix}recall": round(quality.recall, 4),
    }


def _money(money: Money) -> dict[str, Any]:
    return {
        "supply_units": money.supply_units,
        "available_units": money.available_units,
        "held_units": money.held_units,
        "escrowed_units": money.escrowed_units,
        "is_conserved": money.is_conserved,
    }


def _evidence(proof: Proved, done: Verified) -> dict[str, Any]:
    return {
        "size_bytes": proof.size_bytes,
        "prove_s": round(proof.seconds, 3),
        "verify_s": round(done.seconds, 3),
        "assurance": done.assurance,
    }


def _attempt(one: Attempt) -> dict[str, Any]:
    return {
        "attempt": one.what,
        "found_by": one.finder,
        "expected": one.expected,
        "code": one.code,
        "words": one.words,
    }
