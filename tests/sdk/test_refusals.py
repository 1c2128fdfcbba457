"""Every refusal that a module declares is told in words, with what to do."""

import pytest

from cairn.modules.registry import OTHERS
from cairn.sdk.refusals import HINTS, MODULES, meanings, rejected


def test_every_declared_refusal_has_a_hint_and_no_hint_is_left_over() -> None:
    others = {code for code in HINTS if code.partition("/")[0] in (*MODULES, "ledger")}
    undeclared = others - set(meanings())
    assert undeclared == {"ledger/operation_refused", "ledger/undone"}
    assert set(meanings()) - set(HINTS) == set()


def test_all_modules_are_covered() -> None:
    assert {module.name for module in OTHERS} | {"identity"} == set(MODULES)


def test_an_unknown_code_is_told_as_it_is() -> None:
    error = rejected("gateway/something_new")
    assert (error.code, str(error), error.hint) == (
        "gateway/something_new",
        "refused: gateway/something_new",
        "",
    )


@pytest.mark.parametrize("code", sorted(meanings()))
def test_meanings_are_sentences(code: str) -> None:
    assert meanings()[code].endswith("."), code
