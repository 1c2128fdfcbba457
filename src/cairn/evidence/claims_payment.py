"""The claim about one payment: how it was scored and judged, and what became of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cairn.evidence.bundle import PaymentClaim
from cairn.evidence.catalog import decode_body
from cairn.evidence.claims_model import (
    ProvedModel,
    check_promotion,
    promotions_before,
    proved_model,
    version_words,
)
from cairn.evidence.errors import ClaimError
from cairn.evidence.events import events_of, operation_at
from cairn.evidence.facts import Entry, VerifiedFacts, VerifiedTransaction
from cairn.evidence.judgement import (
    Fired,
    Judged,
    asserted_names,
    check_judged,
    check_stated,
    read_events,
    replay_explanations,
    replay_rules,
)
from cairn.evidence.outcome import Outcome
from cairn.evidence.people import names_words, signer_words
from cairn.evidence.reasons import condition_words, contribution_words
from cairn.evidence.replay import Scorer, check_score
from cairn.evidence.rulebook import ActingRule, rule_book_before, rule_words
from cairn.evidence.words import amount_words, count_words, list_words, share_words, time_words
from cairn.exact import rules as exact
from cairn.ledger.messages import Event
from cairn.ledger.receipts import OK
from cairn.ledger.transactions import Body
from cairn.modules.bank.errors import RefusedByRuleError
from cairn.modules.bank.events import HoldPlaced, TransferSettled
from cairn.modules.bank.messages import Transfer
from cairn.modules.bank.records import (
    APPEALED,
    ASSETS,
    EXPIRED_RETURNED,
    EXPIRED_SETTLED,
    HOLD_ACTION_SERIES,
    HOLDS,
    OPEN,
    OPEN_STATUSES,
    RELEASED,
    RENEWED,
    RETURNED,
    UPHELD,
    Hold,
    HoldAction,
)
from cairn.modules.decisions.messages import DecideCase, DecidePayment
from cairn.modules.inference.events import FeaturesScored

CLOSING = (RELEASED, RETURNED, EXPIRED_SETTLED, EXPIRED_RETURNED)
"""Actions after which nothing more becomes of a hold."""

ACTION_WORDS = {
    RELEASED: "released to the payee",
    RETURNED: "returned to the payer",
    RENEWED: "renewed",
    APPEALED: "appealed",
    UPHELD: "upheld after an appeal",
    EXPIRED_SETTLED: "expired, the value went to the payee",
    EXPIRED_RETURNED: "expired, the value went back to the payer",
}


@dataclass(frozen=True, slots=True)
class JudgedPayment:
    """A payment, here or for another rail, or a case, and what its receipt says of it."""

    transaction: VerifiedTransaction
    body: Body
    index: int
    message: Transfer | DecidePayment | DecideCase
    code: str
    judged: Judged

    @property
    def height(self) -> int:
        """Height of its block."""
        return self.transaction.block.height


def check_payment(claim: PaymentClaim, facts: VerifiedFacts, *, replay: bool) -> Outcome:
    """Check how a payment was judged, by which model, rule and people, and what became of it.

    Raises:
        ClaimError: The facts do not show it, or contradict the receipt.
        ReplayError: A model or rule gives another result than the receipt states.
    """
    payment = _payment(claim, facts)
    book = rule_book_before(facts, height=payment.height)
    acting, watching = book.acting_at(payment.height), book.watching_at(payment.height)
    findings = list(_order_words(facts, payment))
    checked = ["the receipt is the signed payment's own"]
    not_shown: list[str] = []
    is_judged = not (payment.judged.is_empty and payment.code != OK)
    if is_judged:
        models = models_of(facts, payment)
        check_rules(payment, acting, watching, models)
        checked.append(
            f"{count_words(len(acting), 'rule')} acted at height {payment.height}: "
            "every change of a rule before it is shown"
        )
    findings += _fate_words(facts, payment, acting)
    if is_judged:
        findings += score_words(facts, payment)
        findings += rule_findings(facts, payment, acting, models)
        findings += watching_words(watching)
        findings += _hold_words(facts, payment)
        checked.append("the approvals of model and rules are on record and were used for them")
        replay_judgement(payment, acting, models, (checked, not_shown), replay=replay)
    if payment.judged.scores:
        not_shown.append(
            "whether the features follow from the earlier payments: the ledger derived them in its "
            "block, and this file holds their values, not the payments that they sum up"
        )
    what = f"payment {claim.transaction_id.hex()}, operation {claim.operation_index}"
    return Outcome(what, tuple(findings), tuple(checked), tuple(not_shown))


def _payment(claim: PaymentClaim, facts: VerifiedFacts) -> JudgedPayment:
    transaction = facts.transaction(claim.transaction_id)
    body = decode_body(transaction.envelope.body)
    operation = operation_at(transaction.receipt, claim.operation_index)
    if len(body.operations) != len(transaction.receipt.operations):
        raise ClaimError("the receipt has another number of operations than the transaction")
    message = body.operations[claim.operation_index]
    if not isinstance(message, Transfer):
        raise ClaimError("the operation is not a payment")
    judged = read_events(events_of(operation))
    return JudgedPayment(transaction, body, claim.operation_index, message, operation.code, judged)


def _order_words(facts: VerifiedFacts, payment: JudgedPayment) -> tuple[str, ...]:
    """Return what was ordered, when and by whom."""
    message, block = payment.message, payment.transaction.block
    assert isinstance(message, Transfer)
    amount = asset_words(facts, message.amount_units, message.asset)
    return (
        f"{amount} from {message.payer.hex()} to {message.payee.hex()}, "
        f"booked {time_words(message.booked_at_ms)}, reference {message.reference.hex()}",
        f"in block {block.height}, {time_words(block.time_ms)}, signed by "
        f"{signer_words(facts, payment.transaction, payment.body)}",
    )


def asset_words(facts: VerifiedFacts, amount_units: int, asset: str) -> str:
    """Return an amount as people write it; units where there is no such asset."""
    row = facts.row(ASSETS, asset)
    return amount_words(amount_units, asset, 0 if row is None else row.decimals)


def models_of(facts: VerifiedFacts, payment: JudgedPayment) -> dict[str, ProvedModel]:
    """Return the models that scored the payment, each the one that was live.

    Raises:
        ClaimError: Another version was live.
    """
    models = {}
    for score in payment.judged.scores:
        promotions = promotions_before(facts, score.deployment, height=payment.height)
        if not promotions or promotions[-1].record.version != score.version:
            raise ClaimError(f"another version was live in {score.deployment}")
        models[score.deployment] = proved_model(facts, score.version)
    return models


def _fate_words(
    facts: VerifiedFacts, payment: JudgedPayment, acting: tuple[ActingRule, ...]
) -> tuple[str, ...]:
    """Return what became of the payment in its block; it is what the judgement asked for.

    Raises:
        ClaimError: It is not.
    """
    judged, own = payment.judged, payment.judged.own
    decided = judged.decided
    if payment.code != OK:
        if own:
            raise ClaimError("a payment that was refused tells of its own effect")
        if payment.code != RefusedByRuleError.code:
            return (f"it was refused: {payment.code}; nothing was moved",)
        if judged.frozen is not None:
            rule = judged.frozen
            return (f"it was refused: rule `{rule.rule}` had frozen the payer in this block",)
        if judged.is_empty:
            return ("it was refused before any rule looked at it; nothing was moved",)
        if decided is None or "refuse" not in decided.event.actions:
            raise ClaimError("no rule refused the payment, and yet it was refused by one")
        return (f"it was refused by rule `{decided.event.rule}`; nothing was moved",)
    if judged.frozen is not None or len(own) != 1:
        raise ClaimError("the receipt does not tell of one effect")
    message = payment.message
    assert isinstance(message, Transfer)
    sides = (message.payer, message.payee, message.asset, message.amount_units)
    if decided is None:
        _check_same(own[0], TransferSettled(*sides))
        return ("it settled: the value went to the payee in its block",)
    placed = own[0]
    if not isinstance(placed, HoldPlaced) or "hold" not in decided.event.actions:
        raise ClaimError("a rule decided on the payment, and the receipt tells of something else")
    stated = (placed.payer, placed.payee, placed.asset, placed.amount_units)
    if stated != sides or (placed.rule, placed.version) != _rule_of(decided):
        raise ClaimError("the hold is another one than the judgement asks for")
    _check_hold_terms(placed, decided, acting, payment)
    _check_hold_row(facts.required_row(HOLDS, placed.hold), placed, payment)
    return (
        f"it was held by rule `{placed.rule}` version {placed.version} before it settled: hold "
        f"{placed.hold.hex()}, until {time_words(placed.expires_at_ms)}, then "
        + ("on to the payee" if placed.settle_on_expiry else "back to the payer"),
    )


def _check_same(found: Event, expected: Event) -> None:
    if found != expected:
        raise ClaimError("the receipt tells of another effect than the payment's")


def check_rules(
    payment: JudgedPayment,
    acting: Sequence[ActingRule],
    watching: Sequence[ActingRule],
    models: Mapping[str, ProvedModel],
) -> None:
    """Check a judgement against the rules that acted, and what they looked at against the order.

    What a payment does not state is missing.

    Raises:
        ClaimError: The receipt tells of another judgement than these rules can have given.
    """
    names = {name: tuple(f.name for f in m.features) for name, m in models.items()}
    check_judged(payment.judged, acting, watching, names)
    message, judged = payment.message, payment.judged
    if not isinstance(message, DecideCase):
        check_stated(judged, message.amount_units, message.asserted)
        for name in asserted_names(acting):
            judged.known.setdefault(name, None)


def watching_words(watching: Sequence[ActingRule]) -> list[str]:
    """Return which rules were in shadow."""
    return [
        f"rule `{one.name}` version {one.version} watched in shadow, without power"
        for one in watching
    ]


def _rule_of(fired: Fired) -> tuple[str, int]:
    return fired.event.rule, fired.event.version


def _check_hold_terms(
    placed: HoldPlaced, decided: Fired, acting: tuple[ActingRule, ...], payment: JudgedPayment
) -> None:
    """Check that a hold has the terms and the score that the rule's bytes give it."""
    one = next(a for a in acting if (a.name, a.version) == _rule_of(decided))
    terms = [action for action in one.rule.actions if isinstance(action, exact.Hold)]
    if not terms or placed.settle_on_expiry != (terms[0].on_expiry == "settle"):
        raise ClaimError("the hold ends otherwise than its rule says")
    placed_ms = payment.transaction.block.time_ms
    if not placed_ms < placed.expires_at_ms <= placed_ms + terms[0].expiry_ms:
        raise ClaimError("the hold lasts longer than its rule says")
    deployments = exact.models(one.rule)
    score = payment.judged.known["model:" + deployments[0]] if deployments else -1
    if placed.score_ppm != score:
        raise ClaimError("the hold names another score than the payment has")


def _check_hold_row(row: Hold, placed: HoldPlaced, payment: JudgedPayment) -> None:
    """Check that a hold's row is of this payment."""
    block = payment.transaction.block
    stated = (row.payer, row.payee, row.asset, row.amount_units, row.rule, row.version)
    shown = (placed.payer, placed.payee, placed.asset, placed.amount_units)
    if stated != (*shown, placed.rule, placed.version) or row.score_ppm != placed.score_ppm:
        raise ClaimError("the hold's row is of another payment")
    here = (payment.transaction.id, payment.index, payment.body.sender)
    if (row.transaction_id, row.operation_index, row.ordered_by) != here:
        raise ClaimError("the hold's row is of another operation")
    if (row.placed_height, row.placed_ms) != (block.height, block.time_ms):
        raise ClaimError("the hold's row is of another block")


def score_words(facts: VerifiedFacts, payment: JudgedPayment) -> list[str]:
    """Return a payment's scores and who stands behind the models, checked."""
    told = []
    for score in payment.judged.scores:
        promotions = promotions_before(facts, score.deployment, height=payment.height)
        is_stated = isinstance(score, FeaturesScored)
        told.append(
            f"scored {share_words(score.score_ppm)} in its block by deployment "
            f"`{score.deployment}`, on {'stated' if is_stated else 'derived'} features"
        )
        told += version_words(facts, score.version)
        told += check_promotion(facts, score.deployment, promotions)
    return told


def rule_findings(
    facts: VerifiedFacts,
    payment: JudgedPayment,
    acting: tuple[ActingRule, ...],
    models: Mapping[str, ProvedModel],
) -> list[str]:
    """Return what rules found and did, why, and who put them in force; checked."""
    told = []
    for fired in payment.judged.fired:
        one = next(a for a in acting if (a.name, a.version) == _rule_of(fired))
        for place in fired.event.conditions:
            _check_place(one, place)
        case = models.get(one.rule.scope)
        found = condition_words(
            one.rule,
            fired.event.conditions,
            fired.event.inputs,
            () if case is None else case.model.features,
            decimals=_decimals(facts, payment),
        )
        because = list_words(found) if found else "its condition held"
        did = list_words(fired.event.actions) if fired.event.actions else "nothing"
        told.append(f"rule `{one.name}` version {one.version} fired: {because}; it did: {did}")
        if fired.labels:
            told.append(f"rule `{one.name}` wrote: {list_words(fired.labels)}")
        if fired.is_capped:
            told.append(f"the daily cap of rule `{one.name}` kept it from more")
    told += [
        f"largest contributions to the score of `{one.deployment}`: "
        + contribution_words(one.contributions, models[one.deployment].model.features)
        for one in payment.judged.explained
    ]
    quiet = [
        a.name for a in acting if (a.name, a.version) not in map(_rule_of, payment.judged.fired)
    ]
    if quiet and payment.judged.frozen is None:
        told.append(f"acted and did not fire: {list_words(quiet)}")
    for one in acting:
        told += rule_words(facts, one)
    return told


def _decimals(facts: VerifiedFacts, payment: JudgedPayment) -> int:
    """Return the digits behind the point of a payment's asset; a case has none."""
    if isinstance(payment.message, DecideCase):
        return 0
    row = facts.row(ASSETS, payment.message.asset)
    return 0 if row is None else row.decimals


def _check_place(one: ActingRule, place: int) -> None:
    if not 0 <= place < len(one.rule.condition):
        raise ClaimError(f"rule {one.name} has no condition {place}")


def _hold_words(facts: VerifiedFacts, payment: JudgedPayment) -> list[str]:
    """Return everything that became of a hold, nothing missing; nothing if there was none.

    Raises:
        ClaimError: The actions do not lead to the status that the hold's row has.
    """
    own = payment.judged.own
    if not own or not isinstance(own[0], HoldPlaced):
        return []
    hold_id = own[0].hold
    row = facts.required_row(HOLDS, hold_id)

    def is_last(_: int, action: HoldAction) -> bool:
        return action.hold == hold_id and action.action in CLOSING

    is_open = row.status in OPEN_STATUSES
    shown = facts.stretch(
        HOLD_ACTION_SERIES, since_ms=row.placed_ms, until=None if is_open else is_last
    )
    story = [entry for entry in shown.entries if entry.record.hold == hold_id]
    status, renewals = follow(story)
    if (status, renewals) != (row.status, row.renewals):
        raise ClaimError(f"the hold is {row.status}, its actions lead to {status}")
    told = [action_words(facts, entry) for entry in story]
    if is_open:
        told.append(
            f"the hold is {row.status} at the proving header, it expires "
            f"{time_words(row.expires_at_ms)}"
        )
    return told


def follow(story: list[Entry[HoldAction]]) -> tuple[str, int]:
    """Return the status to which a hold's actions lead, and how often it was renewed."""
    status, renewals = OPEN, 0
    for entry in story:
        if entry.record.action == RENEWED:
            renewals += 1
        else:
            status = entry.record.action
    return status, renewals


def action_words(facts: VerifiedFacts, entry: Entry[HoldAction]) -> str:
    """Return one action on a hold in words.

    Raises:
        ClaimError: It is of a kind that this verifier does not know.
    """
    action = entry.record
    if action.action not in ACTION_WORDS:
        raise ClaimError(f"an action {action.action!r} on a hold")
    by = f" by {names_words(facts, action.by)} (reason: {action.reason})" if action.by else ""
    return (
        f"the hold was {ACTION_WORDS[action.action]}{by}, block {action.height}, "
        f"{time_words(entry.time_ms)}"
    )


def replay_judgement(
    payment: JudgedPayment,
    acting: tuple[ActingRule, ...],
    models: dict[str, ProvedModel],
    told: tuple[list[str], list[str]],
    *,
    replay: bool,
) -> None:
    """Compute scores and rules again, if asked for; say which of it was done."""
    checked, not_shown = told
    judged = payment.judged
    if not replay:
        not_shown.append("whether model and rules give these results: --replay computes them again")
        return
    for score in judged.scores:
        check_score(Scorer(models[score.deployment].model), score.features, score.score_ppm)
    done, left = replay_rules(judged, acting)
    by_name = {name: proved.model for name, proved in models.items()}
    explained = replay_explanations(judged, acting, by_name)
    checked.append(
        f"computed again, with the same result: {count_words(len(judged.scores), 'score')} "
        f"from the models' bytes, {count_words(done, 'rule')} on the recorded inputs"
        + (f", the contributions to {count_words(explained, 'score')}" if explained else "")
    )
    if left:
        not_shown.append(
            f"whether {count_words(left, 'rule')} rightly did not fire: not all that they look at "
            "is on record"
        )
