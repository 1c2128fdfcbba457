"""The one style sheet: calm, light and dark by what the reader's system says, and for paper.

Everything hangs on the class `cairn`, so that a piece of a page also looks right in a notebook.
The colours of series keep at least 3:1 against their background and differ for readers who cannot
tell red from green (after Okabe and Ito); texts keep at least 4.5:1.
"""

from typing import Final

_LIGHT: Final = """
--paper:#fdfdfc;--ink:#1c2126;--soft:#565f68;--rule:#d9dde1;--wash:#f3f5f6;--grid:#e4e7ea;
--good:#00664c;--good-wash:#e2f3ed;--warn:#7a4a00;--warn-wash:#fbf0d9;--bad:#9b1c1c;--bad-wash:#fbe7e5;
--s0:#0b63a5;--s1:#b8500a;--s2:#00785a;--s3:#8a3f7c;--s4:#7a5c00;--s5:#1d7fae;--s6:#a8324a;--s7:#565f68
"""
_DARK: Final = """
--paper:#14171a;--ink:#e4e7ea;--soft:#a6b0b9;--rule:#363d44;--wash:#1d2226;--grid:#2a3036;
--good:#6fd6b0;--good-wash:#14302a;--warn:#efc46a;--warn-wash:#33290f;--bad:#f5a09a;--bad-wash:#3a1b1b;
--s0:#6cb4ee;--s1:#f29b5b;--s2:#4fcba4;--s3:#dd9fcf;--s4:#e3c04b;--s5:#8fd3f4;--s6:#f28b9c;--s7:#a6b0b9
"""
SERIES_COLOURS: Final = 8
_SERIES: Final = "".join(
    f".cairn .s{place}{{--c:var(--s{place})}}" for place in range(SERIES_COLOURS)
)

_RULES: Final = """
.cairn{color:var(--ink);background:var(--paper);font:16px/1.55 system-ui,-apple-system,"Segoe UI",
Roboto,"Helvetica Neue",Arial,sans-serif;font-variant-numeric:tabular-nums;text-align:left}
.cairn *{box-sizing:border-box}
body.cairn{margin:0}
.cairn main{max-width:60rem;margin:0 auto;padding:2.5rem 1.25rem 4rem}
.cairn h1{font-size:1.9rem;line-height:1.2;margin:0 0 .3rem;letter-spacing:-.01em}
.cairn h2{font-size:1.3rem;line-height:1.3;margin:2.6rem 0 .7rem;padding-top:1.1rem;
border-top:1px solid var(--rule)}
.cairn h3{font-size:1.05rem;margin:1.7rem 0 .5rem}
.cairn h4{font-size:1rem;margin:1.2rem 0 .4rem;color:var(--soft)}
.cairn p{margin:.6rem 0;max-width:44rem}
.cairn .lead{color:var(--soft);font-size:1.05rem;margin:.2rem 0 1.4rem}
.cairn .scroll{overflow-x:auto;margin:.9rem 0}
.cairn table{border-collapse:collapse;width:100%;font-size:.92rem;margin:0}
.cairn caption{text-align:left;color:var(--soft);padding:0 0 .4rem;font-size:.92rem}
.cairn th,.cairn td{padding:.42rem .7rem;text-align:left;vertical-align:top;background:none;
border:0;border-bottom:1px solid var(--rule);overflow-wrap:break-word;min-width:3.2rem}
.cairn th{font-weight:600;color:var(--soft);white-space:nowrap}
.cairn thead th{border-bottom:2px solid var(--rule);white-space:normal;overflow-wrap:normal}
.cairn .n{text-align:right;white-space:nowrap}
.cairn dl{display:grid;grid-template-columns:minmax(8rem,max-content) 1fr;gap:.35rem 1.3rem;
margin:.9rem 0}
.cairn dt{color:var(--soft)}
.cairn dd{margin:0;overflow-wrap:anywhere}
.cairn code,.cairn pre{font:.88em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",
monospace;color:inherit;background:var(--wash);border-radius:4px}
.cairn code{padding:.1em .35em;overflow-wrap:anywhere}
.cairn pre{padding:.8rem 1rem;border:1px solid var(--rule);margin:.9rem 0;white-space:pre-wrap;
overflow-wrap:anywhere}
.cairn figure{margin:1.2rem 0}
.cairn figcaption{color:var(--soft);font-size:.9rem;margin-top:.3rem;max-width:44rem}
.cairn .badge{display:inline-block;padding:.05em .6em;border-radius:1em;font-size:.85em;
background:var(--wash);color:var(--ink);border:1px solid var(--rule);white-space:nowrap}
.cairn .note{border-left:4px solid var(--rule);background:var(--wash);padding:.6rem 1rem;
margin:1rem 0;border-radius:0 6px 6px 0}
.cairn .note p:first-child{margin-top:0}.cairn .note p:last-child{margin-bottom:0}
.cairn .good{background:var(--good-wash);color:var(--good);border-color:var(--good)}
.cairn .warn{background:var(--warn-wash);color:var(--warn);border-color:var(--warn)}
.cairn .bad{background:var(--bad-wash);color:var(--bad);border-color:var(--bad)}
.cairn .cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(10.5rem,1fr));gap:.8rem;
margin:1.2rem 0;padding:0;list-style:none}
.cairn .cards li{border:1px solid var(--rule);border-radius:8px;padding:.7rem .9rem;margin:0}
.cairn .cards b{display:block;font-size:1.5rem;line-height:1.25;font-weight:600}
.cairn .cards span{color:var(--soft);font-size:.88rem}
.cairn .cards small{display:block;color:var(--soft);font-size:.82rem}
.cairn ul.tree,.cairn ul.tree ul{list-style:none;margin:0;padding:0 0 0 1.2rem}
.cairn ul.tree{padding:0;margin:.9rem 0}
.cairn ul.tree ul{border-left:1px solid var(--rule);margin-left:.35rem}
.cairn ul.tree li{margin:.25rem 0}
.cairn footer{margin-top:3rem;padding-top:1rem;border-top:1px solid var(--rule);color:var(--soft);
font-size:.88rem}
.cairn svg{display:block;width:100%;min-width:34rem;height:auto;overflow:visible}
.cairn svg text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif;
font-variant-numeric:tabular-nums;fill:var(--soft);stroke:none}
.cairn svg text.title{font-size:14px;font-weight:600;fill:var(--ink)}
.cairn svg text.strong{fill:var(--ink)}
.cairn svg text.mid{text-anchor:middle}.cairn svg text.end{text-anchor:end}
.cairn svg .grid{stroke:var(--grid);stroke-width:1;fill:none}
.cairn svg .axis{stroke:var(--soft);stroke-width:1;fill:none}
.cairn svg .diagonal{stroke:var(--soft);stroke-width:1.2;stroke-dasharray:3 4;fill:none}
.cairn svg .line{stroke:var(--c);stroke-width:2;fill:none;stroke-linejoin:round;
stroke-linecap:round}
.cairn svg .dot{fill:var(--c);stroke:var(--paper);stroke-width:1}
.cairn svg .bar{fill:var(--c)}
.cairn svg .area{fill:var(--c);fill-opacity:.16;stroke:var(--c);stroke-width:1.6}
.cairn svg .d1{stroke-dasharray:7 4}.cairn svg .d2{stroke-dasharray:2 4}
.cairn svg .d3{stroke-dasharray:10 3 2 3}
"""

_PRINT: Final = """
.cairn{font-size:10.5pt;background:#fff;color:#000}
.cairn main{max-width:none;padding:0}
.cairn h1,.cairn h2,.cairn h3,.cairn h4{break-after:avoid;break-inside:avoid}
.cairn h2{margin-top:1.6rem}
.cairn figure,.cairn .note,.cairn .cards li,.cairn tr,.cairn svg,.cairn dt,.cairn dd{
break-inside:avoid}
.cairn thead{display:table-header-group}
.cairn caption{break-after:avoid}
.cairn .scroll{overflow:visible}
.cairn table{font-size:9pt}
.cairn svg{min-width:0;max-height:9cm}
.cairn p,.cairn li{orphans:3;widows:3}
@page{margin:18mm 16mm}
"""
_PAPER: Final = "--paper:#fff;--ink:#000;--soft:#3a3f44;--wash:#fff;--rule:#b5babf;--grid:#dfe2e5"


def style_sheet() -> str:
    """Return the style sheet."""
    light, dark = (text.replace("\n", "") for text in (_LIGHT, _DARK))
    return (
        f".cairn{{{light}}}"
        f"@media screen and (prefers-color-scheme:dark){{.cairn{{{dark}}}}}"
        f"{_SERIES}{_RULES}@media print{{.cairn{{{_PAPER}}}{_PRINT}}}"
    )
