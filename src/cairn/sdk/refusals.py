"""Refusals in words: what each code means, and what to do about it.

What happened is the first line of the refusal's docstring where the module declares it; what to do
stands in the table below.
"""

import importlib
from types import ModuleType

from cairn.ledger import errors as ledger_errors
from cairn.ledger.errors import Rejection
from cairn.ledger.receipts import OPERATION_REFUSED, UNDONE
from cairn.sdk.errors import RejectedError

MODULES = (
    "identity",
    "bank",
    "data",
    "training",
    "models",
    "inference",
    "screening",
    "rules",
    "decisions",
)

HINTS = {
    OPERATION_REFUSED: "see which operation was refused, and why",
    UNDONE: "another operation of the same transaction was refused; mend that one",
    "ledger/invalid_message": "see the message's fields in its module's README",
    "ledger/malformed_transaction": "use the node's version of Cairn, and smaller transactions",
    "ledger/bad_signature": "sign the body's bytes as sent, with the key that the envelope names",
    "ledger/wrong_chain": "connect to the ledger that the charter names",
    "ledger/unknown_key": "`cairn key list` shows its keys; a new one speaks from the next block",
    "ledger/bad_sequence": "another program signs for this account on the same lane: try again",
    "ledger/expired_transaction": "sign it again",
    "ledger/budget_exceeded": "split it into smaller transactions",
    "ledger/unknown_parameter": "`cairn org parameters show` lists them",
    "ledger/parameter_out_of_bounds": "`cairn org parameters show` lists the bounds",
    "identity/invalid_genesis": "each organisation needs an admin, and each name stands once",
    "identity/unknown_account": "`cairn org show` lists the accounts",
    "identity/suspended": "an administrator can reinstate it",
    "identity/not_suspended": "there is nothing to do",
    "identity/missing_role": "act as somebody who holds it (--as); see `cairn org show`",
    "identity/wrong_organisation": "ask an administrator of that organisation",
    "identity/not_authorised": "act as the account itself, or let it delegate to you",
    "identity/own_account": "ask another administrator",
    "identity/name_taken": "choose another name: names are never used again",
    "identity/role_held": "there is nothing to do",
    "identity/role_not_held": "there is nothing to do",
    "identity/too_many_roles": "revoke a role first",
    "identity/key_taken": "make a new key: a key is registered once for ever",
    "identity/unknown_key": "`cairn key list` shows the account's keys",
    "identity/too_many_keys": "revoke a key first",
    "identity/last_key": "rotate the key instead",
    "identity/delegation_past": "choose a height ahead of the ledger's",
    "identity/unknown_delegation": "see who delegated what to whom",
    "identity/unknown_policy": "`cairn org policy show` lists the policies",
    "identity/already_approved": "others have to approve now: `cairn org approvals`",
    "identity/no_approval": "`cairn org approvals` shows what stands",
    "identity/too_many_approvals": "enough people have approved",
    "identity/spent": "propose it again under another name",
    "identity/not_approved": "people approve it first; `cairn org approvals` shows who has",
    "bank/invalid_genesis": "name each asset and account once, and found only what exists",
    "bank/unknown_asset": "create it with `cairn bank asset create`",
    "bank/asset_taken": "choose another name",
    "bank/not_issuer": "act as a treasurer of the organisation that issues the asset",
    "bank/supply_exceeded": "issue less",
    "bank/unknown_account": "open it with `cairn bank open`, or check the id",
    "bank/account_taken": "the account is open already",
    "bank/not_authorised": "act as whoever operates the account (its controller) with --as",
    "bank/booked_at_out_of_bounds": "book it near now; bank.booked_at_skew_ms_max 0 allows replays",
    "bank/account_frozen": "compliance can unfreeze it: `cairn bank unfreeze`",
    "bank/already_frozen": "unfreeze it first to choose another time",
    "bank/not_frozen": "there is nothing to do",
    "bank/refused_by_rule": "`cairn tx show ID` names the rule and its reason",
    "bank/held_by_rule": "pay by transfer: a transfer can be held, an escrow cannot",
    "bank/insufficient_funds": "`cairn bank balance ACCOUNT` shows what it has",
    "bank/time_out_of_bounds": "choose another time; see `cairn org parameters show bank`",
    "bank/unknown_hold": "`cairn hold list` shows the holds",
    "bank/hold_closed": "`cairn hold show ID` tells what became of it",
    "bank/wrong_organisation": "compliance of the account's own organisation decides",
    "bank/own_case": "somebody else of compliance has to decide",
    "bank/too_many_renewals": "release or return it",
    "bank/second_person_needed": "a second person asks for the same time",
    "bank/already_appealed": "a person of compliance has answered, or will",
    "bank/not_appealed": "there is nothing to answer",
    "bank/unknown_escrow": "check the id",
    "bank/escrow_closed": "there is nothing to do",
    "data/dataset_exists": "register it under another version",
    "data/quality_required": "register it with its quality report: without --no-quality",
    "data/quality_refused": "`cairn data policy` shows the bounds; mend the file first",
    "data/dataset_not_found": "`cairn data list` shows the data sets",
    "data/not_owner": "ask a data owner of the organisation that registered it",
    "data/dataset_withdrawn": "use another data set",
    "data/consent_in_past": "choose a later end",
    "data/consent_not_found": "`cairn data show ID` lists the consents",
    "data/use_not_allowed": "its data owner grants the use: `cairn data grant`",
    "training/plan_not_found": "`cairn training plans` lists the plans",
    "training/outside_plan": "train on the data sets of the plan alone, or commit another plan",
    "training/outcome_not_found": "count the outcomes from 0; later ones are yet to come",
    "training/test_differs": "evaluate on all rows of the data set that the plan names",
    "training/off_plan": "use the plan's threshold, and state the figure that it names",
    "training/plan_too_late": "commit a plan now, and evaluate on labels that come after it",
    "training/rows_out_of_range": "state rows that the data set has",
    "training/run_not_found": "`cairn training list` shows the runs",
    "models/already_sealed": "it is uploaded: register a version of it",
    "models/too_many_uploads": "finish or drop an upload first",
    "models/chunk_count_differs": "drop the upload and begin again",
    "models/chunk_exists": "go on with the next chunk",
    "models/model_too_big": "train a smaller model, or let governance raise models.size_bytes_max",
    "models/upload_not_found": "`cairn model upload` does all the steps",
    "models/chunk_missing": "`cairn model upload` hands in what is missing",
    "models/size_differs": "drop the upload and begin again",
    "models/digest_mismatch": "drop the upload and begin again",
    "models/malformed_model": "convert it with `cairn model convert`",
    "models/upload_not_expired": "only its uploader can drop it now",
    "models/name_taken": "choose another name",
    "models/model_not_sealed": "upload it first: `cairn model upload`",
    "models/run_mismatch": "register the model that the run made",
    "models/version_not_found": "`cairn model list` shows the versions",
    "models/not_owner": "a developer of the organisation that registered it has to do this",
    "models/version_retired": "choose another version",
    "models/version_live": "promote another version first",
    "models/deployment_exists": "promote a version into it",
    "models/unknown_policy": "`cairn org policy show` lists the policies",
    "models/deployment_not_found": "make it with `cairn model deploy`",
    "models/input_mismatch": "make another deployment for a model with other inputs",
    "models/no_earlier_version": "promote a version instead",
    "models/no_live_version": "promote an approved version first: `cairn model promote`",
    "inference/bad_features": "`cairn model show` lists the inputs in their order",
    "inference/version_not_in_service": "record it under the version that is live",
    "screening/attempt_not_found": "`cairn tx show` shows a payment's position",
    "screening/wrong_organisation": "compliance of the payer's or the payee's home says so",
    "screening/outcome_unchanged": "there is nothing to do",
    "rules/malformed_rule": "check it with `cairn rule check`",
    "rules/not_owner": "choose another name for the rule, or a deployment of your organisation",
    "rules/other_scope": "choose another name: all versions of a name judge the same",
    "rules/rule_not_found": "`cairn rule list` shows the rules",
    "rules/already_live": "there is nothing to do",
    "rules/already_shadowed": "there is nothing to do",
    "rules/not_shadowed": "put a version in shadow first: `cairn rule shadow`",
    "rules/not_backtested": "test it on past facts first: `cairn rule backtest --record`",
    "rules/not_shadowed_long_enough": "`cairn rule show RULE` tells how much longer",
    "rules/unknown_input": "`cairn model show` lists the inputs of the deployment's model",
    "rules/too_many_rules": "retire a rule, or end a shadow, first",
    "rules/unusable_model": "a rule can use models whose inputs are features of payments",
    "rules/rule_not_live": "activate it first: `cairn rule activate`",
    "rules/switch_unchanged": "there is nothing to do",
    "decisions/not_authorised": "act as a member of the deployment's organisation, or its delegate",
    "decisions/unknown_executor": "`cairn org show` lists the accounts",
    "decisions/executor_not_bound": "name an executor of the same organisation, or let it delegate",
    "decisions/not_judged": "send it again: the leave counts from the next block",
    "decisions/unknown_decision": "`cairn decide list` shows the decisions",
    "decisions/wrong_organisation": "compliance of the decision's own organisation reviews it",
    "decisions/not_held": "`cairn decide show ID` tells what became of it",
    "decisions/own_case": "somebody else of compliance has to decide",
    "decisions/not_executor": "act as the executor, or let it delegate decisions/report_execution",
    "decisions/already_reported": "`cairn decide show ID` tells what was stated",
    "decisions/acted_ahead": "check the executor's clock",
    "engine/mempool_full": "wait for earlier transactions, then send it again",
}


def rejected(code: str) -> RejectedError:
    """Return the error for a refusal.

    >>> error = rejected("bank/insufficient_funds")
    >>> print(error)
    refused: The account has fewer available units than the payment needs. (bank/insufficient_funds)
    >>> print(error.hint)
    `cairn bank balance ACCOUNT` shows what it has
    """
    meaning = meanings().get(code, "")
    text = f"refused: {meaning} ({code})" if meaning else f"refused: {code}"
    return RejectedError(code, text, HINTS.get(code, ""))


def meanings() -> dict[str, str]:
    """Return what each declared refusal means, by its code."""
    declared: list[ModuleType] = [ledger_errors]
    declared += [importlib.import_module(f"cairn.modules.{name}.errors") for name in MODULES]
    return {
        value.code: (value.__doc__ or "").partition("\n")[0]
        for module in declared
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Rejection) and "code" in vars(value)
    }
