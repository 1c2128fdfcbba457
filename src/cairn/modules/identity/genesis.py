"""The founding of identity: the organisations, people and policies that the charter names."""

from cairn.ledger.context import Context
from cairn.ledger.errors import InvalidMessageError
from cairn.modules.identity.errors import InvalidGenesisError
from cairn.modules.identity.handlers import found_account
from cairn.modules.identity.messages import check_keys, check_sorted
from cairn.modules.identity.records import (
    ACCOUNTS,
    ACTIVE,
    ADMIN,
    GOVERNANCE,
    KEYS,
    ORGANISATION,
    POLICIES,
    RECOVERY,
    Account,
    FoundingOrganisation,
    IdentityGenesis,
    member_id,
    organisation_id,
)


def found(ctx: Context, section: IdentityGenesis | None) -> None:
    """Write the accounts, keys and policies of the charter's section.

    Raises:
        InvalidGenesisError: There is no section, a name or key stands twice, an organisation has
            no administrator, or a policy that this module itself asks for is missing.
    """
    if section is None or not section.organisations:
        raise InvalidGenesisError
    for organisation in section.organisations:
        _found_organisation(ctx, organisation)
    for founding in section.policies:
        if ctx.get(POLICIES, founding.name) is not None or not founding.policy.roles:
            raise InvalidGenesisError
        _check(check_sorted, founding.policy.roles)
        ctx.put(POLICIES, founding.policy, founding.name)
    if any(ctx.get(POLICIES, name) is None for name in (GOVERNANCE, RECOVERY)):
        raise InvalidGenesisError


def _found_organisation(ctx: Context, organisation: FoundingOrganisation) -> None:
    account = organisation_id(organisation.name)
    row = Account(ORGANISATION, account, organisation.name, (), ACTIVE)
    _found(ctx, account, row, organisation.keys)
    for member in organisation.members:
        if not member.keys:
            raise InvalidGenesisError
        row = Account(member.kind, account, member.name, member.roles, ACTIVE)
        _found(ctx, member_id(account, member.name), row, member.keys)
    if not any(ADMIN in member.roles for member in organisation.members):
        raise InvalidGenesisError


def _found(ctx: Context, account: bytes, row: Account, keys: tuple[bytes, ...]) -> None:
    if keys:
        _check(check_keys, keys)
    _check(check_sorted, row.roles)
    taken = any(ctx.get(KEYS, key) is not None for key in keys)
    if taken or ctx.get(ACCOUNTS, account) is not None:
        raise InvalidGenesisError
    found_account(ctx, account, row, keys)


def _check(rule: object, values: tuple[object, ...]) -> None:
    assert callable(rule)
    try:
        rule(values)
    except InvalidMessageError as error:
        raise InvalidGenesisError(str(error)) from error
