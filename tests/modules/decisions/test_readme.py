"""The README's table of refusals is the one that the handlers keep."""

import ast
from pathlib import Path

from tests.modules.refusals import MODULES, readme_refusals


def test_the_table_lists_every_refusal_of_the_module() -> None:
    listed = {code for codes in readme_refusals("decisions").values() for code in codes}
    tree = ast.parse((MODULES / "decisions" / "errors.py").read_text(encoding="utf-8"))
    declared = {
        node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
    }
    assert declared == {code for code in listed if code.startswith("decisions/")}


def test_every_refusal_is_tried() -> None:
    tried = "".join(
        path.read_text(encoding="utf-8")
        for path in Path(__file__).parent.iterdir()
        if path.suffix == ".py"
    )
    for codes in readme_refusals("decisions").values():
        for code in codes:
            assert f'"{code}"' in tried or code == "identity/suspended"
