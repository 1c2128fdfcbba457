"""`cairn prove`: evidence files, which anybody checks with `cairn verify`."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from cairn.cli.files import read_text, write_output
from cairn.cli.session import Session, command, new_app
from cairn.evidence.bundle import (
    Claim,
    DecisionClaim,
    LiveClaim,
    OpenedInput,
    PaymentClaim,
    PeriodClaim,
    PredictionClaim,
    RangeClaim,
    StateClaim,
    TransactionClaim,
)
from cairn.evidence.catalog import SERIES, TABLES
from cairn.ledger.records import KeyPart
from cairn.modules.decisions.records import ALLOW, DECISION_SERIES, DECISIONS, HOLD, REFUSE
from cairn.modules.models.records import DEPLOYMENTS
from cairn.sdk.errors import NotFoundError, UsageError
from cairn.sdk.names import Names, find_id
from cairn.sdk.quantities import parse_hex, parse_until
from cairn.sdk.reading import Reader

app = new_app("Evidence files, which anybody checks with `cairn verify`.")

PAGE = 500
VERDICTS = {
    **dict.fromkeys((ALLOW, "allowed"), ALLOW),
    **dict.fromkeys((HOLD, "held"), HOLD),
    **dict.fromkeys((REFUSE, "refused"), REFUSE),
}
"""Verdicts by the words that people use."""

OutputOption = Annotated[Path, Option("-o", "--output", help="The evidence file to write.")]
TransactionArgument = Annotated[str, Argument(metavar="ID", help="64 hex digits.")]
FromOption = Annotated[str, Option("--from", help="First time.")]
UntilOption = Annotated[str, Option("--until", help="Time before which; else now.")]
DeploymentArgument = Annotated[str, Argument(metavar="DEPLOYMENT", help="Its name.")]
WitnessOption = Annotated[
    list[str] | None, Option("--witness", help="Carry this witness's cosignature; else all.")
]


@command(app, "payment")
def payment(
    session: Session,
    transaction: TransactionArgument,
    output: OutputOption,
    operation: Annotated[int, Option(min=0, help="Which operation of it.")] = 0,
    witness: WitnessOption = None,
) -> None:
    """Prove how a payment was scored, judged, and settled or held, and by which model and rule."""
    claim = PaymentClaim(parse_hex(transaction, 32, "a transaction's id"), operation)
    with session.reader() as reader:
        write_bundle(session, reader, claim, output, witnesses=witness)


@command(app, "decision")
def decision(
    session: Session,
    output: OutputOption,
    decision: Annotated[str, Argument(metavar="[ID]", help="Its id, or its first digits.")] = "",
    last: Annotated[
        str, Option(metavar="VERDICT", help="The latest of this verdict: allow, hold or refuse.")
    ] = "",
    witness: WitnessOption = None,
) -> None:
    """Prove how a decision was made, by which model and rule, and what the executor did."""
    if bool(decision) == bool(last):
        raise UsageError("which decision?", "give its id, or --last refuse")
    with session.reader() as reader:
        identity = (
            _last_of(reader, last) if last else find_id(reader, DECISIONS, decision, "a decision")
        )
        claim = DecisionClaim(identity)
        write_bundle(session, reader, claim, output, witnesses=witness)


@command(app, "transaction")
def transaction(
    session: Session,
    transaction: TransactionArgument,
    output: OutputOption,
    witness: WitnessOption = None,
) -> None:
    """Prove that a transaction was signed and ordered, and what became of it."""
    claim = TransactionClaim(parse_hex(transaction, 32, "a transaction's id"))
    with session.reader() as reader:
        write_bundle(session, reader, claim, output, witnesses=witness)


@command(app, "state")
def state(
    session: Session,
    table: Annotated[str, Argument(metavar="MODULE/TABLE", help="Such as bank/balance.")],
    output: OutputOption,
    key: Annotated[list[str] | None, Argument(metavar="KEY…", help="Hex, names or text.")] = None,
    witness: WitnessOption = None,
) -> None:
    """Prove a row of the state, or that there is none."""
    found = _declared(TABLES, table)
    with session.reader() as reader:
        parts = _key_parts(found.key_types, key or [], session.names(reader), table)
        write_bundle(session, reader, StateClaim(found.key(*parts)), output, witnesses=witness)


@command(app, "live")
def live(
    session: Session,
    deployment: DeploymentArgument,
    output: OutputOption,
    at: Annotated[str, Option(help="A time; else now.")] = "",
    height: Annotated[int, Option(min=0, help="A height instead of a time.")] = 0,
    witness: WitnessOption = None,
) -> None:
    """Prove which version was live, and who had approved it."""
    if at and height:
        raise UsageError("a time or a height, not both", "leave out --at or --height")
    with session.reader() as reader:
        now_ms = reader.head().time_ms
        at_ms = None if height else parse_until(at, now_ms) if at else now_ms
        claim = LiveClaim(deployment, height or None, at_ms)
        write_bundle(session, reader, claim, output, witnesses=witness)


@command(app, "range")
def range_(
    session: Session,
    series: Annotated[str, Argument(metavar="MODULE/SERIES", help="Such as bank/holds.")],
    output: OutputOption,
    from_: FromOption,
    key: Annotated[list[str] | None, Argument(metavar="KEY…", help="Hex, names or text.")] = None,
    until: UntilOption = "",
    witness: WitnessOption = None,
) -> None:
    """Prove every entry of a series in a range of time, nothing missing."""
    found = _declared(SERIES, series)
    with session.reader() as reader:
        parts = _key_parts(found.key_types, key or [], session.names(reader), series)
        from_ms, until_ms = _bounds(reader, from_, until)
        claim = RangeClaim(found.key(*parts), from_ms, until_ms)
        write_bundle(session, reader, claim, output, witnesses=witness)


@command(app, "period")
def period(
    session: Session,
    output: OutputOption,
    from_: FromOption,
    until: UntilOption = "",
    deployment: Annotated[
        list[str] | None, Option("--deployment", help="Its predictions too; else of all.")
    ] = None,
    witness: WitnessOption = None,
) -> None:
    """Prove everything that was decided in a period, nothing missing."""
    with session.reader() as reader:
        from_ms, until_ms = _bounds(reader, from_, until)
        names = deployment or [row.key[0].decode() for row in reader.scan(DEPLOYMENTS)]
        claim = PeriodClaim(from_ms, until_ms, tuple(sorted(dict.fromkeys(names))))
        write_bundle(session, reader, claim, output, witnesses=witness)


@command(app, "prediction")
def prediction(
    session: Session,
    deployment: DeploymentArgument,
    position: Annotated[int, Argument(min=0, help="Its place; see `cairn predict list`.")],
    output: OutputOption,
    opening: Annotated[
        Path | None, Option("--open", help="Disclose the input: the file of `predict record`.")
    ] = None,
    witness: WitnessOption = None,
) -> None:
    """Prove a prediction, the version that made it, and that it was live."""
    claim = PredictionClaim(deployment, position, None if opening is None else _opened(opening))
    with session.reader() as reader:
        write_bundle(session, reader, claim, output, witnesses=witness)


@command(app, "row")
def row(
    session: Session,
    dataset: Annotated[str, Argument(help="A data set: NAME or NAME@VERSION.")],
    file: Annotated[Path, Argument(help="The committed file.")],
    number: Annotated[int, Argument(min=0, help="Number of the row, from 0.")],
    output: OutputOption,
    column: Annotated[
        list[str] | None, Option("--column", help="A field to open; else all of them.")
    ] = None,
) -> None:
    """Prove that a row belongs to a registered data set, opening some of its fields."""
    from cairn.cli.data import disclose_to

    disclose_to(session, dataset, file, number, column, output)


@contextmanager
def talking(session: Session, output: Path) -> Iterator[dict[str, Any]]:
    """Collect what is to be said about an evidence file, and say it at the end."""
    fields: dict[str, Any] = {"file": str(output)}
    yield fields
    session.out.record(fields)
    session.out.talk(f"anybody checks it with: cairn verify {output} --trust TRUST")


def write_bundle(
    session: Session,
    reader: Reader,
    claim: Claim,
    output: Path,
    *,
    witnesses: list[str] | None = None,
    disclosure: Any = None,
) -> None:
    """Make an evidence file, check it as a verifier will, and write it."""
    from cairn.evidence.verify import verify_bundle
    from cairn.sdk.proof_source import ConnectionSource
    from cairn.sdk.prove import prove

    trust = session.workspace.trust()
    checkpoint = trust.checkpoint
    raw = prove(
        ConnectionSource(reader.connection),
        claim,
        disclosure=disclosure,
        witnesses=witnesses,
        extends_size=None if checkpoint is None else checkpoint.history_size,
    )
    report = verify_bundle(raw, trust, at_ms=session.now_ms())
    write_output(output, raw)
    with talking(session, output) as fields:
        fields["claim"] = report.claim
        fields["assurance"] = report.assurance.word
        fields["size_bytes"] = len(raw)
        fields["height"] = report.head.height


def _last_of(reader: Reader, verdict: str) -> bytes:
    """Return the id of the latest decision with a verdict."""
    wanted = VERDICTS.get(verdict)
    if wanted is None:
        raise UsageError(f"{verdict!r} is no verdict", "write --last allow, hold or refuse")
    end = reader.series_size(DECISION_SERIES)
    while end:
        start = max(0, end - PAGE)
        page = list(reader.series(DECISION_SERIES, start=start, limit=end - start))
        for entry in reversed(page):
            if entry.record.verdict == wanted:
                return entry.record.decision
        end = start
    raise NotFoundError(
        f"no decision on this ledger came out as {wanted!r}",
        "`cairn decide list` shows the decisions",
    )


def _bounds(reader: Reader, from_: str, until: str) -> tuple[int, int]:
    now_ms = reader.head().time_ms
    from_ms = parse_until(from_, now_ms)
    until_ms = parse_until(until, now_ms) if until else now_ms
    if from_ms >= until_ms:
        raise UsageError("the period ends before it begins", "give an earlier --from")
    return from_ms, until_ms


def _declared(known: dict[bytes, Any], name: str) -> Any:
    """Return the table or series that `module/name` declares."""
    by_name = {f"{one.module}/{one.name}": one for one in known.values()}
    if name not in by_name:
        module = name.partition("/")[0]
        near = [one for one in by_name if one.startswith(module + "/")] or sorted(by_name)
        raise UsageError(f"there is no {name}", f"there are: {', '.join(near)}")
    return by_name[name]


def _key_parts(kinds: tuple[type, ...], texts: list[str], names: Names, what: str) -> list[KeyPart]:
    """Return the parts of a row's key from what the user wrote."""
    if len(kinds) != len(texts):
        wanted = " ".join(kind.__name__ for kind in kinds) or "no key"
        raise UsageError(f"{what} takes {wanted}, {len(texts)} given", "see the module's README")
    parts: list[KeyPart] = []
    for kind, text in zip(kinds, texts, strict=True):
        if kind is bytes:
            try:
                parts.append(bytes.fromhex(text))
            except ValueError:
                parts.append(names.find(text))
        elif kind is int:
            if not text.isdigit():
                raise UsageError(f"{text!r} is not a number")
            parts.append(int(text))
        else:
            parts.append(text)
    return parts


def _opened(path: Path) -> OpenedInput:
    """Return the input that `cairn predict record` wrote down."""
    try:
        document = json.loads(read_text(path))
        return OpenedInput(bytes.fromhex(document["salt"]), tuple(map(int, document["features"])))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(
            f"{path} is not an input that `cairn predict record` wrote: {error!r}"
        ) from error
