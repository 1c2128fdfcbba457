"""`cairn rule`: rules on payments and decisions, from YAML to acting, and their switches.

A version is a draft when it is submitted. It can be back-tested on past facts and put in shadow,
where it has no power, before it goes live; each step is on record, and each command says what the
next one is.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from cairn.cli.files import read_text
from cairn.cli.org import approve as approve_as
from cairn.cli.org import describe_approvals
from cairn.cli.session import Session, command, new_app
from cairn.evidence.words import duration_words
from cairn.modules.rules.events import RuleActivated, RuleShadowed, RuleSubmitted, ShadowEnded
from cairn.modules.rules.messages import (
    ActivateRule,
    EndShadow,
    RetireRule,
    ShadowRule,
    SubmitRule,
    SwitchAllRules,
    SwitchRule,
)
from cairn.modules.rules.records import (
    BACKTESTS,
    CHANGES,
    COUNTS,
    DAY_MS,
    FIRINGS,
    LIVE,
    NAMES,
    RULES,
    SHADOW_FIRINGS,
    SHADOWS,
    SWITCH,
)
from cairn.sdk.approvals import Approvable, activation_of, approval_status, shadow_of
from cairn.sdk.errors import NotFoundError, UsageError
from cairn.sdk.quantities import format_time
from cairn.sdk.reading import Reader

if TYPE_CHECKING:
    from cairn.exact.rules import Rule
    from cairn.sdk.rules import RuleStanding

app = new_app("Rules: what may happen to a payment or a case, and when.")

FileArgument = Annotated[Path, Argument(metavar="FILE.yaml", help="A rule.")]
RuleArgument = Annotated[str, Argument(metavar="RULE", help="Its name.")]
VersionOption = Annotated[int, Option(min=0, help="A version; else the newest.")]
ShadowOption = Annotated[bool, Option("--shadow", help="For shadow; else for going live.")]


@command(app, "check")
def check(session: Session, file: FileArgument) -> None:
    """Check a rule's text, and show what it says; only a rule on decisions needs the ledger."""
    from cairn.exact import rules as exact
    from cairn.modules.rules.records import rule_digest

    rule, raw = _read(session, file)
    session.out.record(
        {
            "rule": rule.name,
            "judges": _judges(rule.scope),
            "models": list(exact.models(rule)),
            "parts": len(rule.condition),
            "actions": [type(one).__name__.lower() for one in rule.actions],
            "daily_cap": rule.daily_cap,
            "size_bytes": len(raw),
            "digest": rule_digest(raw).hex(),
        }
    )


@command(app, "submit")
def submit(session: Session, file: FileArgument) -> None:
    """Hand in a rule's next version, a draft; it does not act before it is approved and live."""
    rule, raw = _read(session, file)
    with session.client() as client:
        submitted = session.send(client, SubmitRule(raw)).event(RuleSubmitted)
        _, approvable = activation_of(client, submitted.rule, submitted.version)
        standing = describe_approvals(session, client, approvable)
        shown = {"rule": submitted.rule, "version": submitted.version, **standing}
        step = _next_step(client, submitted.rule, submitted.version, file)
    session.out.record({**shown, "judges": _judges(rule.scope), "stage": "draft"})
    session.out.talk(step)


@command(app, "approve")
def approve(
    session: Session, rule: RuleArgument, version: VersionOption = 0, shadow: ShadowOption = False
) -> None:
    """Approve that a version of a rule may act, or that it may be in shadow."""
    with session.client() as client:
        number, approvable = (shadow_of if shadow else activation_of)(client, rule, version)
        approve_as(session, client, approvable)
        step = _next_step(client, rule, number, None)
    session.out.talk(step)


@command(app, "shadow")
def shadow(
    session: Session,
    rule: RuleArgument,
    version: VersionOption = 0,
    end: Annotated[bool, Option("--end", help="End the shadow instead.")] = False,
) -> None:
    """Let an approved version watch from the next block on: it writes down, and does nothing."""
    with session.client() as client:
        if end:
            ended = session.send(client, EndShadow(rule)).event(ShadowEnded)
            shown: dict[str, Any] = {
                "rule": rule,
                "version": ended.version,
                "was_in_shadow": duration_words(ended.shadowed_ms),
            }
            step = _next_step(client, rule, ended.version, None)
        else:
            number, _ = shadow_of(client, rule, version)
            final = session.send(client, ShadowRule(rule, number))
            names = session.names(client)
            event = final.event(RuleShadowed)
            shown = {
                "rule": rule,
                "version": number,
                "replaced": event.replaced or None,
                "watches_from": final.height + 1,
                "approved_by": [names.show(one) for one in event.approvers],
            }
            step = _next_step(client, rule, number, None)
    session.out.record(shown)
    session.out.talk(step)


@command(app, "activate")
def activate(session: Session, rule: RuleArgument, version: VersionOption = 0) -> None:
    """Let an approved version of a rule act, from the next block on."""
    with session.client() as client:
        number, _ = activation_of(client, rule, version)
        name = client.require(NAMES, rule)
        session.confirm(f"let {rule} version {number} act on {_judges(name.scope)}")
        final = session.send(client, ActivateRule(rule, number))
        names = session.names(client)
        activated = final.event(RuleActivated)
        step = _next_step(client, rule, number, None)
    session.out.record(
        {
            "rule": rule,
            "version": number,
            "replaced": activated.replaced or None,
            "acts_from": final.height + 1,
            "approved_by": [names.show(one) for one in activated.approvers],
        }
    )
    session.out.talk(step)


@command(app, "switch")
def switch(
    session: Session,
    on_or_off: Annotated[str, Argument(metavar="on|off")],
    rule: Annotated[str, Argument(help="A rule's name; none is all rules at once.")] = "",
) -> None:
    """Switch a rule, or all rules at once, on or off from the next block on."""
    if on_or_off not in ("on", "off"):
        raise UsageError(f"{on_or_off!r} is neither on nor off", "write `cairn rule switch off`")
    is_on = on_or_off == "on"
    with session.client() as client:
        session.confirm(f"switch {rule or 'all rules'} {on_or_off}")
        message = SwitchRule(rule, is_on) if rule else SwitchAllRules(is_on)
        final = session.send(client, message)
    session.out.record({"rule": rule or "all", "on": is_on, "acts_from": final.height + 1})


@command(app, "retire")
def retire(session: Session, rule: RuleArgument) -> None:
    """Let a rule act no more, from the next block on."""
    with session.client() as client:
        session.confirm(f"retire {rule}")
        final = session.send(client, RetireRule(rule))
    session.out.record({"rule": rule, "retired_from": final.height + 1})


@command(app, "list")
def list_rules(session: Session) -> None:
    """List the rules: which version acts, which is in shadow, and how much of its cap it used."""
    with session.reader() as reader:
        names = session.names(reader)
        everything = reader.get(SWITCH)
        today = reader.head().time_ms // DAY_MS
        rows: list[dict[str, Any]] = []
        for row in reader.scan(NAMES):
            name = row.key[0].decode()
            live, count = reader.get(LIVE, name), reader.get(COUNTS, name)
            watching = reader.get(SHADOWS, name)
            version = live.version if live else 0
            rows.append(
                {
                    "rule": name,
                    "judges": _judges(row.record.scope),
                    "organisation": names.show(row.record.organisation),
                    "versions": row.record.version_count,
                    "live_version": version or None,
                    "shadow_version": (watching.version if watching else 0) or None,
                    "on": bool(
                        version and live and live.is_on and (everything is None or everything.is_on)
                    ),
                    "used_today": count.count if count and count.day == today else 0,
                }
            )
    columns = ("rule", "judges", "organisation", "versions", "live_version", "shadow_version")
    session.out.rows((*columns, "on", "used_today"), rows)


@command(app, "show")
def show(session: Session, rule: RuleArgument, version: VersionOption = 0) -> None:
    """Show a version of a rule as text, where it stands, and what was done with the rule."""
    from cairn.exact.rules import decode_rule
    from cairn.sdk.rule_yaml import dump_rule
    from cairn.sdk.rules import schema_of, standing_of

    with session.reader() as reader:
        names = session.names(reader)
        name = reader.get(NAMES, rule)
        number = version or (name.version_count if name else 0)
        stored = reader.get(RULES, rule, number)
        if stored is None:
            raise NotFoundError(f"there is no rule {rule!r}", "`cairn rule list` shows the rules")
        changes = [
            f"{format_time(entry.time_ms)} {entry.record.action}"
            + (f" version {entry.record.version}" if entry.record.version else "")
            + f" by {names.show(entry.record.by)}"
            for entry in reader.series(CHANGES)
            if entry.record.rule in (rule, "")
        ]
        tests = [
            entry.record
            for entry in reader.series(BACKTESTS)
            if (entry.record.rule, entry.record.version) == (rule, number)
        ]
        decoded = decode_rule(stored.raw)
        schema = schema_of(reader, decoded.scope) if decoded.scope else ()
        standing = standing_of(reader, rule, number)
        fields = {
            "rule": rule,
            "version": number,
            "stage": standing.name,
            "judges": _judges(decoded.scope),
            "submitted_by": names.show(stored.submitted_by),
            "submitted": format_time(stored.submitted_ms),
            "backtests": [
                f"{one.payments:,} payments, {one.alerts:,} alerts, precision "
                f"{_share(one.precision_ppm)}, recall {_share(one.recall_ppm)}, report "
                f"{one.report_digest.hex()}"
                for one in tests
            ],
            "in_shadow": duration_words(standing.shadowed_ms) if standing.shadowed_ms else "",
            "text": dump_rule(decoded, schema).rstrip(),
            "changes": changes,
        }
        step = _next_step(reader, rule, number, None)
    session.out.record(fields)
    session.out.talk(step)


@command(app, "firings")
def firings(
    session: Session,
    rule: Annotated[str, Argument(help="A rule's name; none is all of them.")] = "",
    shadow: Annotated[bool, Option("--shadow", help="What rules in shadow would have done.")] = (
        False
    ),
    limit: Annotated[int, Option(min=1, help="Most to list, the newest.")] = 100,
) -> None:
    """List on what rules fired and what they did, or in shadow would have done, newest last."""
    series = SHADOW_FIRINGS if shadow else FIRINGS
    with session.reader() as reader:
        rows: list[dict[str, Any]] = []
        position = reader.series_size(series)
        while position > 0 and len(rows) < limit:
            start = max(0, position - 500)
            page = list(reader.series(series, start=start, limit=position - start))
            rows += [
                {
                    "time": format_time(entry.time_ms),
                    "rule": f"{entry.record.rule}/{entry.record.version}",
                    "did": list(entry.record.actions),
                    "score_ppm": entry.record.score_ppm if entry.record.score_ppm >= 0 else None,
                    "transaction": entry.record.transaction_id.hex(),
                    "operation": entry.record.operation_index,
                }
                for entry in reversed(page)
                if rule in ("", entry.record.rule)
            ]
            position = start
    columns = ("time", "rule", "did", "score_ppm", "transaction", "operation")
    session.out.rows(columns, rows[:limit][::-1])


def _next_step(reader: Reader, rule: str, version: int, file: Path | None) -> str:
    """Return what comes next on a version's way to acting."""
    from cairn.sdk.rules import standing_of

    standing = standing_of(reader, rule, version)
    where = f"{rule} --version {version}"
    if standing.is_live:
        return f"it is live; `cairn rule firings {rule}` lists what it does"
    if standing.needs_backtest:
        text = str(file) if file is not None else "FILE.yaml"
        return f"next: test it on past facts: cairn rule backtest {text} --data FILE --record"
    if not standing.is_in_shadow and (standing.needs_shadow_ms or _is_ready(reader, rule, version)):
        return _approvals_step(reader, shadow_of(reader, rule, version)[1], f"shadow {where}")
    if standing.needs_shadow_ms:
        left = duration_words(standing.needs_shadow_ms)
        return f"next: {left} more in shadow; cairn rule firings {rule} --shadow lists what it sees"
    step = _approvals_step(reader, activation_of(reader, rule, version)[1], f"activate {where}")
    return _with_options(step, standing, where)


def _is_ready(reader: Reader, rule: str, version: int) -> bool:
    """Return whether people have approved a shadow that has not begun."""
    approvable = shadow_of(reader, rule, version)[1]
    standing = approval_status(
        reader, approvable.policy, approvable.subject, author=approvable.author
    )
    return not standing.missing and not standing.spent


def _approvals_step(reader: Reader, approvable: Approvable, then: str) -> str:
    missing = approval_status(
        reader, approvable.policy, approvable.subject, author=approvable.author
    ).missing
    if not missing:
        return f"next: cairn rule {then}"
    people = "one approval" if missing == 1 else f"{missing} approvals"
    option = " --shadow" if then.startswith("shadow") else ""
    what = then.partition(" ")[2] + option
    subject = approvable.subject.hex()
    return (
        f"next: {people} by others: cairn rule approve {what}\n"
        f"      (or: cairn org approve {approvable.policy} {subject})\n"
        f"then: cairn rule {then}"
    )


def _with_options(step: str, standing: "RuleStanding", where: str) -> str:
    """Return a step with what can be done before it though it need not."""
    if not standing.stage.backtest_count:
        step += "\nbefore it, if you like: cairn rule backtest FILE.yaml --data FILE --record"
    if not standing.is_in_shadow and not standing.shadowed_ms:
        step += f"\nand: cairn rule approve {where} --shadow, cairn rule shadow {where}"
    return step


def _judges(scope: str) -> str:
    return f"decisions of {scope}" if scope else "payments"


def _share(ppm: int | None) -> str:
    return "-" if ppm is None else f"{ppm / 10_000:.1f} %"


def _read(session: Session, file: Path) -> "tuple[Rule, bytes]":
    """Return a rule and its bytes; the ledger is asked for inputs if it is on decisions."""
    from cairn.exact.rules import encode_rule
    from cairn.exact.schema import Feature
    from cairn.sdk.rule_yaml import parse_rule
    from cairn.sdk.rules import schema_of

    def inputs(deployment: str) -> tuple[Feature, ...]:
        with session.reader() as reader:
            return schema_of(reader, deployment)

    rule = parse_rule(read_text(file), inputs)
    return rule, encode_rule(rule)
