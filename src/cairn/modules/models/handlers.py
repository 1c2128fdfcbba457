"""What the messages about models, versions and deployments do."""

from cairn.exact.errors import ExactError
from cairn.exact.models import ExactModel, decode_model
from cairn.ledger.context import Context
from cairn.modules.identity import api as identity
from cairn.modules.models import events
from cairn.modules.models.api import check_deployment, check_version
from cairn.modules.models.errors import (
    DeploymentExistsError,
    InputMismatchError,
    MalformedModelError,
    ModelNotSealedError,
    NameTakenError,
    NoEarlierVersionError,
    NotOwnerError,
    RunMismatchError,
    UnknownPolicyError,
    VersionLiveError,
    VersionRetiredError,
)
from cairn.modules.models.messages import (
    CreateDeployment,
    Promote,
    RegisterVersion,
    RetireVersion,
    RollBack,
)
from cairn.modules.models.records import (
    DEPLOYMENTS,
    DEVELOPER,
    EARLIER_MAX,
    LIVE_COUNTS,
    NAMES,
    PROMOTIONS,
    RISK,
    SEALED,
    VERSION_ENTRIES,
    VERSIONS,
    Deployment,
    LiveCount,
    ModelName,
    Promotion,
    Version,
    VersionEntry,
    promotion_subject,
)
from cairn.modules.training import api as training
from cairn.primitives.encoding import replace
from cairn.primitives.errors import NonCanonicalError


def open_model(raw: bytes) -> ExactModel:
    """Return the model that `raw` spells.

    Raises:
        MalformedModelError: It is none, or breaks a rule of the form.
    """
    try:
        return decode_model(raw)
    except (NonCanonicalError, ExactError) as error:
        raise MalformedModelError(str(error)) from error


def register_version(ctx: Context, message: RegisterVersion) -> None:
    """Register a sealed model as the next version of a name."""
    sender = identity.check_role(ctx, DEVELOPER)
    sealed = ctx.get(SEALED, message.model_digest)
    if sealed is None:
        raise ModelNotSealedError
    if training.check_run(ctx, message.run).model_digest != message.model_digest:
        raise RunMismatchError
    name = ctx.get(NAMES, message.name) or ModelName(sender.organisation, 0)
    if name.organisation != sender.organisation:
        raise NameTakenError
    number = name.version_count + 1
    version = ctx.new_id()
    row = Version(
        name=message.name,
        number=number,
        run=message.run,
        model_digest=message.model_digest,
        input_digest=sealed.input_digest,
        card_digest=message.card_digest,
        registered_by=ctx.sender,
        registered_ms=ctx.time_ms,
        retired_ms=0,
    )
    ctx.put(NAMES, replace(name, version_count=number), message.name)
    ctx.put(VERSIONS, row, version)
    entry = VersionEntry("registered", version, message.name, number, ctx.sender)
    ctx.append(VERSION_ENTRIES, entry)
    ctx.emit(events.VersionRegistered(version, message.name, number, message.model_digest))


def retire_version(ctx: Context, message: RetireVersion) -> None:
    """Retire a version that is live nowhere."""
    sender = identity.check_role(ctx, DEVELOPER)
    row = check_version(ctx, message.version)
    name = ctx.get(NAMES, row.name)
    if name is None or name.organisation != sender.organisation:
        raise NotOwnerError
    if row.retired_ms:
        raise VersionRetiredError
    if _live_count(ctx, message.version):
        raise VersionLiveError
    ctx.put(VERSIONS, replace(row, retired_ms=ctx.time_ms), message.version)
    entry = VersionEntry("retired", message.version, row.name, row.number, ctx.sender)
    ctx.append(VERSION_ENTRIES, entry)
    ctx.emit(events.VersionRetired(message.version))


def create_deployment(ctx: Context, message: CreateDeployment) -> None:
    """Make a deployment of the sender's organisation, in which nothing is live yet."""
    sender = identity.check_role(ctx, DEVELOPER)
    if ctx.get(DEPLOYMENTS, message.name) is not None:
        raise DeploymentExistsError
    if identity.get_policy(ctx, message.policy) is None:
        raise UnknownPolicyError
    row = Deployment(
        organisation=sender.organisation,
        policy=message.policy,
        purpose=message.purpose,
        input_digest=b"",
        current=b"",
        previous=b"",
        changed_height=ctx.height,
        earlier=(),
        change_count=0,
    )
    ctx.put(DEPLOYMENTS, row, message.name)
    ctx.emit(events.DeploymentCreated(message.name, message.policy))


def promote(ctx: Context, message: Promote) -> None:
    """Let an approved version go live from the next height on."""
    sender = identity.check_role(ctx, DEVELOPER)
    row = check_deployment(ctx, message.deployment)
    if row.organisation != sender.organisation:
        raise NotOwnerError
    version = check_version(ctx, message.version)
    if version.retired_ms:
        raise VersionRetiredError
    if row.current == message.version:
        raise VersionLiveError
    if row.input_digest and row.input_digest != version.input_digest:
        raise InputMismatchError
    subject = promotion_subject(message.deployment, message.version, row.change_count)
    approvers = identity.check_approved(ctx, row.policy, subject, version.registered_by)
    identity.spend_approval(ctx, row.policy, subject)
    earlier = (*row.earlier, row.current) if row.current else row.earlier
    changed = replace(
        _change(ctx, row, message.version),
        input_digest=version.input_digest,
        earlier=earlier[-EARLIER_MAX:],
    )
    ctx.put(DEPLOYMENTS, changed, message.deployment)
    entry = Promotion(
        "promoted", message.version, row.current, ctx.height, ctx.sender, row.policy, approvers
    )
    ctx.append(PROMOTIONS, entry, message.deployment)
    ctx.emit(events.VersionPromoted(message.deployment, message.version, row.current, approvers))


def roll_back(ctx: Context, message: RollBack) -> None:
    """Let the last earlier version that is not retired go live again."""
    sender = identity.check_active(ctx)
    if RISK not in sender.roles:
        identity.check_role(ctx, DEVELOPER)
    row = check_deployment(ctx, message.deployment)
    if row.organisation != sender.organisation:
        raise NotOwnerError
    earlier = list(row.earlier)
    while earlier and check_version(ctx, earlier[-1]).retired_ms:
        earlier.pop()
    if not earlier:
        raise NoEarlierVersionError
    target = earlier.pop()
    changed = replace(_change(ctx, row, target), earlier=tuple(earlier))
    ctx.put(DEPLOYMENTS, changed, message.deployment)
    entry = Promotion("rolled_back", target, row.current, ctx.height, ctx.sender, row.policy, ())
    ctx.append(PROMOTIONS, entry, message.deployment)
    ctx.emit(events.DeploymentRolledBack(message.deployment, target, row.current))


def _change(ctx: Context, row: Deployment, version: bytes) -> Deployment:
    """Return the deployment with `version` live from the next height on; count where it is live."""
    if row.current:
        ctx.put(LIVE_COUNTS, LiveCount(_live_count(ctx, row.current) - 1), row.current)
    ctx.put(LIVE_COUNTS, LiveCount(_live_count(ctx, version) + 1), version)
    changed_now = row.changed_height == ctx.height
    return replace(
        row,
        current=version,
        previous=row.previous if changed_now else row.current,
        changed_height=ctx.height,
        change_count=row.change_count + 1,
    )


def _live_count(ctx: Context, version: bytes) -> int:
    row = ctx.get(LIVE_COUNTS, version)
    return 0 if row is None else row.count
