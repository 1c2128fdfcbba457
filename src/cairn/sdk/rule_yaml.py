"""Rules as people write them, in YAML, to and from the record that is approved.

An example, with every kind of part:

```yaml
rule: hold-risky-card-payments
when:
  all:
    - model: card-risk            # score of the live version, parts per million
      at_least: 600000
    - amount_units: {more_than: 5000}
    - any:
        - {feature: payer_count_1h, at_least: 5}
        - {feature: payee_first_seen, equals: 1}
    - not: {hour_of_day: {at_least: 7, less_than: 22}}
do:
  hold: {hours: 24, on_expiry: settle}
  emit: card-risk-alert
daily_cap: 200
priority: 10
```

A comparison names a `model`, a `feature`, a number that is `asserted` with the payment, or a field
of the payment, and one or more of `at_least`, `more_than`, `at_most`, `less_than`, `equals`,
`not_equals` with whole numbers; several must all hold. Under `do` stand `hold` or `refuse`, and
`freeze` and `emit`, each once or as a list. A time is given in `days`, `hours`, `minutes`,
`seconds` or `milliseconds`, which add up.

A rule on decisions names the deployment whose decisions it judges, and looks at its score and at
the inputs of its model. Numbers are written as they are in the data, categories by their text with
`is` and `is_not`. A hold ends in `allow` or `refuse`:

```yaml
rule: look-at-large-loans
decisions: credit-risk
when:
  any:
    - {model: credit-risk, at_least: 350000}
    - {input: amount, more_than: 20000.50}
    - all:
        - {input: purpose, is: car}
        - {input: income, less_than: 1200}
do:
  hold: {days: 5, on_expiry: refuse}
daily_cap: 50
```
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from io import StringIO
from typing import Any, Final, NoReturn, TypeVar

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from cairn.exact import rules
from cairn.exact.errors import RuleFormError
from cairn.exact.features import FEATURES
from cairn.exact.schema import Feature
from cairn.primitives.ids import is_name
from cairn.sdk.errors import UsageError
from cairn.sdk.thresholds import ThresholdError, show_threshold, threshold_of

SchemaOf = Callable[[str], Sequence[Feature]]
"""Returns the inputs of the model that is live in a deployment, in order."""

ChoiceT = TypeVar("ChoiceT", bound=str)

TEXT_SIZE_CHARACTERS_MAX: Final = 16_384
SUGGESTED_MAX: Final = 40
"""Most names that a hint lists."""
BRACKET_DEPTH_MAX: Final = 64
"""Deepest nesting of brackets and braces, far beyond any condition; a YAML parser recurses."""

_WORDS: Final[dict[str, rules.Operator]] = {
    "at_least": ">=",
    "more_than": ">",
    "at_most": "<=",
    "less_than": "<",
    "equals": "==",
    "not_equals": "!=",
}
_WORD_OF: Final = {operator: word for word, operator in _WORDS.items()}
_CATEGORY_WORDS: Final[dict[str, rules.Operator]] = {"is": "==", "is_not": "!="}
_CATEGORY_WORD_OF: Final = {operator: word for word, operator in _CATEGORY_WORDS.items()}
_ALL_WORDS: Final[dict[str, rules.Operator]] = {**_WORDS, **_CATEGORY_WORDS}
_SUBJECTS: Final = ("model", "feature", "asserted", *rules.FIELDS)
_CASE_SUBJECTS: Final = ("model", "input")
_CASE_OUTCOMES: Final[dict[str, rules.Outcome]] = {"allow": "settle", "refuse": "return"}
_CASE_OUTCOME_OF: Final = {outcome: word for word, outcome in _CASE_OUTCOMES.items()}
_SPANS_MS: Final = {
    "days": 86_400_000,
    "hours": 3_600_000,
    "minutes": 60_000,
    "seconds": 1_000,
    "milliseconds": 1,
}


class RuleTextError(UsageError):
    """The text is not a rule; the message says where, and what to write."""

    def __init__(self, message: str, *, line: int, column: int, hint: str) -> None:
        """Place the error; lines and columns count from 1."""
        super().__init__(f"line {line}, column {column}: {message}", hint)
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True)
class _Scope:
    """What a rule judges, and what it may look at."""

    deployment: str
    features: Mapping[str, Feature]

    @property
    def subjects(self) -> tuple[str, ...]:
        return _CASE_SUBJECTS if self.deployment else _SUBJECTS


def parse_rule(text: str, schema_of: SchemaOf | None = None) -> rules.Rule:
    """Return the rule that `text` describes, its form checked.

    Args:
        text: The YAML.
        schema_of: Asked for the inputs of the deployment that a rule on decisions names. Whatever
            it raises is passed on; without it such rules cannot be read.

    Raises:
        RuleTextError: It describes none.
    """
    if len(text) > TEXT_SIZE_CHARACTERS_MAX:
        raise RuleTextError(
            f"the text has more than {TEXT_SIZE_CHARACTERS_MAX} characters",
            line=1,
            column=1,
            hint="put each rule into a file of its own",
        )
    _check_brackets(text)
    document = _Part(_load(text), "the document", 0, 0)
    fields = document.fields(
        required=("rule", "when", "do", "daily_cap"), optional=("priority", "decisions")
    )
    name = fields["rule"].name("a rule")
    scope = _read_scope(fields.get("decisions"), schema_of)
    nodes: list[rules.Node] = []
    _read_condition(fields["when"], nodes, scope, depth=1)
    daily_cap = fields["daily_cap"].integer(1, rules.DAILY_CAP_MAX)
    priority = fields["priority"].integer(0, rules.PRIORITY_MAX) if "priority" in fields else 0
    actions = _read_actions(fields["do"], is_case=bool(scope.deployment))
    rule = rules.Rule(
        version=rules.FORMAT_VERSION,
        name=name,
        condition=tuple(nodes),
        actions=tuple(sorted(actions, key=rules.action_order)),
        daily_cap=daily_cap,
        priority=priority,
        scope=scope.deployment,
    )
    try:
        rules.check_rule(rule)
    except RuleFormError as error:
        document.fail(str(error), "change the rule so that it keeps this limit")
    return rule


def dump_rule(rule: rules.Rule, schema: Sequence[Feature] = ()) -> str:
    """Return the text of a rule whose form is checked; `parse_rule` of it gives the rule back.

    Args:
        rule: The rule.
        schema: For a rule on decisions the inputs of its deployment; a threshold of an input that
            is not among them is shown as the integer that it is compared with.
    """
    features = {feature.name: feature for feature in schema}
    stack: list[dict[str, Any]] = []
    for node in rule.condition:
        stack.append(_condition_text(node, stack, features))
    document: dict[str, Any] = {"rule": rule.name}
    if rule.scope:
        document["decisions"] = rule.scope
    document |= {"when": stack[-1], "do": {}}
    for action in rule.actions:
        key, value = _action_text(action, is_case=bool(rule.scope))
        document["do"].setdefault(key, []).append(value)
    document["do"] = {
        key: values[0] if len(values) == 1 else values for key, values in document["do"].items()
    }
    document["daily_cap"] = rule.daily_cap
    if rule.priority:
        document["priority"] = rule.priority
    out = StringIO()
    yaml = YAML(typ="rt")
    yaml.width = TEXT_SIZE_CHARACTERS_MAX  # Never fold a reason.
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump(document, out)
    return out.getvalue()


class _Part:
    """A value of the document, with its place in the text."""

    def __init__(self, value: object, what: str, line: int, column: int) -> None:
        self.value = value
        self.what = what
        self.line = line
        self.column = column

    def fail(self, message: str, hint: str) -> NoReturn:
        raise RuleTextError(message, line=self.line + 1, column=self.column + 1, hint=hint)

    def fields(
        self, *, required: Sequence[str] = (), optional: Sequence[str] = ()
    ) -> "dict[str, _Part]":
        """Return the entries of a mapping that has these keys and, if any are named, no others."""
        value = self.value
        known = (*required, *optional)
        if not isinstance(value, CommentedMap):
            self.fail(f"{self.what} is not a mapping", f"write one with {_listed(known)}")
        parts = {}
        for key, entry in value.items():
            place = value.lc.key(key)
            if not isinstance(key, str) or (known and key not in known):
                _Part(key, "the key", *place).fail(
                    f"{self.what} has no key {key!r}", _suggestion(str(key), known)
                )
            parts[key] = _Part(entry, f"`{key}`", *value.lc.value(key))
        missing = [key for key in required if key not in parts]
        if missing:
            self.fail(f"{self.what} lacks {_listed(missing)}", f"add the line `{missing[0]}: …`")
        return parts

    def items(self) -> "Iterator[_Part]":
        """Yield the entries of a list, or the value itself if it is none."""
        value = self.value
        if not isinstance(value, CommentedSeq):
            yield self
            return
        for index, entry in enumerate(value):
            yield _Part(entry, f"entry {index + 1} of {self.what}", *value.lc.item(index))

    def integer(self, low: int = -(2**63), high: int = 2**63 - 1) -> int:
        value = self.value
        if isinstance(value, bool) or not isinstance(value, int):
            hint = "write a whole number, such as 5000"
            if isinstance(value, float):
                hint = "write scores in parts per million (0.6 is 600000) and amounts in units"
            self.fail(f"{self.what} is not a whole number", hint)
        if not low <= value <= high:
            self.fail(f"{self.what} is {value}", f"write a number from {low} to {high}")
        return int(value)

    def text(self) -> str:
        if not isinstance(self.value, str):
            self.fail(f"{self.what} is not text", "put it in quotes")
        return str(self.value)

    def name(self, what: str) -> str:
        text = self.text()
        if not is_name(text):
            self.fail(
                f"{text!r} is not a name for {what}",
                "use up to 64 of a-z 0-9 . _ - and begin with a letter or digit",
            )
        return text

    def choice(self, choices: Sequence[ChoiceT]) -> ChoiceT:
        text = self.text()
        for choice in choices:
            if choice == text:
                return choice
        self.fail(f"{self.what} is {text!r}", _suggestion(text, choices))


def _check_brackets(text: str) -> None:
    depth = 0
    for line, content in enumerate(text.splitlines(), start=1):
        for column, character in enumerate(content, start=1):
            depth += (character in "[{") - (character in "]}")
            if depth > BRACKET_DEPTH_MAX:
                raise RuleTextError(
                    f"brackets are nested deeper than {BRACKET_DEPTH_MAX}",
                    line=line,
                    column=column,
                    hint="close each `[` and `{`, or write lists with `- `",
                )


def _load(text: str) -> object:
    try:
        return YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise RuleTextError(
            f"not YAML: {error.problem or error.context}",
            line=mark.line + 1 if mark else 1,
            column=mark.column + 1 if mark else 1,
            hint="check indentation, colons and brackets here and on the line before",
        ) from error
    except (YAMLError, ValueError, RecursionError) as error:
        raise RuleTextError(
            f"not YAML: {error}", line=1, column=1, hint="write plain YAML with spaces, no tabs"
        ) from error


def _read_scope(part: _Part | None, schema_of: SchemaOf | None) -> _Scope:
    if part is None:
        return _Scope("", {})
    deployment = part.name("a deployment")
    if schema_of is None:
        part.fail(
            f"the inputs of {deployment!r} are not known here",
            "a rule on decisions is read where the ledger can be asked for them",
        )
    return _Scope(deployment, {feature.name: feature for feature in schema_of(deployment)})


def _read_condition(part: _Part, nodes: list[rules.Node], scope: _Scope, *, depth: int) -> None:
    """Append the nodes of a condition, children first."""
    if depth > rules.DEPTH_MAX or len(nodes) >= rules.NODE_COUNT_MAX:
        part.fail(
            "the condition is too large",
            f"use at most {rules.NODE_COUNT_MAX} parts, nested at most {rules.DEPTH_MAX} deep",
        )
    fields = part.fields()
    joins = [key for key in ("all", "any", "not") if key in fields]
    if not joins:
        _read_comparison(part, fields, nodes, scope)
        return
    if len(fields) > 1:
        part.fail(
            f"`{joins[0]}` stands beside {_listed([key for key in fields if key != joins[0]])}",
            "put both into the list of one `all` or `any`",
        )
    join = fields[joins[0]]
    if joins[0] == "not":
        _read_condition(join, nodes, scope, depth=depth + 1)
        nodes.append(rules.Not())
        return
    if not isinstance(join.value, CommentedSeq) or len(join.value) < 2:
        join.fail(f"{join.what} is not a list of two or more", "write `- ` before each condition")
    for entry in join.items():
        _read_condition(entry, nodes, scope, depth=depth + 1)
    count = len(join.value)
    nodes.append(rules.All(count) if joins[0] == "all" else rules.Any(count))


def _read_comparison(
    part: _Part, fields: Mapping[str, _Part], nodes: list[rules.Node], scope: _Scope
) -> None:
    subjects = [key for key in fields if key not in _ALL_WORDS]
    if len(subjects) > 1:
        strange = next((key for key in subjects if key not in scope.subjects), subjects[1])
        fields[strange].fail(
            f"{strange!r} has no place beside {_listed([k for k in subjects if k != strange])}",
            _suggestion(strange, tuple(_ALL_WORDS if scope.deployment else _WORDS)),
        )
    if not subjects:
        part.fail(
            f"a comparison names one of {_listed(scope.subjects)}",
            "write for example `{input: amount, at_least: 5000}`"
            if scope.deployment
            else "write for example `{feature: payer_count_1h, at_least: 5}`",
        )
    subject = subjects[0]
    named = fields[subject]
    if subject not in scope.subjects:
        _fail_subject(part, subject, scope)
    words: Mapping[str, _Part] = {key: one for key, one in fields.items() if key in _ALL_WORDS}
    if subject in rules.FIELDS:
        operand = "field:" + subject
        words = named.fields(optional=tuple(_WORDS))
    else:
        operand = subject + ":" + _operand_name(subject, named, scope)
    if not words:
        named.fail(f"{named.what} is compared with nothing", f"add {_listed(tuple(_WORDS))}")
    for word, threshold in words.items():
        feature = scope.features.get(operand[6:]) if subject == "input" else None
        nodes.append(_compare(operand, word, threshold, feature))
    if len(words) > 1:
        nodes.append(rules.All(len(words)))


def _operand_name(subject: str, named: _Part, scope: _Scope) -> str:
    """Return the name of what a comparison looks at, which is there to be looked at."""
    if subject == "feature":
        return named.choice(FEATURES)
    if subject == "input":
        text = named.text()
        if text not in scope.features:
            named.fail(
                f"the model of `{scope.deployment}` has no input {text!r}",
                _suggestion(text, tuple(scope.features)),
            )
        return text
    name = named.name("a deployment" if subject == "model" else "what is asserted")
    if scope.deployment and name != scope.deployment:
        named.fail(
            f"a rule on decisions of `{scope.deployment}` looks at no other model",
            f"write `model: {scope.deployment}`",
        )
    return name


def _fail_subject(part: _Part, subject: str, scope: _Scope) -> NoReturn:
    joins = ("all", "any", "not")
    if scope.deployment and subject in _SUBJECTS:
        part.fail(
            f"a rule on decisions has no `{subject}`: a case is no payment",
            f"look at `input`, one of {_listed(tuple(scope.features)[:12])}",
        )
    if not scope.deployment and subject == "input":
        part.fail(
            "a rule on payments has no `input`",
            "name the deployment whose decisions it judges: `decisions: NAME`",
        )
    what = "nothing" if scope.deployment else "no field"
    part.fail(f"there is {what} {subject!r}", _suggestion(subject, (*scope.subjects, *joins)))


def _compare(operand: str, word: str, part: _Part, feature: Feature | None) -> rules.Compare:
    operator = _ALL_WORDS[word]
    if feature is None:
        if word in _CATEGORY_WORDS:
            part.fail(f"`{word}` is for categories", "write `equals` or `not_equals`")
        return rules.Compare(operand, operator, part.integer())
    if (word in _CATEGORY_WORDS) != (feature.kind == "category"):
        is_category = feature.kind == "category"
        part.fail(
            f"{feature.name} is {'a category' if is_category else 'a number'}",
            f"write {_listed(tuple(_CATEGORY_WORDS if is_category else _WORDS))}",
        )
    try:
        return rules.Compare(operand, operator, threshold_of(feature, operator, part.value))
    except ThresholdError as error:
        text = str(part.value)
        hint = _suggestion(text, feature.categories) if feature.categories else "write a number"
        part.fail(str(error), hint)


def _read_actions(part: _Part, *, is_case: bool) -> Iterator[rules.Action]:
    known = ("hold", "refuse", "emit") if is_case else ("hold", "refuse", "freeze", "emit")
    fields = part.fields(optional=known)
    for key, entry in fields.items():
        for action in entry.items():
            if key == "refuse":
                yield rules.Refuse(action.text())
            elif key == "emit":
                yield rules.Emit(action.name("a label"))
            elif key == "hold":
                values = action.fields(required=("on_expiry",), optional=tuple(_SPANS_MS))
                ends = values.pop("on_expiry")
                outcome: rules.Outcome = (
                    _CASE_OUTCOMES[ends.choice(tuple(_CASE_OUTCOMES))]
                    if is_case
                    else ends.choice(rules.OUTCOMES)
                )
                yield rules.Hold(_read_span(action, values), outcome)
            else:
                values = action.fields(required=("party",), optional=tuple(_SPANS_MS))
                party = values.pop("party").choice(rules.PARTIES)
                yield rules.Freeze(party, _read_span(action, values))


def _read_span(part: _Part, values: Mapping[str, _Part]) -> int:
    total_ms = sum(_SPANS_MS[unit] * value.integer() for unit, value in values.items())
    if not 1 <= total_ms <= rules.EXPIRY_MS_MAX:
        days_max = rules.EXPIRY_MS_MAX // _SPANS_MS["days"]
        part.fail(
            f"{part.what} has no time within 1 ms to {days_max} days", "add for example `hours: 24`"
        )
    return total_ms


def _condition_text(
    node: rules.Node, stack: list[dict[str, Any]], features: Mapping[str, Feature]
) -> dict[str, Any]:
    """Return the text of a node, taking its parts from the stack."""
    if isinstance(node, rules.Compare):
        kind, _, name = node.operand.partition(":")
        word, threshold = _WORD_OF[node.operator], node.threshold
        feature = features.get(name) if kind == "input" else None
        if feature is None:
            comparison: dict[str, Any] = {word: threshold}
        else:
            if feature.kind == "category":
                word = _CATEGORY_WORD_OF[node.operator]
            comparison = {word: show_threshold(feature, threshold)}
        return {name: comparison} if kind == "field" else {kind: name, **comparison}
    if isinstance(node, rules.Not):
        return {"not": stack.pop()}
    parts = stack[-node.count :]
    del stack[-node.count :]
    return {"all" if isinstance(node, rules.All) else "any": parts}


def _action_text(action: rules.Action, *, is_case: bool) -> tuple[str, Any]:
    if isinstance(action, rules.Refuse):
        return "refuse", action.reason
    if isinstance(action, rules.Emit):
        return "emit", action.label
    unit = next(unit for unit, span_ms in _SPANS_MS.items() if action.expiry_ms % span_ms == 0)
    span = {unit: action.expiry_ms // _SPANS_MS[unit]}
    if isinstance(action, rules.Hold):
        ends = _CASE_OUTCOME_OF[action.on_expiry] if is_case else action.on_expiry
        return "hold", {**span, "on_expiry": ends}
    return "freeze", {"party": action.party, **span}


def _listed(words: Sequence[str]) -> str:
    return ", ".join(f"`{word}`" for word in words) or "entries"


def _suggestion(word: str, choices: Sequence[str]) -> str:
    close = get_close_matches(word, choices, n=1)
    if close:
        return f"did you mean `{close[0]}`?"
    more = f" and {len(choices) - SUGGESTED_MAX} more" if len(choices) > SUGGESTED_MAX else ""
    return f"choose one of {_listed(choices[:SUGGESTED_MAX])}{more}"
