"""The guide on bringing one's payments works as it is written, command by command."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from cairn.cli.main import run
from cairn.packs.payments.generator import GeneratorSettings, generate_payments, write_payments

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "bring-your-payments.md"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def steps() -> list[tuple[str, str]]:
    """Return the guide's commands and its rule, in order."""
    found = []
    for language, block in BLOCK.findall(GUIDE.read_text(encoding="utf-8")):
        if language == "yaml":
            found.append(("rule", block))
            continue
        found += [("run", line) for line in block.splitlines() if line.startswith("cairn ")]
    return found


def test_the_guide_works_as_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAIRN_PASSPHRASE", "four random words here")
    settings = GeneratorSettings(seed=1, payments=6_000, customers=400, merchants=60)
    write_payments(tmp_path / "payments.parquet", generate_payments(settings))
    words: dict[str, str] = {}
    answers: dict[str, Any] = {}
    for kind, text in steps():
        if kind == "rule":
            (tmp_path / "rule.yaml").write_text(text, encoding="utf-8")
            continue
        arguments = [words.get(word, word) for word in shlex.split(text)[1:]]
        code = run([*arguments, "--json", "--yes"])
        told = capsys.readouterr()
        assert code == 0, f"{text}\n{told.err}"
        answer = answers[" ".join(arguments[:2])] = json.loads(told.out or "{}")
        if text.startswith("cairn init"):
            monkeypatch.setenv("CAIRN_DIR", str(tmp_path / "mybank"))
        elif text == "cairn training list":
            words["RUN"] = answer[0]["run"][:12]
        elif text.startswith("cairn bank transfer"):
            words |= {"HOLD": answer.get("hold", ""), "TRANSACTION": answer["transaction"]}
    assert answers["bank transfer"]["status"] == "held"
    assert answers["hold release"]["status"] == "released"
    assert answers["verify period.cairn"]["assurance"]["word"] == "operator-signed"
    assert any("1 payment held" in one for one in answers["verify period.cairn"]["findings"])
