"""Who may act for an account of the bank, and to which organisation it belongs."""

from cairn.ledger.context import Context
from cairn.ledger.messages import Message
from cairn.modules.bank.errors import (
    NotAuthorisedError,
    UnknownAccountError,
    WrongOrganisationError,
)
from cairn.modules.bank.messages import OpenAccounts
from cairn.modules.bank.records import ACCOUNTS, COMPLIANCE, customer_account
from cairn.modules.identity.api import acts_for, check_role, get_account


def operates(ctx: Context, account: bytes, tag: str) -> bool:
    """Return whether the sender may act for an account in messages of a tag.

    A customer's account is operated by its controller, and by whoever acts for the controller.
    """
    if ctx.sender == account:
        return True
    row = ctx.get(ACCOUNTS, account)
    return acts_for(ctx, account if row is None else row.controller, tag)


def check_operates(ctx: Context, account: bytes, tag: str) -> None:
    """Check that the sender may act for an account.

    Raises:
        NotAuthorisedError: It may not.
    """
    if not operates(ctx, account, tag):
        raise NotAuthorisedError


def accounts_opened(message: Message) -> dict[bytes, bytes]:
    """Return the accounts that a message opens if it takes effect, and who controls each."""
    if not isinstance(message, OpenAccounts):
        return {}
    controller = message.controller
    return {customer_account(controller, pseudonym): controller for pseudonym in message.pseudonyms}


def home_of(ctx: Context, account: bytes) -> bytes:
    """Return the organisation that an account, or its controller, belongs to.

    Raises:
        UnknownAccountError: There is no such account.
    """
    home = find_home(ctx, account)
    if home is None:
        raise UnknownAccountError
    return home


def find_home(ctx: Context, account: bytes) -> bytes | None:
    """Return the organisation that an account, or its controller, belongs to; None if unknown."""
    row = ctx.get(ACCOUNTS, account)
    owner = get_account(ctx, account if row is None else row.controller)
    return None if owner is None else owner.organisation


def check_compliance(ctx: Context, account: bytes) -> None:
    """Check that the sender is in charge of compliance where an account is at home.

    Raises:
        identity's UnknownAccountError, SuspendedError, MissingRoleError: It does not hold the role.
        UnknownAccountError: There is no such account.
        WrongOrganisationError: The account is at home elsewhere.
    """
    organisation = check_role(ctx, COMPLIANCE).organisation
    if home_of(ctx, account) != organisation:
        raise WrongOrganisationError
