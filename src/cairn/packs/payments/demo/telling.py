"""What the demo says about each step, so that a reader can believe it."""

import textwrap

from cairn.learning.backtest import BacktestReport
from cairn.learning.evaluation import EvaluationReport
from cairn.packs.payments.demo.attacks_history import Rewriting
from cairn.packs.payments.demo.attempts import Attempt
from cairn.packs.payments.demo.bank import MEMBERS, WITNESS_NAME, DemoBank
from cairn.packs.payments.demo.dataset import Registered
from cairn.packs.payments.demo.folder import DemoFolder
from cairn.packs.payments.demo.history import OPERATIONS_PER_SIGNATURE, Replayed
from cairn.packs.payments.demo.model import APPROVERS, METRIC, MODEL, Evaluated, Live, Trained
from cairn.packs.payments.demo.printing import WIDTH, Printer
from cairn.packs.payments.demo.proofs import Proved, Verified
from cairn.packs.payments.demo.quality import Money, Quality
from cairn.packs.payments.demo.rule import APPROVERS as RULE_APPROVERS
from cairn.packs.payments.demo.rule import REAL_HOURS, DraftRule, Shadow
from cairn.packs.payments.demo.source import DemoPayments
from cairn.packs.payments.demo.stream import LIE, PAYMENTS_AT_ONCE, Expiry, Stream
from cairn.packs.payments.evaluate import DAY_MS
from cairn.packs.payments.handbook import PUBLISHED_AVERAGE_PRECISION, HandbookResult
from cairn.primitives.did import did_key
from cairn.sdk.quantities import format_time

HOLDS_SHOWN = 2
"""Holds of the period's report that are shown."""
FIGURES_TOLD = (
    "average_precision",
    "roc_auc",
    "precision_at_threshold",
    "recall_at_threshold",
    "calibration_error",
)


def percent(share: float) -> str:
    """Return a share as people read it."""
    return f"{100 * share:.1f} %"


def ppm_words(share: int | None) -> str:
    """Return a share in parts per million as people read it."""
    return "not known" if share is None else percent(share / 1e6)


def minute(time_ms: int) -> str:
    """Return a time to the minute, in UTC."""
    return format_time(time_ms)[:16].replace("T", " ")


def _key_words(bank: DemoBank, member: str) -> str:
    return did_key(bank.keys[member].public_key)[:24] + "…"


def tell_founding(out: Printer, bank: DemoBank) -> None:
    """Say who founded what, and who watches."""
    out.say(f"ledger {bank.chain_id}, founded by its people's signatures; all keys are new")
    rows = [
        (member.name, ", ".join(member.roles), _key_words(bank, member.name)) for member in MEMBERS
    ]
    out.table(("member", "roles", "key"), rows)
    out.say(
        "Models and rules go live when three of the five people with the role `approver` have "
        "approved; whoever made them does not count."
    )
    out.say(
        f"A supervisor runs the witness {WITNESS_NAME} with a key and a folder of its own, at "
        f"{bank.witness.url}. The node shows it each new head; it cosigns only what extends the "
        "last one."
    )


def tell_data(out: Printer, bank: DemoBank, data: DemoPayments, registered: Registered) -> None:
    """Say where the payments are from, how good they are, and what was committed."""
    for sentence in data.told:
        out.say(sentence + ".")
    split, payments = data.split, data.payments
    out.say(
        f"From {minute(int(payments.booked_at[0]))} UTC windows fill; from "
        f"{minute(split.train_start_ms)} on is training, from {minute(split.train_end_ms)} "
        f"evaluation; from {minute(data.evaluation_end_ms)} labels ripen; from "
        f"{minute(split.test_start_ms)} to {minute(split.test_end_ms)} is the stream."
    )
    export, found = registered.export, registered.quality
    leaks = ", ".join(f"`{name}`" for name in export.leaks) or "none"
    words = str(registered.refused).rpartition("): ")[2]
    out.say(
        f"The export up to the end of training, {export.row_count:,} rows, as it came: "
        f"{export.duplicates:,} rows stand twice, and the leak check names the columns that tell "
        f"the label: {leaks}. By the bank's policy it is refused, "
        f"{registered.refused.code}: {words}."
    )
    figures = found.figures
    manifest = registered.manifest
    out.say(
        f"Each row once and without that column: {figures['duplicates_ppm']} duplicates, "
        f"{figures['leaks']} leaks. Data set `payments` 1: {manifest.row_count:,} rows under the "
        f"root {manifest.row_root.hex()[:32]}…, quality figures beside it, each field salted from "
        f"a key of its payer that can be destroyed ({len(registered.keys):,} keys, which stay in "
        "the bank)."
    )
    name = payments.payer[-1]
    out.say(
        f"On the ledger there are pseudonyms alone: {name} is "
        f"{bank.customer(name).hex()[:16]}…, an id that is different on every ledger."
    )


def tell_history(out: Printer, data: DemoPayments, replayed: Replayed) -> None:
    """Say what went through the ledger before the stream."""
    out.say(
        f"{replayed.accounts:,} accounts opened and funded with {data.money(replayed.issued_units)}"
        " by issuance: as much as each payer will spend, so that no hold starves another payment."
    )
    out.say(
        f"{replayed.payments:,} payments before the stream went through the ledger under "
        f"{replayed.signatures:,} signatures ({OPERATIONS_PER_SIGNATURE} to each) in "
        f"{replayed.seconds:.1f} s: {replayed.payments / max(replayed.seconds, 1e-9):,.0f} per "
        "second, durable. They carry the times at which they were booked, so that the ledger's "
        "windows hold what training sees (bank.booked_at_skew_ms_max = 0)."
    )
    out.say(
        f"{replayed.labels:,} frauds of the training period became known meanwhile, each put on "
        "record by compliance a week after its booking: from then on they count in the fraud rates "
        "of payer, payee and terminal."
    )


def tell_training(out: Printer, trained: Trained) -> None:
    """Say how the model was made."""
    record, report = trained.run.record, trained.run.trained.conversion
    out.say(
        f"The file is checked against its commitment; then {record.library} "
        f"{record.library_version} learns {len(record.features)} features of "
        f"{record.train_rows:,} payments ({record.train_positives:,} frauds) with one thread and "
        f"seed {record.seed}."
    )
    out.say(
        f"Converted to integers: on {report.row_count:,} rows the probability differs from the "
        f"source's by at most {report.largest_difference:.1e}, mean {report.mean_difference:.1e}; "
        f"rank correlation {report.rank_correlation:.6f}; {report.flips_at_threshold} decisions "
        "flip."
    )


def tell_evaluation(
    out: Printer, data: DemoPayments, trained: Trained, evaluated: Evaluated
) -> None:
    """Say what the model is worth, and why nobody can have tuned it for that."""
    report, comparison = evaluated.report, evaluated.comparison
    days = (data.evaluation_end_ms - data.split.train_end_ms) / DAY_MS
    out.say(
        "Alert budget: as many alerts as there are frauds in the training period, "
        f"{percent(trained.alert_share)} of the payments, {trained.alerts_per_day:.1f} a day. The "
        "threshold is the score that this share of the payments reach whose labels still ripen."
    )
    out.say(
        "Split, threshold, figure and budget are committed as a plan and the run with the model's "
        f"digest is recorded. Only then {evaluated.labels:,} labels of the {days:.0f} days after "
        f"training come on the ledger: evaluation {evaluated.recorded.number} of the plan, "
        + ("blind." if evaluated.recorded.is_blind else "not blind.")
        + f" The same under a plan of now is refused: {evaluated.late_code}."
    )
    figures = [
        (name.replace("_", " "), f"{one.value:.3f}", f"{one.lower:.3f} to {one.upper:.3f}")
        for name in FIGURES_TOLD
        if (one := report.figures.get(name)) is not None
    ]
    heads = (f"{report.positive_count:,} of {report.row_count:,} are fraud", "", "95 % bounds")
    out.table(heads, figures)
    baseline = comparison.rule_numbers
    often = (
        f", or the {baseline.count_in_hour}th within an hour"
        if baseline.count_in_hour < len(data.payments)
        else ""
    )
    out.say(
        "Beside a two-line rule fitted on the same training period (above "
        f"{data.money(baseline.amount_units)}{often}), {comparison.alerts:,} alerts each:"
    )
    rows = [
        (
            name,
            f"{ranked.quality.found:,}",
            percent(ranked.quality.precision),
            percent(ranked.quality.recall),
            data.money(ranked.found_units),
            f"{ranked.average_precision:.3f}",
        )
        for name, ranked in (("model", comparison.model), ("two-line rule", comparison.rule))
    ]
    out.table(("", "frauds found", "precision", "recall", "money found", "average precision"), rows)


def tell_protocol(out: Printer, result: HandbookResult) -> None:
    """Say how the same training does by the published protocol, on all of the data."""
    found = result.comparison.model
    out.say(
        "By the Fraud Detection Handbook's own protocol (all payers; a week of training, a week's "
        f"delay, a week of test: {result.test_rows:,} payments, {result.test_frauds:,} frauds): "
        f"average precision {found.average_precision:.3f}, the book's gradient boosting "
        f"{PUBLISHED_AVERAGE_PRECISION:.3f}; AUC {found.roc_auc:.3f}; card precision@100 "
        f"{found.payer_precision_at_k:.3f}. These scores are the exact model's."
    )


def tell_live(out: Printer, trained: Trained, live: Live) -> None:
    """Say how the model went live."""
    size = len(trained.run.trained.model_bytes)
    *first, last = APPROVERS
    out.say(
        f"{size:,} bytes uploaded in {live.chunks} chunks, sealed under their "
        f"digest, registered as `{MODEL}` 1. Approved by {' and '.join(first)}; the attempt to "
        f"promote it then was refused: {live.refused_code}. Approved by {last}, the third: live."
    )


def tell_rule(out: Printer, data: DemoPayments, draft: DraftRule, report: BacktestReport) -> None:
    """Say what the rule says, and what it would have done."""
    out.quote(draft.text)
    out.say(
        "Submitted by rita. To put it in force now is refused: "
        f"{draft.refused_code}. So it is tried on the ledger's own payments of the evaluation's "
        "period, with the live model, and what came out is recorded:"
    )
    found = f"{report.fraud_alerts} of {report.frauds} known frauds"
    rows = [
        ("payments", f"{report.payments:,}", ""),
        ("alerts", f"{report.alerts:,}", f"{report.alerts_per_day_milli / 1000:.1f} a day"),
        ("held", data.money(report.value_held_units), f"of {data.money(report.value_units)}"),
        ("precision", ppm_words(report.precision_ppm), f"{report.genuine_alerts} false alarms"),
        ("recall", ppm_words(report.recall_ppm), found),
    ]
    out.table((), [*rows, *(("reason", one.text, f"{one.alerts:,}") for one in report.reasons[:1])])


def tell_shadow(out: Printer, data: DemoPayments, shadow: Shadow) -> None:
    """Say what the rule would have done to the first payments of the stream."""
    days = (data.split.test_end_ms - data.split.test_start_ms) / DAY_MS
    out.say(
        f"First it watches, approved by {', '.join(RULE_APPROVERS)}: of {shadow.payments:,} "
        f"payments it would have held {shadow.alerts:,}, {shadow.frauds:,} of them frauds, as is "
        "known later. It held nothing. Then it is approved to act, from the next block."
    )
    out.say(
        f"{days:.1f} days of payments pass in seconds here, so holds last seconds instead of "
        f"{REAL_HOURS} hours, and the daily cap is meant for all of these days."
    )


def tell_stream(out: Printer, data: DemoPayments, stream: Stream) -> None:
    """Say how the stream went."""
    count = len(stream.transaction_ids)
    out.say(
        f"{count:,} payments, each signed alone, scored in its block, and held before it settled "
        f"if the rule acted and fired: {count / stream.seconds:,.0f} per second, labels and "
        f"people's decisions included. Submit to final, {PAYMENTS_AT_ONCE} at once: half within "
        f"{stream.percentile_ms(50):.0f} ms, 99 % within {stream.percentile_ms(99):.0f} ms."
    )
    same = count - stream.different
    out.say(
        f"Features and scores of {same:,} of {count:,} payments are bit for bit those computed "
        "outside of the ledger by the code that trained the model."
    )
    story = stream.story
    assert story is not None
    what = (
        "the payer's side appealed, a second officer upheld the hold, and it was returned"
        if story.is_fraud
        else "the payer's side appealed, and compliance released it"
    )
    out.say(
        f"One of them, {data.money(story.amount_units)} at score {percent(story.score_ppm / 1e6)}: "
        f"{what}. It is the payment of payment.cairn."
    )
    lied = stream.lied
    assert lied is not None
    stated = ", ".join(f"{one.name} = {one.value:,}" for one in LIE)
    out.say(
        f"With another, {data.money(lied.amount_units)}, its submitter stated a harmless past "
        f"({stated}). It stands in the receipt as asserted; model and rule look at what the ledger "
        f"derived itself: score {percent(lied.score_ppm / 1e6)}, held."
    )


def tell_rail(out: Printer, data: DemoPayments, stream: Stream) -> None:
    """Say what was decided for the other rail, and what it did."""
    asked, overridden = stream.rail.asked, stream.rail.overridden
    statuses = [one.status for one in asked]
    held = [one for one in asked if one.verdict == "hold"]
    out.say(
        f"{len(asked):,} of the payments settle on another rail. It asked first; {len(held)} were "
        f"held until compliance decided. Then it signed what it did: "
        f"{statuses.count('enforced'):,} enforced. Listed: 1 overridden "
        f"({data.money(overridden.amount_units)}, "
        + ("let go on" if overridden.is_allowed else "stopped by the ledger's answer")
        + ", and the rail did otherwise), 1 unanswered when its time was over."
    )


def tell_expiry(out: Printer, data: DemoPayments, stream: Stream, expiry: Expiry) -> None:
    """Say how the hold ended that nobody looked at."""
    left = stream.left
    assert left is not None
    late = expiry.time_ms - left.expires_at_ms
    way = "on to the payee, as the rule says" if expiry.is_settled else "back to the payer"
    held = (left.expires_at_ms - left.placed_ms) / 1000
    out.say(
        f"One hold, {data.money(left.amount_units)}, was left alone. The idle node woke by itself "
        f"{late} ms after its {held:.0f} s were over and made block {expiry.height} with "
        f"{expiry.transactions} transactions: the money went {way}."
    )


def tell_quality(
    out: Printer, data: DemoPayments, stream: Stream, quality: Quality, labels: tuple[int, int]
) -> None:
    """Say what the holds were worth, when the labels had come."""
    out.say(
        f"While the stream went on, {labels[0]:,} labels became known, each a week after its "
        f"booking or when people decided; a week later the other {labels[1]:,} are. Since the rule "
        "acts:"
    )
    rows = [
        (name, f"{found.found:,}", percent(found.precision), percent(found.recall))
        for name, found in (("held", quality.held), ("two-line rule", quality.baseline))
    ]
    heads = (f"{quality.held.alerts:,} alerts each", "frauds found", "precision", "recall")
    out.table(heads, rows)
    fates: dict[str, int] = {}
    for one in stream.holds:
        fates[one.fate] = fates.get(one.fate, 0) + 1
    told = ", ".join(f"{count} {fate}" for fate, count in sorted(fates.items()))
    unit = 10**data.decimals
    hours = "euro-hours" if data.asset == "eur" else f"{data.asset}-hours"
    wrong = quality.held.alerts - quality.held.found
    out.say(
        f"Holds on the ledger: {told}; 1 appealed. Fraud stopped: "
        f"{data.money(quality.stopped_units)} of {data.money(quality.fraud_units)}. Wrong holds: "
        f"{wrong}, {data.money(quality.wrong_units)}: {quality.wrong_unit_hours / unit:,.1f} "
        f"{hours} on the demo's clock, and {quality.wrong_unit_hours_real / unit:,.0f} if each had "
        f"lasted its {REAL_HOURS} hours."
    )


def tell_live_figures(out: Printer, report: EvaluationReport) -> None:
    """Say what the live model was worth on the whole stream."""
    found = report.figures[METRIC]
    out.say(
        f"The live model on the whole stream, under a plan from before it: average precision "
        f"{found.value:.3f} ({found.lower:.3f} to {found.upper:.3f}), recorded too."
    )


def tell_money(out: Printer, data: DemoPayments, money: Money, outcomes: int) -> None:
    """Say that no money was made or lost."""
    out.say(
        f"{outcomes:,} outcomes on record. Money: {data.money(money.supply_units)} issued, "
        f"{data.money(money.available_units)} available, {data.money(money.held_units)} held: "
        + ("it adds up." if money.is_conserved else "IT DOES NOT ADD UP.")
    )


def tell_evidence(out: Printer, proofs: tuple[Proved, ...]) -> None:
    """Say which files were written."""
    what = {
        "payment.cairn": "one held payment: order, score, model, rule, approvals, and its fate",
        "decision.cairn": "one decision for the other rail, and that the rail did not keep to it",
        "period.cairn": "every prediction, firing and hold of the period, nothing missing",
    }
    rows = [
        (proof.path.name, f"{proof.size_bytes:,} bytes", f"{proof.seconds:.2f} s", what[name])
        for proof in proofs
        if (name := proof.path.name) in what
    ]
    out.table((), rows)
    out.say(
        "trust.json names the node's key and the witness's, one of whose cosignatures is needed. "
        "A verifier has to get it from elsewhere than from whoever hands over the evidence."
    )


def tell_verified(out: Printer, verified: Verified) -> None:
    """Show a verifier's report, shortened."""
    out.quote(f"$ cairn-verify {' '.join(verified.arguments)}     [{verified.seconds:.2f} s]")
    holds = 0
    hidden = False
    for line in verified.text.splitlines():
        if line.startswith("  hold "):
            holds += 1
            hidden = holds > HOLDS_SHOWN
            if holds == HOLDS_SHOWN + 1:
                out.quote("  …")
        elif not line.startswith("    "):
            hidden = False
        if line.startswith("assurance"):
            out.quote("\n".join(textwrap.wrap(line, WIDTH - 4, subsequent_indent=" " * 12)))
        elif not hidden:
            out.quote(line if len(line) <= WIDTH - 4 else line[: WIDTH - 5] + "…")
    out.blank()


def tell_pages(out: Printer, folder: DemoFolder) -> None:
    """Say which pages were written."""
    rows = [
        (folder.page.name, "the stream: what was decided, by which model and rule, how well"),
        (folder.quality.name, "the data as they came, column by column"),
        (folder.evaluation.name, "the model's figures with bounds, and plots"),
        (folder.lineage.name, "from which data and run the model came, and who approved it"),
        (folder.backtest.name, "the rule on the past"),
    ]
    out.table((), rows)
    out.say("One file each, with nothing from elsewhere: for a browser, light or dark, and paper.")


def tell_attempts(out: Printer, attempts: list[Attempt], rewriting: Rewriting) -> None:
    """Show every attempt and what found it."""
    rows = [(one.what, one.finder, f"{one.code}: {one.short_words}") for one in attempts]
    out.table(("attempt", "found by", "in its own words"), rows)
    out.say(
        f"The last four are one attack. The operator cut a copy of the ledger back, let the held "
        f"payment through ({rewriting.fate}), played everything later again in {rewriting.blocks} "
        "blocks, and signed them with the node's real key. Nothing in it is forged. The witness "
        "knows another history, and a trust file that names the witness refuses the evidence."
    )
    out.say(
        "Where nobody but the operator keeps heads, this cannot be found out, and the report says "
        f"so: {rewriting.sentence}."
    )
