"""What the demo says about each step, so that a reader can believe it."""

import textwrap

from cairn.packs.payments.demo.attacks_history import Rewriting
from cairn.packs.payments.demo.attempts import Attempt
from cairn.packs.payments.demo.bank import MEMBERS, WITNESS_NAME, DemoBank
from cairn.packs.payments.demo.dataset import Registered
from cairn.packs.payments.demo.history import OPERATIONS_PER_SIGNATURE, Replayed
from cairn.packs.payments.demo.model import APPROVERS, MODEL, Live, Trained
from cairn.packs.payments.demo.printing import WIDTH, Printer
from cairn.packs.payments.demo.proofs import Proved, Verified
from cairn.packs.payments.demo.quality import Money, Quality
from cairn.packs.payments.demo.rule import APPROVERS as RULE_APPROVERS
from cairn.packs.payments.demo.rule import REAL_HOURS, ActiveRule
from cairn.packs.payments.demo.source import DemoPayments
from cairn.packs.payments.demo.stream import PAYMENTS_AT_ONCE, Expiry, Stream
from cairn.packs.payments.evaluate import DAY_MS
from cairn.primitives.did import did_key
from cairn.sdk.quantities import format_time

HOLDS_SHOWN = 2
"""Holds of the period's report that are shown."""


def percent(share: float) -> str:
    """Return a share as people read it."""
    return f"{100 * share:.1f} %"


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


def tell_payments(out: Printer, bank: DemoBank, data: DemoPayments, registered: Registered) -> None:
    """Say where the payments are from and what of them was committed."""
    for sentence in data.told:
        out.say(sentence + ".")
    split, payments = data.split, data.payments
    out.say(
        f"From {minute(int(payments.booked_at[0]))} UTC windows fill, from "
        f"{minute(split.train_start_ms)} on is training, from {minute(split.train_end_ms)} labels "
        f"ripen, from {minute(split.test_start_ms)} to {minute(split.test_end_ms)} is the test."
    )
    manifest = registered.manifest
    out.say(
        f"Data set `payments` 1: {manifest.row_count:,} rows under the root "
        f"{manifest.row_root.hex()[:32]}…, each field salted from a key of its payer that can be "
        f"destroyed ({len(registered.keys):,} keys, which stay in the bank)."
    )
    name = payments.payer[-1]
    out.say(
        f"On the ledger there are pseudonyms alone: {name} is "
        f"{bank.customer(name).hex()[:16]}…, an id that is different on every ledger."
    )


def tell_history(out: Printer, data: DemoPayments, replayed: Replayed) -> None:
    """Say what went through the ledger before the test period."""
    out.say(
        f"{replayed.accounts:,} accounts opened and funded with {data.money(replayed.issued_units)}"
        " by issuance: as much as each payer will spend, so that no hold starves another payment."
    )
    out.say(
        f"{replayed.payments:,} payments before the test period went through the ledger under "
        f"{replayed.signatures:,} signatures ({OPERATIONS_PER_SIGNATURE} to each) in "
        f"{replayed.seconds:.1f} s: {replayed.payments / max(replayed.seconds, 1e-9):,.0f} per "
        "second, durable."
    )
    out.say(
        "They carry the times at which they were booked, so that the ledger's windows hold what "
        "training sees. As recorded payments are replayed, the charter switches the bound on "
        "booking times off (bank.booked_at_skew_ms_max = 0)."
    )


def tell_training(out: Printer, data: DemoPayments, trained: Trained) -> None:
    """Say how the model was made and how it compares with two lines of rules."""
    record, comparison = trained.run.record, trained.comparison
    out.say(
        f"The file is checked against its commitment; then {record.library} "
        f"{record.library_version} learns from {record.train_rows:,} payments "
        f"({record.train_positives:,} frauds) with one thread and seed {record.seed}."
    )
    baseline = comparison.rule_numbers
    often = (
        f", or the {baseline.count_in_hour}th within an hour"
        if baseline.count_in_hour < len(data.payments)
        else ""
    )
    out.say(
        f"Later period, {record.test_rows:,} payments with {record.test_positives:,} frauds, "
        f"{comparison.alerts:,} alerts each. The two-line rule, fitted on the same training "
        f"period: above {data.money(baseline.amount_units)}{often}."
    )
    rows = [
        (
            name,
            f"{ranked.quality.found:,}",
            percent(ranked.quality.precision),
            percent(ranked.quality.recall),
            data.money(ranked.found_units),
            f"{ranked.roc_auc:.3f}",
            f"{ranked.average_precision:.3f}",
        )
        for name, ranked in (("model", comparison.model), ("two-line rule", comparison.rule))
    ]
    heads = ("", "frauds found", "precision", "recall", "money found", "AUC", "avg. precision")
    out.table(heads, rows)
    report = trained.run.trained.conversion
    out.say(
        f"Converted to integers: on {report.row_count:,} rows the raw output differs from the source's "
        f"by at most {report.largest_raw_difference:.1e}, the probability by "
        f"{report.largest_difference:.1e}; {report.flips_at_threshold} decisions flip."
    )


def tell_live(out: Printer, trained: Trained, live: Live) -> None:
    """Say how the model went live."""
    size = len(trained.run.trained.model_bytes)
    *first, last = APPROVERS
    out.say(
        f"Run recorded; {size:,} bytes uploaded in {live.chunks} chunks, sealed under their "
        f"digest, registered as `{MODEL}` 1. Approved by {' and '.join(first)}; the attempt to "
        f"promote it then was refused: {live.refused_code}. Approved by {last}, the third: live."
    )


def tell_rule(out: Printer, data: DemoPayments, trained: Trained, rule: ActiveRule) -> None:
    """Say what the rule says, and where its threshold is from."""
    out.say(
        "Alert budget: as many alerts as there are frauds in the training period, "
        f"{percent(trained.alert_share)} of the payments, {trained.alerts_per_day:.1f} a day. The "
        "threshold is the score that this share of the payments between training and test reach: "
        "the model has not seen them, and their labels are not needed."
    )
    out.quote(rule.text)
    days = (data.split.test_end_ms - data.split.test_start_ms) / DAY_MS
    out.say(
        f"Submitted by rita, approved by {', '.join(RULE_APPROVERS)}, live from the next block. "
        f"{days:.1f} days of payments pass in seconds here, so holds last seconds instead of "
        f"{REAL_HOURS} hours, and the daily cap is meant for all of these days."
    )


def tell_stream(out: Printer, data: DemoPayments, stream: Stream) -> None:
    """Say how the test period went."""
    count = len(stream.transaction_ids)
    out.say(
        f"{count:,} payments, each signed alone, scored in its block and held before it settled "
        f"if the rule fired: {count / stream.seconds:,.0f} per second, compliance's decisions "
        f"included. Submit to final, {PAYMENTS_AT_ONCE} at once: half within "
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
    out: Printer, data: DemoPayments, trained: Trained, stream: Stream, quality: Quality
) -> None:
    """Say what the holds were worth."""
    fates: dict[str, int] = {}
    for one in stream.holds:
        fates[one.fate] = fates.get(one.fate, 0) + 1
    told = ", ".join(f"{count} {fate}" for fate, count in sorted(fates.items()))
    share = len(stream.holds) / len(stream.transaction_ids)
    out.say(
        f"{len(stream.holds)} payments held, {percent(share)} of all (the budget was "
        f"{percent(trained.alert_share)}): {told}; 1 appealed."
    )
    rows = [
        (name, f"{found.found:,}", percent(found.precision), percent(found.recall))
        for name, found in (("holds", quality.held), ("two-line rule", quality.baseline))
    ]
    heads = (f"{quality.held.alerts:,} alerts each", "frauds found", "precision", "recall")
    out.table(heads, rows)
    unit = 10**data.decimals
    hours = "euro-hours" if data.asset == "eur" else f"{data.asset}-hours"
    wrong = quality.held.alerts - quality.held.found
    out.say(
        f"Fraud stopped: {data.money(quality.stopped_units)} of {data.money(quality.fraud_units)}. "
        f"Wrong holds: {wrong}, {data.money(quality.wrong_units)}: "
        f"{quality.wrong_unit_hours / unit:,.1f} {hours} on the demo's clock, and "
        f"{quality.wrong_unit_hours_real / unit:,.0f} if each had lasted its {REAL_HOURS} hours."
    )


def tell_money(out: Printer, data: DemoPayments, money: Money, outcomes: int) -> None:
    """Say that no money was made or lost."""
    out.say(
        f"{outcomes:,} outcomes recorded. Money: {data.money(money.supply_units)} issued, "
        f"{data.money(money.available_units)} available, {data.money(money.held_units)} held: "
        + ("it adds up." if money.is_conserved else "IT DOES NOT ADD UP.")
    )


def tell_evidence(out: Printer, proofs: tuple[Proved, ...]) -> None:
    """Say which files were written."""
    what = {
        "payment.cairn": "one held payment: order, score, model, rule, approvals, and its fate",
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
