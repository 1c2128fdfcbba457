"""Rules on a ledger: the inputs that they look at, where a version stands, reasons in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, cast

from cairn.evidence.reasons import condition_words, contribution_words
from cairn.evidence.words import share_words
from cairn.exact.rules import decode_rule
from cairn.exact.schema import Feature
from cairn.ledger.messages import Event
from cairn.ledger.parameters import PARAMETERS, Parameter
from cairn.modules.bank.records import ASSETS
from cairn.modules.inference.events import Explained, FeaturesScored, PaymentScored
from cairn.modules.models.records import DEPLOYMENTS, SEALED, VERSION_ENTRIES, VERSIONS
from cairn.modules.rules.events import CapReached, PayerFrozen, RuleFired
from cairn.modules.rules.parameters import BACKTEST_REQUIRED, SHADOW_MS_MIN
from cairn.modules.rules.records import (
    LIVE,
    NO_STAGE,
    RULES,
    SHADOWS,
    STAGES,
    RuleStage,
    shadow_time_ms,
)
from cairn.sdk.errors import NotFoundError
from cairn.sdk.reading import Reader
from cairn.sdk.rule_yaml import SchemaOf

Kind = Literal["integer", "float32", "category"]


def schema_of(reader: Reader, deployment: str) -> tuple[Feature, ...]:
    """Return the inputs of the model that is live in a deployment, or is to be, in order.

    Raises:
        NotFoundError: As `expected_version`.
    """
    return inputs_of(reader, expected_version(reader, deployment))


def expected_version(reader: Reader, deployment: str) -> bytes:
    """Return the version that is live in a deployment; else the newest of the deployment's name.

    So a rule can be written, tested and approved together with the first version of its model.

    Raises:
        NotFoundError: There is no such deployment, or nothing is live in it nor waits for it.
    """
    row = reader.get(DEPLOYMENTS, deployment)
    if row is None:
        names = [one.key[0].decode() for one in reader.scan(DEPLOYMENTS)]
        close = get_close_matches(deployment, names, n=1)
        hint = f"did you mean {close[0]!r}?" if close else "make it with `cairn model deploy`"
        raise NotFoundError(f"there is no deployment {deployment!r}", hint)
    found = row.current or newest_version(reader, deployment)
    if not found:
        raise NotFoundError(
            f"no version is live in {deployment!r}",
            "promote an approved version first: `cairn model promote`",
        )
    return found


def newest_version(reader: Reader, name: str) -> bytes:
    """Return the newest version of a model that is not retired; empty if there is none."""
    newest = b""
    for entry in reader.series(VERSION_ENTRIES):
        is_one = entry.record.name == name and entry.record.action == "registered"
        if is_one and not reader.require(VERSIONS, entry.record.version).retired_ms:
            newest = entry.record.version
    return newest


def inputs_of(reader: Reader, version: bytes) -> tuple[Feature, ...]:
    """Return the inputs of a version of a model, in order."""
    sealed = reader.require(SEALED, reader.require(VERSIONS, version).model_digest)
    return tuple(
        Feature(
            one.name,
            cast(Kind, one.kind),
            one.scale_bits,
            one.categories,
            one.nullable,
            one.unknown_allowed,
        )
        for one in sealed.features
    )


def schemas(reader: Reader) -> SchemaOf:
    """Return what `parse_rule` asks for the inputs of a deployment."""
    return lambda deployment: schema_of(reader, deployment)


@dataclass(frozen=True, slots=True)
class RuleStanding:
    """Where a version of a rule stands on its way."""

    stage: RuleStage
    is_live: bool
    is_in_shadow: bool
    shadowed_ms: int
    """How long it has been in shadow by the newest block."""
    needs_backtest: bool
    """Whether the ledger lets it go live only after a back-test, which it lacks."""
    needs_shadow_ms: int
    """How much longer it has to be in shadow before it can go live."""

    @property
    def name(self) -> str:
        """The stage in a word."""
        if self.is_live:
            return "live"
        if self.is_in_shadow:
            return "shadow"
        return "back-tested" if self.stage.backtest_count else "draft"


def standing_of(reader: Reader, rule: str, version: int) -> RuleStanding:
    """Return where a submitted version of a rule stands."""
    stage = reader.get(STAGES, rule, version) or NO_STAGE
    live, shadow = reader.get(LIVE, rule), reader.get(SHADOWS, rule)
    shadowed_ms = shadow_time_ms(stage, reader.head().time_ms)
    return RuleStanding(
        stage,
        live is not None and live.version == version,
        shadow is not None and shadow.version == version,
        shadowed_ms,
        bool(_parameter(reader, BACKTEST_REQUIRED)) and not stage.backtest_count,
        max(0, _parameter(reader, SHADOW_MS_MIN) - shadowed_ms),
    )


def reasons(reader: Reader, events: Sequence[Event], asset: str = "") -> list[str]:
    """Return why rules did what a receipt says, in words: conditions with values, contributions.

    Args:
        reader: Reads the ledger of the receipt.
        events: Those of one operation.
        asset: The payment's, for the point in its amount.
    """
    versions = {
        event.deployment: event.version
        for event in events
        if isinstance(event, PaymentScored | FeaturesScored)
    }
    row = reader.get(ASSETS, asset) if asset else None
    decimals = 0 if row is None else row.decimals
    told: list[str] = []
    for event in events:
        if isinstance(event, PaymentScored | FeaturesScored):
            basis = "derived" if isinstance(event, PaymentScored) else "stated"
            score = share_words(event.score_ppm)
            told.append(f"scored {score} by {event.deployment}, on {basis} inputs")
        elif isinstance(event, RuleFired):
            rule = decode_rule(reader.require(RULES, event.rule, event.version).raw)
            scored = versions.get(rule.scope)
            features = inputs_of(reader, scored) if scored is not None else ()
            because = condition_words(
                rule, event.conditions, event.inputs, features, decimals=decimals
            )
            did = ", ".join(event.actions) or "nothing"
            told.append(
                f"rule {event.rule}/{event.version}: {did}, because "
                + ("; ".join(because) or "its condition held")
            )
        elif isinstance(event, CapReached):
            told.append(f"rule {event.rule}/{event.version} had used up its cap for the day")
        elif isinstance(event, PayerFrozen):
            told.append(f"rule {event.rule}/{event.version} had frozen the payer in this block")
        elif isinstance(event, Explained) and event.deployment in versions:
            features = inputs_of(reader, versions[event.deployment])
            words = contribution_words(event.contributions, features)
            told.append(f"largest contributions to the score of {event.deployment}: {words}")
    return told


def _parameter(reader: Reader, parameter: Parameter) -> int:
    row = reader.get(PARAMETERS, parameter.name)
    return parameter.default if row is None else row.value
