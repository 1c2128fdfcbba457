"""Where a model comes from and what uses it: datasets, runs, versions, deployments, rules.

    lineage = lineage_of(reader, version)
    print(lineage.text())

Everything is read from the ledger's rows and series, with a trust file each of them proved. What
hangs below a version goes two ways: back to what it was made from and tested on, and on to where it
serves and which rules look at it there.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from cairn.exact.rules import decode_rule, operands
from cairn.modules.data.records import DATASETS
from cairn.modules.models.records import DEPLOYMENTS, PROMOTIONS, VERSIONS
from cairn.modules.rules.records import LIVE, RULES
from cairn.modules.training.records import (
    EVALUATION_ENTRIES,
    EVALUATIONS,
    OUTCOMES,
    PLANS,
    RUNS,
    Evaluation,
    LabelRange,
)
from cairn.pages.blocks import Branch, definition_list, heading, table, tree
from cairn.pages.document import document, fragment
from cairn.pages.markup import Html
from cairn.sdk.names import short_id
from cairn.sdk.quantities import format_time
from cairn.sdk.reading import Reader

Show = Callable[[bytes], str]
KINDS = ("dataset", "plan", "run", "evaluation", "version", "deployment", "rule")
"""Kinds of things, from origin to use."""
SHAPES = {
    "dataset": "cylinder",
    "plan": "note",
    "run": "box",
    "evaluation": "note",
    "version": "component",
    "deployment": "box3d",
    "rule": "hexagon",
}


@dataclass(frozen=True, slots=True)
class Item:
    """One thing of a lineage."""

    key: str
    """Names it within the lineage."""
    kind: str
    """One of `KINDS`."""
    title: str
    facts: tuple[tuple[str, str], ...]

    @property
    def line(self) -> str:
        """Return the thing in one line."""
        facts = "; ".join(f"{name} {value}" for name, value in self.facts if value)
        return f"{self.kind} {self.title}" + (f": {facts}" if facts else "")


@dataclass(frozen=True, slots=True)
class Link:
    """What made, tested or uses what: `source` comes before `target`."""

    source: str
    target: str
    label: str


@dataclass(frozen=True)
class Lineage:
    """The graph around one version of a model."""

    title: str
    root: str
    """Key of the version."""
    items: tuple[Item, ...]
    links: tuple[Link, ...]

    def item(self, key: str) -> Item:
        """Return the thing of a key."""
        return next(item for item in self.items if item.key == key)

    def of_kind(self, kind: str) -> tuple[Item, ...]:
        """Return the things of a kind, in the order in which they were found."""
        return tuple(item for item in self.items if item.kind == kind)

    def branch(self) -> Branch:
        """Return the version with what it is made from and what uses it, as a tree."""
        used = (
            Branch("used in", tuple(self._children(self.root, back=False)))
            if any(link.source == self.root for link in self.links)
            else Branch("used nowhere")
        )
        made = Branch("made from", tuple(self._children(self.root, back=True)))
        return Branch(self.item(self.root).line, (made, used))

    def _children(self, key: str, *, back: bool) -> Iterator[Branch]:
        for link in self.links:
            here, there = (link.target, link.source) if back else (link.source, link.target)
            if here == key:
                below = tuple(self._children(there, back=back))
                yield Branch(f"{self.item(there).line} [{link.label}]", below)

    def text(self) -> str:
        """Return the tree as lines of text."""
        root = self.branch()
        return "\n".join([str(root.text), *_lines(root.children, "")])

    def __str__(self) -> str:
        return self.text()

    def dot(self) -> str:
        """Return the graph in the language of Graphviz."""
        lines = ["digraph lineage {", "  rankdir=LR;", '  node [fontname="sans-serif"];']
        for item in self.items:
            label = "\n".join(
                [f"{item.kind} {item.title}", *(f"{n}: {v}" for n, v in item.facts if v)]
            )
            lines.append(
                f"  {_quoted(item.key)} [shape={SHAPES[item.kind]}, label={_quoted(label)}];"
            )
        lines += [
            f"  {_quoted(link.source)} -> {_quoted(link.target)} [label={_quoted(link.label)}];"
            for link in self.links
        ]
        return "\n".join([*lines, "}"]) + "\n"

    def blocks(self) -> list[Html]:
        """Return the tree and every thing with its facts, as blocks of a page."""
        parts = [heading("Where it comes from and what uses it"), tree([self.branch()])]
        for kind in KINDS:
            items = self.of_kind(kind)
            if items:
                parts.append(heading(kind.capitalize() + ("s" if len(items) > 1 else ""), 3))
                parts += [
                    definition_list(
                        [(item.kind, item.title), *((n, v) for n, v in item.facts if v)]
                    )
                    for item in items
                ]
        names = {item.key: f"{item.kind} {item.title}" for item in self.items}
        rows = [(names[one.source], one.label, names[one.target]) for one in self.links]
        return [*parts, heading("Links", 3), table(("from", "how", "to"), rows)]

    def to_html(self) -> str:
        """Return the lineage as one self-contained page."""
        return document(self.title, *self.blocks())

    def _repr_html_(self) -> str:
        return str(fragment(heading(self.title), tree([self.branch()])))


def lineage_of(reader: Reader, version: bytes, *, show: Show = short_id) -> Lineage:
    """Return the lineage of a version.

    Args:
        reader: Of the ledger.
        version: Id of the version.
        show: Names an account for people; by default the first digits of its id.

    Raises:
        NotFoundError: There is no such version.
        ProtocolError: An answer does not parse or does not verify.
    """
    return _Builder(reader, show).build(version)


class _Builder:
    """Collects things and links, each once."""

    def __init__(self, reader: Reader, show: Show) -> None:
        self._reader = reader
        self._show = show
        self._items: dict[str, Item] = {}
        self._links: dict[tuple[str, str], Link] = {}

    def build(self, version: bytes) -> Lineage:
        row = self._reader.require(VERSIONS, version)
        title = f"{row.name}@{row.number}"
        key = self._add(
            "version",
            version.hex(),
            title,
            model=row.model_digest.hex()[:12],
            registered=f"{format_time(row.registered_ms)} by {self._show(row.registered_by)}",
            retired=format_time(row.retired_ms) if row.retired_ms else "",
        )
        self._link(self._run(row.run), key, "trained")
        for entry in self._reader.series(EVALUATION_ENTRIES):
            if entry.record.run == row.run:
                self._evaluation(entry.record.evaluation, key)
        for deployment in self._reader.scan(DEPLOYMENTS):
            self._deployment(deployment.key[0].decode(), deployment.record, version, key)
        return Lineage(
            f"Lineage of {title}", key, tuple(self._items.values()), tuple(self._links.values())
        )

    def _run(self, run: bytes) -> str:
        row = self._reader.require(RUNS, run)
        key = self._add(
            "run",
            run.hex(),
            short_id(run),
            by=self._show(row.developer),
            recorded=format_time(row.recorded_ms),
            library=f"{row.library} {row.library_version}",
            seed=str(row.seed),
            threads=str(row.threads),
            metrics=", ".join(f"{one.name} {one.value_ppm / 1e6:.4f}" for one in row.metrics),
        )
        if row.plan:
            self._link(self._plan(row.plan), key, "planned")
        for split in row.splits:
            rows = f"{split.split}, rows {split.first_row} to {split.end_row - 1}"
            self._link(self._dataset(split.dataset), key, rows)
        return key

    def _plan(self, plan: bytes) -> str:
        row = self._reader.require(PLANS, plan)
        return self._add(
            "plan",
            plan.hex(),
            f"{row.name} ({short_id(plan)})",
            by=self._show(row.developer),
            committed=f"at height {row.height}, {format_time(row.committed_ms)}",
            split=" ".join([row.split.method, *row.split.columns]),
            threshold=f"{row.threshold_ppm / 1e6:g}",
            metric=row.metric,
            alerts_per_day=str(row.alert_budget_per_day or ""),
        )

    def _dataset(self, dataset: bytes) -> str:
        row = self._reader.require(DATASETS, dataset)
        return self._add(
            "dataset",
            dataset.hex(),
            f"{row.name}@{row.version}",
            owner=self._show(row.owner),
            rows=str(row.row_count),
            registered=format_time(row.registered_ms),
            licence=row.licence,
            quality=_quality(row),
            synthetic="yes" if row.synthetic else "",
            withdrawn=format_time(row.withdrawn_ms) if row.withdrawn_ms else "",
        )

    def _evaluation(self, evaluation: bytes, version: str) -> None:
        row = self._reader.require(EVALUATIONS, evaluation)
        plan = self._reader.require(PLANS, row.plan)
        key = self._add(
            "evaluation",
            evaluation.hex(),
            short_id(evaluation),
            by=self._show(row.by),
            recorded=format_time(row.recorded_ms),
            number=f"{row.number} under the plan",
            blind="yes" if row.is_blind else "no",
            rows=f"{row.row_count}, {row.positive_count} positive",
            result=_result(row, plan.metric),
        )
        self._link(key, version, "tested")
        self._link(self._plan(row.plan), key, "planned")
        for label in row.labels:
            self._labels(label, key)

    def _labels(self, label: LabelRange, evaluation: str) -> None:
        rows = f"labels {label.first} to {label.end - 1}"
        if label.source == OUTCOMES:
            source = self._add("dataset", "outcomes", "screening/outcomes")
        else:
            source = self._dataset(label.source)
        self._link(source, evaluation, rows)

    def _deployment(self, name: str, row: Any, version: bytes, version_key: str) -> None:
        entries = [
            entry
            for entry in self._reader.series(PROMOTIONS, name)
            if entry.record.version == version
        ]
        if not entries:
            return
        last = entries[-1].record
        key = self._add(
            "deployment",
            f"deployment {name}",
            name,
            purpose=row.purpose,
            live="yes" if row.current == version else "not now",
            since=f"height {last.height + 1}, {format_time(entries[-1].time_ms)}",
            policy=last.policy,
            approved_by=", ".join(map(self._show, last.approvers)),
        )
        self._link(version_key, key, last.action.replace("_", " "))
        for live in self._reader.scan(LIVE):
            self._rule(live.key[0].decode(), live.record, name, key)

    def _rule(self, name: str, live: Any, deployment: str, deployment_key: str) -> None:
        if not live.version:
            return
        stored = self._reader.require(RULES, name, live.version)
        rule = decode_rule(stored.raw)
        if f"model:{deployment}" not in operands(rule) and rule.scope != deployment:
            return
        key = self._add(
            "rule",
            f"rule {name}",
            f"{name} version {live.version}",
            status="on" if live.is_on else "switched off",
            by=self._show(stored.submitted_by),
            submitted=format_time(stored.submitted_ms),
        )
        self._link(deployment_key, key, "is looked at by")

    def _add(self, kind: str, key: str, title: str, **facts: str) -> str:
        named = tuple((name.replace("_", " "), value) for name, value in facts.items())
        self._items.setdefault(key, Item(key, kind, title, named))
        return key

    def _link(self, source: str, target: str, label: str) -> None:
        known = self._links.get((source, target))
        joined = label if known is None else f"{known.label}; {label}"
        self._links[source, target] = Link(source, target, joined)


def _quality(row: Any) -> str:
    """Return the figures of a dataset's quality that are not 0, if it was registered with any."""
    quality = row.quality
    if quality is None:
        return "not stated"
    found = []
    for name in quality.__struct_fields__:
        value = getattr(quality, name)
        if isinstance(value, int) and value:
            shown = f"{value / 10_000:g} %" if name.endswith("_ppm") else str(value)
            found.append(f"{name.removesuffix('_ppm').replace('_', ' ')} {shown}")
    return ", ".join(found) or "no findings"


def _result(row: Evaluation, metric: str) -> str:
    one = next((estimate for estimate in row.metrics if estimate.name == metric), row.metrics[0])
    value, lower, upper = one.value_ppm / 1e6, one.lower_ppm / 1e6, one.upper_ppm / 1e6
    return f"{one.name} {value:.4f} ({lower:.4f} to {upper:.4f})"


def _lines(branches: tuple[Branch, ...], indent: str) -> Iterator[str]:
    waiting = deque(branches)
    while waiting:
        branch = waiting.popleft()
        elbow, below = ("├─ ", "│  ") if waiting else ("└─ ", "   ")
        yield f"{indent}{elbow}{branch.text}"
        yield from _lines(branch.children, indent + below)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
