"""`cairn approve` and `cairn go-live`: what waits for people, and what they have let through."""

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from cairn.cli.acting import clients_for
from cairn.cli.output import write
from cairn.cli.session import Session, command
from cairn.modules.rules.records import RISK
from cairn.modules.training.records import DEVELOPER
from cairn.sdk.approvals import approval_status
from cairn.sdk.errors import NotFoundError, RejectedError
from cairn.sdk.names import Names
from cairn.sdk.reading import Reader

if TYPE_CHECKING:
    from cairn.sdk.pending import Pending

NamesArgument = Annotated[
    list[str] | None,
    Argument(metavar="[NAME[@NUMBER]…]", help="Models and rules; none is all that wait."),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "approve")(approve)
    command(app, "go-live")(go_live)


def approve(
    session: Session,
    name: NamesArgument = None,
    listed: Annotated[bool, Option("--list", help="Only show what waits.")] = False,
) -> None:
    """Show what waits for your approval, and approve it once you have said so."""
    from cairn.sdk.pending import pending, waiting

    with session.client() as client:
        names = session.names(client)
        mine = pending(client, client.account, session.workspace)
        found = _chosen(mine, name or [], _why_not(client))
        if session.as_json:
            shown = [_fields(names, one) for one in found]
        else:
            shown = []
            for one in found:
                _show(session, names, one)
        if not found:
            session.out.talk(f"nothing waits for the approval of {names.show(client.account)}")
        elif not listed:
            what = ", ".join(one.name for one in found)
            session.confirm(f"approve as {names.show(client.account)}: {what}")
            client.approve(*found)
            for one in found:
                standing = approval_status(client, one.policy, one.subject, author=one.author)
                left = f"{standing.missing} more needed" if standing.missing else "enough"
                have = f"{len(standing.approvers)} of {standing.threshold}"
                session.out.talk(f"approved {one.name}: {have}, {left}")
        if found and not listed and all(one.is_approved for one in waiting(client)):
            session.out.talk("next: cairn go-live")
    if session.as_json:
        session.out.rows((), shown)


def go_live(session: Session, name: NamesArgument = None) -> None:
    """Let approved models and rules act from the next block on: models first."""
    from cairn.sdk.pending import go_live as go_live_with
    from cairn.sdk.pending import waiting

    with clients_for(session, DEVELOPER, RISK) as (developer, risk):
        names = session.names(developer)
        everything = list(waiting(developer))
        found = _chosen(everything, name or [], "`cairn model list` and `cairn rule list` show all")
        ready = [one for one in found if one.is_approved]
        missing = [one for one in found if not one.is_approved]
        if name and missing:
            raise _not_approved(names, missing[0])
        for one in missing:
            session.out.talk(f"{one.name} stays: {_missing(one)}")
        if not ready:
            if missing:
                raise _not_approved(names, missing[0])
            session.out.talk("nothing waits to go live")
            return
        session.confirm("let act: " + ", ".join(one.name for one in ready))
        heights = [go_live_with(developer, risk, one) for one in ready]
        rows = [
            {
                "name": one.name,
                "what": one.kind,
                "acts_from": height + 1,
                "approved_by": [names.show(each) for each in one.standing.approvers],
            }
            for one, height in zip(ready, heights, strict=True)
        ]
    session.out.rows(("name", "what", "acts_from", "approved_by"), rows)
    where = next((one.target for one in ready if one.kind == "model"), "DEPLOYMENT")
    session.out.talk(f"next: cairn decide case {where} --file ROWS.csv -o DECISIONS.csv")


def _chosen(found: "list[Pending]", wanted: list[str], hint: str) -> "list[Pending]":
    """Return what is named, or everything.

    Raises:
        NotFoundError: One of the names is not among what waits.
    """
    if not wanted:
        return found
    for name in wanted:
        if not any(name in (one.name, one.target) for one in found):
            known = ", ".join(one.name for one in found)
            raise NotFoundError(
                f"{name} does not wait for this", f"what waits: {known}" if known else hint
            )
    return [one for one in found if one.name in wanted or one.target in wanted]


def _why_not(reader: Reader) -> str:
    """Return why there may be nothing for somebody to approve."""
    from cairn.sdk.pending import waiting

    others = [f"{one.name} ({_missing(one)})" for one in waiting(reader)]
    if not others:
        return "nothing waits at all: `cairn model bring` and `cairn rule bring` hand things in"
    return (
        "what is one's own, approved already, or for other roles is not listed; not live yet: "
        + ", ".join(others)
    )


def _missing(one: "Pending") -> str:
    missing = one.standing.missing
    return f"{missing} of {one.standing.threshold} approvals missing" if missing else "approved"


def _not_approved(names: Names, one: "Pending") -> RejectedError:
    have = ", ".join(names.show(each) for each in one.standing.approvers) or "nobody"
    return RejectedError(
        "identity/not_approved",
        f"{one.name} cannot act yet: {_missing(one)}; approved by {have}",
        "others than its author approve it: cairn approve --as NAME",
    )


def _show(session: Session, names: Names, one: "Pending") -> None:
    have = ", ".join(names.show(each) for each in one.standing.approvers) or "nobody yet"
    write(f"{one.name}")
    session.out.record(
        {
            "what": one.title,
            "by": names.show(one.author),
            **{f"{name}": value for name, value in _merged(one.facts).items()},
            "approved_by": f"{have} ({len(one.standing.approvers)} of {one.standing.threshold})",
        }
    )
    write("")


def _fields(names: Names, one: "Pending") -> dict[str, Any]:
    return {
        "name": one.name,
        "kind": one.kind,
        "title": one.title,
        "policy": one.policy,
        "subject": one.subject.hex(),
        "author": names.show(one.author),
        "approved_by": [names.show(each) for each in one.standing.approvers],
        "missing": one.standing.missing,
        "facts": _merged(one.facts),
    }


def _merged(facts: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """Return facts by name; those of one name stand together."""
    merged: dict[str, str] = {}
    for name, value in facts:
        merged[name] = f"{merged[name]}\n{value}" if name in merged else value
    return merged
