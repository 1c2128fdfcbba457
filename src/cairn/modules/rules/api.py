"""What other modules may ask of rules: what they say about a case, and what asking costs."""

from cairn.modules.rules.cases import CaseJudgement as CaseJudgement
from cairn.modules.rules.cases import judge_case as judge_case
from cairn.modules.rules.live import case_price as case_price
