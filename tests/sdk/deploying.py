"""A model and rules live on a real node, by the messages that people send."""

from collections.abc import Callable

from cairn.exact.models import ExactModel, encode_model
from cairn.exact.rules import Rule, encode_rule
from cairn.modules.data.events import DatasetRegistered
from cairn.modules.identity.messages import Approve
from cairn.modules.models.events import VersionRegistered
from cairn.modules.models.messages import CreateDeployment, Promote, RegisterVersion
from cairn.modules.rules.messages import ActivateRule, SubmitRule
from cairn.modules.rules.records import ACTIVATION, activation_subject, rule_digest
from cairn.modules.training.events import RunRecorded
from cairn.primitives.hashes import sha256
from cairn.sdk.approvals import promotion_of
from cairn.sdk.client import Client
from cairn.sdk.models import upload_model
from tests.modules.founding import dataset_message, run_message

ClientOf = Callable[[str], Client]


def deploy(client_of: ClientOf, name: str, model: ExactModel) -> bytes:
    """Bring a model onto the ledger and live in a new deployment; return the version's id."""
    dirk = client_of("dirk")
    dataset = client_of("dana").submit(dataset_message(name)).event(DatasetRegistered).dataset
    digest = upload_model(dirk, encode_model(model))
    run = dirk.submit(run_message(dataset, digest)).event(RunRecorded).run
    registered = dirk.submit(RegisterVersion(name, run, digest, sha256(b"card")))
    version = registered.event(VersionRegistered).version
    dirk.submit(CreateDeployment(name, "models", ""))
    approvable = promotion_of(dirk, name, version)
    for person in ("vera", "rita", "carl"):
        client_of(person).submit(Approve(approvable.policy, approvable.subject))
    dirk.submit(Promote(name, version))
    return version


def activate(client_of: ClientOf, rule: Rule) -> None:
    """Submit, approve and activate the first version of a rule."""
    rita, raw = client_of("rita"), encode_rule(rule)
    rita.submit(SubmitRule(raw))
    subject = activation_subject(rule.name, 1, rule_digest(raw), 0)
    for person in ("carl", "vera"):
        client_of(person).submit(Approve(ACTIVATION, subject))
    rita.submit(ActivateRule(rule.name, 1))
