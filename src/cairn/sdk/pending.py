"""What waits for approval: models that are to go live, and rules that are to act or to watch.

    for one in client.pending():
        print(one.title, one.facts)
        client.approve(one)

Each says in words what is approved, whose it is, and what is known of it: what the model learned
from and how good that data is, how it did on rows that it had not seen, what the rule did to past
cases.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cairn.exact.rules import decode_rule
from cairn.modules.data.records import DATASETS
from cairn.modules.identity.records import ACCOUNTS, APPROVALS, POLICIES
from cairn.modules.models.messages import Promote
from cairn.modules.models.records import DEPLOYMENTS, VERSION_ENTRIES, VERSIONS
from cairn.modules.rules.messages import ActivateRule, ShadowRule
from cairn.modules.rules.records import BACKTESTS, LIVE, RULES
from cairn.modules.rules.records import NAMES as RULE_NAMES
from cairn.modules.training.records import EVALUATION_ENTRIES, EVALUATIONS, PLANS, RUNS
from cairn.sdk.approvals import (
    Approvable,
    Standing,
    activation_of,
    approval_status,
    promotion_of,
    shadow_of,
)
from cairn.sdk.quality import figures_words
from cairn.sdk.reading import Reader
from cairn.sdk.rules import schema_of, standing_of
from cairn.sdk.workspace import Workspace

if TYPE_CHECKING:
    from cairn.sdk.client import Client

FIGURES = ("roc_auc", "average_precision", "calibration_error", "recall_at_threshold")
"""Figures of an evaluation that are told, if they are there; the one it is judged by comes first"""


@dataclass(frozen=True, slots=True)
class Pending:
    """Something that is not live yet, and how it stands."""

    kind: str
    """`model`, `rule` or `shadow`."""
    name: str
    """What a person calls it: `credit-risk@1`, `hold-risky-loans@1`."""
    target: str
    """The deployment or rule."""
    number: int
    version: bytes
    """Of a model; empty for a rule."""
    title: str
    """What is approved, in words."""
    policy: str
    subject: bytes
    author: bytes
    standing: Standing
    facts: tuple[tuple[str, str], ...]
    """What is known of it, by name."""

    @property
    def is_approved(self) -> bool:
        """Whether enough people have approved it."""
        return not self.standing.missing

    def __str__(self) -> str:
        """Return it in words."""
        have = f"{len(self.standing.approvers)} of {self.standing.threshold} approvals"
        return "\n".join(
            (f"{self.name}: {self.title} ({have})", *(f"  {n}: {v}" for n, v in self.facts))
        )

    def _repr_html_(self) -> str:
        """Return the same for a notebook."""
        from cairn.pages.blocks import definition_list, heading
        from cairn.pages.document import fragment

        have = f"{len(self.standing.approvers)} of {self.standing.threshold}"
        facts = [("approvals", have), *self.facts]
        return str(fragment(heading(f"{self.name}: {self.title}", 3), definition_list(facts)))


def waiting(reader: Reader, workspace: Workspace | None = None) -> Iterator[Pending]:
    """Yield what is not live yet and could be: models first, then rules.

    With the workspace that a model was brought from it is told how exact its conversion is.
    """
    yield from _models(reader, workspace)
    yield from _rules(reader)


def pending(reader: Reader, account: bytes, workspace: Workspace | None = None) -> list[Pending]:
    """Return what waits for an account's approval: it may approve it, has not, and one is missing.

    Raises:
        NotFoundError: There is no such account.
    """
    roles = reader.require(ACCOUNTS, account).roles
    found = []
    for one in waiting(reader, workspace):
        policy = reader.require(POLICIES, one.policy)
        may = any(role in policy.roles for role in roles)
        is_open = not one.is_approved and not one.standing.spent
        if not may or not is_open or (account == one.author and not policy.author_counts):
            continue
        if reader.get(APPROVALS, one.policy, one.subject, account) is None:
            found.append(one)
    return found


def go_live(developer: "Client", risk: "Client", one: Pending) -> int:
    """Let what people have approved act; return the height of the block after which it does.

    Raises:
        RejectedError: The ledger refuses it, for one because approvals are missing.
    """
    if one.kind == "model":
        return developer.submit(Promote(one.target, one.version)).height
    if one.kind == "shadow":
        return risk.submit(ShadowRule(one.target, one.number)).height
    return risk.submit(ActivateRule(one.target, one.number)).height


def _models(reader: Reader, workspace: Workspace | None) -> Iterator[Pending]:
    """Yield for each deployment the newest version of its name, and what somebody approved."""
    entries = [one.record for one in reader.series(VERSION_ENTRIES)]
    retired = [one.version for one in entries if one.action == "retired"]
    versions = [one for one in entries if one.action == "registered"]
    newest = {one.name: one.version for one in versions if one.version not in retired}
    for row in reader.scan(DEPLOYMENTS):
        deployment = row.key[0].decode()
        for one in versions:
            if one.version in retired or one.version == row.record.current:
                continue
            approvable = promotion_of(reader, deployment, one.version)
            is_meant = newest[one.name] == one.version and one.name == deployment
            if not is_meant and not _is_begun(reader, approvable):
                continue
            live = ", in place of the version that is live" if row.record.current else ""
            yield Pending(
                kind="model",
                name=f"{one.name}@{one.number}",
                target=deployment,
                number=one.number,
                version=one.version,
                title=f"model {one.name} {one.number} is to go live in {deployment}{live}",
                policy=approvable.policy,
                subject=approvable.subject,
                author=approvable.author,
                standing=_standing(reader, approvable),
                facts=tuple(_model_facts(reader, one.version, workspace)),
            )


def _model_facts(
    reader: Reader, version: bytes, workspace: Workspace | None
) -> Iterator[tuple[str, str]]:
    row = reader.require(VERSIONS, version)
    run = reader.require(RUNS, row.run)
    yield "fitted with", f"{run.library} {run.library_version}"
    if workspace is not None:
        yield from _card_facts(workspace, row.card_digest)
    for dataset in dict.fromkeys(split.dataset for split in run.splits):
        data = reader.require(DATASETS, dataset)
        yield "learned from", f"{data.name}@{data.version}, {data.row_count:,} rows"
        if data.quality is None:
            yield "quality", "not stated"
            continue
        words = figures_words(data.quality)
        told = [f"{name} {value}" for name, value in words.items() if value not in ("0 %", "0")]
        yield "quality", ", ".join(told) or "nothing to complain of"
    for told_of in evaluation_words(reader, row.run) or ("none on record",):
        yield "evaluation", told_of


def evaluation_words(reader: Reader, run: bytes) -> tuple[str, ...]:
    """Return what the evaluations of a run came out as, each in a line."""
    lines = []
    for entry in reader.series(EVALUATION_ENTRIES):
        if entry.record.run != run:
            continue
        evaluation = reader.require(EVALUATIONS, entry.record.evaluation)
        plan = reader.require(PLANS, evaluation.plan)
        figures = {one.name: one for one in evaluation.metrics}
        told = [
            f"{name.replace('_', ' ')} {one.value_ppm / 1e6:.3f} "
            f"({one.lower_ppm / 1e6:.3f} to {one.upper_ppm / 1e6:.3f})"
            for name in dict.fromkeys((plan.metric, *FIGURES))
            if (one := figures.get(name)) is not None
        ]
        how = "blind" if evaluation.is_blind else "not blind"
        lines.append(f"{evaluation.row_count:,} rows, {how}: {'; '.join(told)}")
    return tuple(lines)


def _card_facts(workspace: Workspace, card_digest: bytes) -> Iterator[tuple[str, str]]:
    """Yield what the card says that the version was registered with."""
    from cairn.sdk.bringing import card_of

    report = card_of(workspace, card_digest).get("conversion")
    if report:
        yield (
            "conversion",
            f"scores differ by at most {report['largest_difference']:.2g} on "
            f"{report['row_count']:,} rows; {report['flips_at_threshold']} decisions flip at "
            f"{report['threshold']:g}",
        )


def _rules(reader: Reader) -> Iterator[Pending]:
    """Yield the newest version of each rule, unless it is live or was retired."""
    for row in reader.scan(RULE_NAMES):
        rule = row.key[0].decode()
        number = row.record.version_count
        live = reader.get(LIVE, rule)
        if live is not None and (live.version == number or live.previous_version == number):
            continue
        standing = standing_of(reader, rule, number)
        shadow, act = shadow_of(reader, rule, number)[1], activation_of(reader, rule, number)[1]
        wants_shadow = bool(standing.needs_shadow_ms) or _is_begun(reader, shadow)
        if not standing.is_in_shadow and wants_shadow:
            yield _rule(reader, rule, number, approvable=shadow, kind="shadow")
        if not standing.needs_shadow_ms:
            yield _rule(reader, rule, number, approvable=act, kind="rule")


def _rule(reader: Reader, rule: str, number: int, *, approvable: Approvable, kind: str) -> Pending:
    stored = reader.require(RULES, rule, number)
    scope = decode_rule(stored.raw).scope
    what = "to watch without power" if kind == "shadow" else "to act"
    on = f"decisions of {scope}" if scope else "payments"
    return Pending(
        kind=kind,
        name=f"{rule}@{number}",
        target=rule,
        number=number,
        version=b"",
        title=f"rule {rule} {number} is {what} on {on}",
        policy=approvable.policy,
        subject=approvable.subject,
        author=approvable.author,
        standing=_standing(reader, approvable),
        facts=tuple(_rule_facts(reader, rule, number)),
    )


def _rule_facts(reader: Reader, rule: str, number: int) -> Iterator[tuple[str, str]]:
    from cairn.sdk.rule_yaml import dump_rule

    stored = reader.require(RULES, rule, number)
    decoded = decode_rule(stored.raw)
    schema = schema_of(reader, decoded.scope) if decoded.scope else ()
    yield "says", dump_rule(decoded, schema).rstrip()
    tests = [
        entry.record
        for entry in reader.series(BACKTESTS)
        if (entry.record.rule, entry.record.version) == (rule, number)
    ]
    if not tests:
        yield "back-test", "none on record"
    for test in tests:
        what = "cases" if decoded.scope else "payments"
        yield (
            "back-test",
            f"{test.alerts:,} alerts on {test.payments:,} past {what}; "
            f"precision {_share(test.precision_ppm)}, recall {_share(test.recall_ppm)}",
        )


def _is_begun(reader: Reader, approvable: Approvable) -> bool:
    """Return whether somebody approved it already."""
    rows = reader.scan(APPROVALS, approvable.policy, approvable.subject, limit=1)
    return next(iter(rows), None) is not None and not _standing(reader, approvable).spent


def _standing(reader: Reader, approvable: Approvable) -> Standing:
    return approval_status(reader, approvable.policy, approvable.subject, author=approvable.author)


def _share(ppm: int | None) -> str:
    return "not known" if ppm is None else f"{ppm / 10_000:.1f} %"
