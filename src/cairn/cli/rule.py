"""`cairn rule`: rules on payments, from YAML to acting, and their switches."""

from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from cairn.cli.files import read_text
from cairn.cli.org import approve as approve_as
from cairn.cli.org import describe_approvals
from cairn.cli.session import Session, command, new_app
from cairn.modules.rules.events import RuleActivated, RuleSubmitted
from cairn.modules.rules.messages import (
    ActivateRule,
    RetireRule,
    SubmitRule,
    SwitchAllRules,
    SwitchRule,
)
from cairn.modules.rules.records import CHANGES, COUNTS, DAY_MS, LIVE, NAMES, RULES, SWITCH
from cairn.sdk.approvals import activation_of
from cairn.sdk.errors import NotFoundError, UsageError
from cairn.sdk.quantities import format_time

app = new_app("Rules: what may happen to a payment, and when.")

FileArgument = Annotated[Path, Argument(metavar="FILE.yaml", help="A rule.")]
RuleArgument = Annotated[str, Argument(metavar="RULE", help="Its name.")]
VersionOption = Annotated[int, Option(min=0, help="A version; else the newest.")]


@command(app, "check")
def check(session: Session, file: FileArgument) -> None:
    """Check a rule's text, and show what it says; no ledger is needed."""
    from cairn.exact import rules as exact
    from cairn.modules.rules.records import rule_digest

    rule, raw = _read(file)
    session.out.record(
        {
            "rule": rule.name,
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
    """Hand in a rule's next version; it does not act before it is approved and activated."""
    _, raw = _read(file)
    with session.client() as client:
        submitted = session.send(client, SubmitRule(raw)).event(RuleSubmitted)
        _, approvable = activation_of(client, submitted.rule, submitted.version)
        standing = describe_approvals(session, client, approvable.policy, approvable.subject)
    session.out.record({"rule": submitted.rule, "version": submitted.version, **standing})


@command(app, "approve")
def approve(session: Session, rule: RuleArgument, version: VersionOption = 0) -> None:
    """Approve that a version of a rule may act."""
    with session.client() as client:
        _, approvable = activation_of(client, rule, version)
        approve_as(session, client, approvable.policy, approvable.subject)


@command(app, "activate")
def activate(session: Session, rule: RuleArgument, version: VersionOption = 0) -> None:
    """Let an approved version of a rule act, from the next block on."""
    with session.client() as client:
        number, _ = activation_of(client, rule, version)
        session.confirm(f"let {rule} version {number} act on payments")
        final = session.send(client, ActivateRule(rule, number))
        names = session.names(client)
        activated = final.event(RuleActivated)
    session.out.record(
        {
            "rule": rule,
            "version": number,
            "replaced": activated.replaced or None,
            "acts_from": final.height + 1,
            "approved_by": [names.show(one) for one in activated.approvers],
        }
    )


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
    """List the rules: which version acts, and how often it did today."""
    with session.reader() as reader:
        names = session.names(reader)
        everything = reader.get(SWITCH)
        today = reader.head().time_ms // DAY_MS
        rows: list[dict[str, Any]] = []
        for row in reader.scan(NAMES):
            name = row.key[0].decode()
            live, count = reader.get(LIVE, name), reader.get(COUNTS, name)
            version = live.version if live else 0
            rows.append(
                {
                    "rule": name,
                    "organisation": names.show(row.record.organisation),
                    "versions": row.record.version_count,
                    "live_version": version or None,
                    "on": bool(
                        version and live and live.is_on and (everything is None or everything.is_on)
                    ),
                    "acted_today": count.count if count and count.day == today else 0,
                }
            )
    session.out.rows(
        ("rule", "organisation", "versions", "live_version", "on", "acted_today"), rows
    )


@command(app, "show")
def show(session: Session, rule: RuleArgument, version: VersionOption = 0) -> None:
    """Show a version of a rule as text, and what was done with the rule."""
    from cairn.exact.rules import decode_rule
    from cairn.sdk.rule_yaml import dump_rule

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
        fields = {
            "rule": rule,
            "version": number,
            "submitted_by": names.show(stored.submitted_by),
            "submitted": format_time(stored.submitted_ms),
            "text": dump_rule(decode_rule(stored.raw)).rstrip(),
            "changes": changes,
        }
    session.out.record(fields)


def _read(file: Path) -> tuple[Any, bytes]:
    from cairn.exact.rules import encode_rule
    from cairn.sdk.rule_yaml import parse_rule

    rule = parse_rule(read_text(file))
    return rule, encode_rule(rule)
