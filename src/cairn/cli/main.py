"""The command line, `cairn <noun> <verb>`: the groups, and the one place where errors end."""

import os
import sys
from importlib import metadata

import typer

from cairn.cli import (
    approve,
    backtest,
    bank,
    bring,
    config,
    data,
    debug,
    decide,
    demo,
    errors,
    export,
    hold,
    init,
    key,
    model,
    node,
    org,
    predict,
    prove,
    report,
    rule,
    training,
    trust,
    tx,
    verify,
    witness,
)
from cairn.cli.session import Session, command, new_app
from cairn.evidence.errors import EvidenceError
from cairn.exact.errors import ExactError
from cairn.learning.errors import LearningError
from cairn.primitives.errors import PrimitiveError
from cairn.sdk.errors import CairnError

TRACEBACK_VARIABLE = "CAIRN_TRACEBACK"
"""Set it to see where an unexpected error came from."""

app = new_app("A ledger for models and the decisions made with them, verifiable offline.")

GROUPS: tuple[tuple[str, typer.Typer], ...] = (
    ("node", node.app),
    ("witness", witness.app),
    ("key", key.app),
    ("org", org.app),
    ("data", data.app),
    ("training", training.app),
    ("model", model.app),
    ("predict", predict.app),
    ("decide", decide.app),
    ("rule", rule.app),
    ("bank", bank.app),
    ("hold", hold.app),
    ("tx", tx.app),
    ("prove", prove.app),
    ("trust", trust.app),
    ("debug", debug.app),
    ("config", config.app),
)

init.register(app)
approve.register(app)
for name, group in GROUPS:
    app.add_typer(group, name=name)
backtest.register(rule.app)
bring.register(model.app, rule.app)
export.register(data.app)
report.register(app)
verify.register(app)
demo.register(app)


@command(app, "version")
def show_version(session: Session) -> None:
    """Show the version of Cairn."""
    version = metadata.version("cairn-ledger")
    session.out.value(version, version=version)


def run(arguments: list[str]) -> int:
    """Run a command and return its exit code; nothing is raised."""
    try:
        stopped_with = app(arguments, prog_name="cairn", standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt):
        errors.tell("stopped")
        return errors.INTERRUPTED
    except typer.TyperException as error:
        return errors.tell_usage(error)
    except (CairnError, EvidenceError, LearningError, ExactError, PrimitiveError) as error:
        return errors.tell_error(error)
    except BrokenPipeError:
        # Whoever read the output has gone; there is nobody to tell.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - so that closing it at exit cannot fail
        return errors.DONE
    except Exception as error:  # the process ends here, with a code and no traceback
        if os.environ.get(TRACEBACK_VARIABLE):
            raise
        return errors.tell_unexpected(error, TRACEBACK_VARIABLE)
    return stopped_with if isinstance(stopped_with, int) else errors.DONE


def main() -> None:
    """Run the command that the process was started with."""
    sys.exit(run(sys.argv[1:]))
