"""`cairn decide`: answers before somebody else acts, and what the executor then did."""

import csv
import io
import secrets
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from typer import Argument, Option

from cairn.cli.files import write_output
from cairn.cli.predict import ROWS_AT_ONCE, inputs_of, parse_features, read_rows
from cairn.cli.session import Session, command, new_app
from cairn.modules.bank.records import ASSETS
from cairn.modules.decisions.messages import DecideCase, Review
from cairn.modules.decisions.records import (
    ALLOW,
    DECISION_SERIES,
    DECISIONS,
    HOLD,
    OUTCOME_SERIES,
    REFUSE,
    CaseSubject,
    Decision,
)
from cairn.primitives.hashes import sha256
from cairn.sdk.client import Client
from cairn.sdk.decisions import Decision as Decided
from cairn.sdk.decisions import Payment, decide_inputs, opened, waiting_words
from cairn.sdk.errors import UsageError
from cairn.sdk.names import Names, customer_pseudonym, find_id
from cairn.sdk.predictions import live_schema, spelled
from cairn.sdk.quantities import format_amount, format_time, parse_amount, parse_time
from cairn.sdk.reading import Reader

app = new_app("Answers before somebody else acts, and what the executor then did.")

OUTSIDE = "outside:"
"""Begins the name of a payee whom the ledger does not know."""
PAGE = 500

DecisionArgument = Annotated[str, Argument(metavar="DECISION", help="Its id, or its first digits.")]
ExecutorOption = Annotated[str, Option(help="Who acts on the answer; else whoever asks.")]
ReferenceOption = Annotated[str, Option(help="What it is known by; only its digest is sent.")]


@command(app, "payment")
def payment(
    session: Session,
    payer: Annotated[str, Argument(metavar="PAYER", help="The account that pays.")],
    payee: Annotated[
        str, Argument(metavar="PAYEE", help="The account that is paid, or outside:NAME.")
    ],
    amount: Annotated[str, Argument(metavar="AMOUNT", help="Such as 12.50.")],
    asset: Annotated[str, Argument(metavar="ASSET", help="Any name, such as eur.")],
    executor: ExecutorOption = "",
    terminal: Annotated[str, Option(help="Where it was made: 40 hex digits.")] = "",
    stated: Annotated[
        list[str] | None, Option("--state", help="NAME=INTEGER, for rules; may be repeated.")
    ] = None,
    reference: ReferenceOption = "",
    decimals: Annotated[int, Option(help="Of an asset that the ledger does not know.")] = 2,
) -> None:
    """Ask whether a payment may settle on another rail. Nothing moves here."""
    with session.client() as client:
        names = session.names(client)
        known = client.get(ASSETS, asset)
        places = decimals if known is None else known.decimals
        asked = Payment(
            payer=names.find(payer),
            payee=_payee(session, client, names, payee),
            asset=asset,
            amount_units=parse_amount(amount, places),
            booked_at_ms=session.now_ms(),
            terminal=_hex(terminal),
            asserted=dict(map(_stated, stated or ())),
            reference=_digest(reference),
        )
        by = names.find(executor) if executor else client.account
        answer = client.decide_payment(asked, executor=by)
    _show_answer(session, answer)


@command(app, "case")
def case(
    session: Session,
    deployment: Annotated[str, Argument(metavar="DEPLOYMENT", help="Whose model and rules.")],
    features: Annotated[
        str, Option(help="NAME=VALUE,… or the values in the model's order, or @FILE.json.")
    ] = "",
    executor: ExecutorOption = "",
    reference: ReferenceOption = "",
    file: Annotated[
        Path | None, Option("--file", help="Decide on every row of this CSV; columns by name.")
    ] = None,
    output: Annotated[
        Path | None, Option("-o", "--output", help="With --file: where the decisions go.")
    ] = None,
) -> None:
    """Ask for a decision on a case, or on a file of them, that a deployment's model scores."""
    if (file is None) == (not features) or (file is None) != (output is None):
        raise UsageError(
            "one case or a file of them?", "give --features, or --file rows.csv -o decisions.csv"
        )
    with session.client() as client:
        if file is not None and output is not None:
            by = session.names(client).find(executor) if executor else client.account
            session.out.record(_decide_file(session, client, deployment, by, (file, output)))
            return
        row = parse_features(features, live_schema(client, deployment).features)
        by = session.names(client).find(executor) if executor else client.account
        final = client.submit(DecideCase(deployment, row, by, _digest(reference)))
        answer = opened(client, final)
    _show_answer(session, answer)


@command(app, "review")
def review(
    session: Session,
    decision: DecisionArgument,
    ruling: Annotated[str, Argument(metavar="release|reject", help="May it go on, or not.")],
    reason: Annotated[str, Option(help="A word for why, such as called-back.")] = "reviewed",
) -> None:
    """Decide on a held one; for compliance."""
    if ruling not in ("release", "reject"):
        raise UsageError(f"{ruling!r} is no ruling", "write release or reject")
    with session.client() as client:
        identity = find_id(client, DECISIONS, decision, "a decision")
        row = client.require(DECISIONS, identity)
        names = session.names(client)
        session.confirm(f"{ruling}: {_subject(client, names, row)}")
        session.send(client, Review(identity, cast(Literal["release", "reject"], ruling), reason))
        fields = _fields(client, names, identity, client.require(DECISIONS, identity))
    session.out.record(fields)


@command(app, "report")
def report(
    session: Session,
    decision: DecisionArgument,
    done: Annotated[str, Argument(metavar="executed|stopped", help="What was done.")],
    at: Annotated[str, Option(help="When, such as 2026-01-31T12:00:00Z; else now.")] = "",
) -> None:
    """State what was done about a decision; for its executor."""
    if done not in ("executed", "stopped"):
        raise UsageError(f"{done!r} is not what was done", "write executed or stopped")
    with session.client() as client:
        identity = find_id(client, DECISIONS, decision, "a decision")
        acted_ms = parse_time(at) if at else None
        what = cast(Literal["executed", "stopped"], done)
        told = client.report_execution(identity, what, acted_ms=acted_ms)
    session.out.record(
        {
            "decision": identity.hex(),
            "done": told.done,
            "acted": format_time(told.acted_ms),
            "status": told.status,
        }
    )


@command(app, "list")
def list_decisions(
    session: Session,
    unanswered: Annotated[bool, Option("--unanswered", help="The executor is silent.")] = False,
    overridden: Annotated[bool, Option("--overridden", help="Done otherwise than said.")] = False,
    late: Annotated[bool, Option("--late", help="Done or told late.")] = False,
    waiting: Annotated[bool, Option("--open", help="Held, or waiting for a report.")] = False,
    limit: Annotated[int, Option(min=1, help="Most to list, the newest.")] = 100,
) -> None:
    """List decisions, the newest last; of chosen statuses, or all."""
    wanted = [
        status
        for is_wanted, statuses in (
            (unanswered, ("unanswered",)),
            (overridden, ("overridden",)),
            (late, ("late",)),
            (waiting, ("held", "open")),
        )
        if is_wanted
        for status in statuses
    ]
    with session.reader() as reader:
        names = session.names(reader)
        rows: list[dict[str, Any]] = []
        position = reader.series_size(DECISION_SERIES)
        while position > 0 and len(rows) < limit:
            start = max(0, position - PAGE)
            page = list(reader.series(DECISION_SERIES, start=start, limit=position - start))
            for entry in reversed(page):
                row = reader.require(DECISIONS, entry.record.decision)
                if (not wanted or row.status in wanted) and len(rows) < limit:
                    rows.append(_fields(reader, names, entry.record.decision, row))
            position = start
    session.out.rows(
        ("decision", "about", "verdict", "rule", "answer", "status", "decided", "executor", "due"),
        rows[::-1],
    )


@command(app, "show")
def show(session: Session, decision: DecisionArgument) -> None:
    """Show a decision, why it came out so, and everything that became of it."""
    with session.reader() as reader:
        names = session.names(reader)
        identity = find_id(reader, DECISIONS, decision, "a decision")
        row = reader.require(DECISIONS, identity)
        final = reader.outcome(row.transaction_id)
        reasons = () if final is None else opened(reader, final, row.operation_index).reasons
        steps = [
            f"{format_time(entry.time_ms)} {entry.record.step.replace('_', ' ')}"
            + (f" by {names.show(entry.record.by)}" if entry.record.by else "")
            + (f": {entry.record.reason}" if entry.record.reason else "")
            + (f": {entry.record.done}" if entry.record.done else "")
            for entry in reader.range(
                OUTCOME_SERIES, from_ms=row.decided_ms, until_ms=reader.head().time_ms
            )
            if entry.record.decision == identity
        ]
        fields = _fields(reader, names, identity, row)
    session.out.record(
        {
            **fields,
            "asked_by": names.show(row.asked_by),
            "score_ppm": row.score_ppm if row.score_ppm >= 0 else None,
            "reasons": list(reasons),
            "steps": steps,
            "now": waiting_words(row),
            "transaction": row.transaction_id.hex(),
            "operation": row.operation_index,
        }
    )


def _decide_file(
    session: Session, client: Client, deployment: str, executor: bytes, files: tuple[Path, Path]
) -> dict[str, Any]:
    """Decide on every row of a CSV file, and write each with its reasons; all or none."""
    file, output = files
    schema = live_schema(client, deployment)
    columns, cells = read_rows(file)
    columns = spelled(schema.features, columns)
    inputs = inputs_of(schema.features, columns, cells)
    session.out.talk(f"{len(inputs):,} rows fit the model")
    found: list[Decided] = []
    for start in range(0, len(inputs), ROWS_AT_ONCE):
        found += decide_inputs(client, schema, inputs[start : start + ROWS_AT_ONCE], executor)
        if len(inputs) > ROWS_AT_ONCE:
            session.out.talk(f"{len(found):,} of {len(inputs):,} rows decided")
    names = [feature.name for feature in schema.features]
    kept = [place for place, name in enumerate(columns) if name not in names]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    told = ("row", "verdict", "score", "reasons", "decision", "transaction")
    writer.writerow([*(columns[place] for place in kept), *told])
    for number, (row, one) in enumerate(zip(cells, found, strict=True), start=1):
        reasons = "; ".join(one.reasons)
        shown = (number, one.verdict, one.score_ppm / 1_000_000, reasons)
        place = (one.id.hex(), one.final.transaction_id.hex())
        writer.writerow([*(row[at] for at in kept), *shown, *place])
    write_output(output, text.getvalue().encode())
    counts = Counter(one.verdict for one in found)
    refused = next((one for one in found if one.verdict != ALLOW), None)
    return {
        "rows": len(found),
        "deployment": deployment,
        **{verdict: counts.get(verdict, 0) for verdict in (ALLOW, HOLD, REFUSE)},
        "first_stopped": None if refused is None else refused.id.hex(),
        "because": [] if refused is None else list(refused.reasons),
        "transactions": len(dict.fromkeys(one.final.transaction_id for one in found)),
        "written_to": str(output),
    }


def _show_answer(session: Session, answer: Decided) -> None:
    session.out.record(
        {
            "verdict": answer.verdict,
            "decision": answer.id.hex(),
            "reasons": list(answer.reasons),
            "score_ppm": answer.score_ppm if answer.score_ppm >= 0 else None,
            "due": format_time(answer.due_ms),
            "transaction": answer.final.transaction_id.hex(),
            "height": answer.final.height,
        }
    )


def _fields(reader: Reader, names: Names, identity: bytes, row: Decision) -> dict[str, Any]:
    return {
        "decision": identity.hex(),
        "about": _subject(reader, names, row),
        "verdict": row.verdict,
        "rule": f"{row.rule}/{row.version}" if row.rule else row.basis,
        "answer": row.answer,
        "status": row.status,
        "decided": format_time(row.decided_ms),
        "executor": names.show(row.executor),
        "due": format_time(row.expires_at_ms if row.status == "held" else row.due_ms),
    }


def _subject(reader: Reader, names: Names, row: Decision) -> str:
    subject = row.subject
    if isinstance(subject, CaseSubject):
        return f"case of {subject.deployment}, prediction {subject.position}"
    asset = reader.get(ASSETS, subject.asset)
    amount = (
        f"{subject.amount_units} units"
        if asset is None
        else format_amount(subject.amount_units, asset.decimals)
    )
    parties = f"from {names.show(subject.payer)} to {names.show(subject.payee)}"
    return f"{amount} {subject.asset} {parties}"


def _payee(session: Session, client: Client, names: Names, text: str) -> bytes:
    """Return a payee: of the ledger, or outside it under a pseudonym of the workspace's."""
    if not text.startswith(OUTSIDE):
        return names.find(text)
    key = session.workspace.pseudonym_key()
    return customer_pseudonym(key, client.chain_id, text)


def _stated(text: str) -> tuple[str, int]:
    name, _, value = text.partition("=")
    try:
        return name.strip(), int(value)
    except ValueError as error:
        raise UsageError(f"{text!r} states nothing", "write NAME=INTEGER") from error


def _hex(text: str) -> bytes:
    try:
        raw = bytes.fromhex(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is no terminal", "write 40 hex digits") from error
    if len(raw) not in (0, 20):
        raise UsageError(f"{text!r} is no terminal", "write 40 hex digits")
    return raw


def _digest(reference: str) -> bytes:
    return sha256(reference.encode() if reference else secrets.token_bytes(32))
