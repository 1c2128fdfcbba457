"""Forged bundles: named attacks kept as vectors, generated ones, and noise; all refused by name."""

import json
import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.evidence.bundle import decode_bundle
from cairn.evidence.errors import EvidenceError
from cairn.evidence.trust import dump_trust, load_trust
from cairn.evidence.verify import verify_bundle
from tests.evidence.attacks import attacks
from tests.evidence.chain import WITNESS
from tests.evidence.forger import EXPECTED, field_of, forgeries, refusal
from tests.evidence.story import bundle_of, told

VECTORS = Path(__file__).parent.parent.parent / "vectors"
FORGED = VECTORS / "forged"
BUNDLES = VECTORS / "bundles"
NAMES = tuple(name for name in told().bundles if name != "fork")
SHARE = int(os.environ.get("CAIRN_FORGERIES_SHARE", "40"))
"""One generated forgery of so many is tried; 1 tries all of them, in about a minute."""


def at_ms() -> int:
    return told().source.view.time_ms


# Vectors


def forged_files() -> dict[str, bytes]:
    """Return the files of `vectors/forged`: bundles, trust files and an index."""
    files: dict[str, bytes] = {}
    trusts: dict[str, str] = {}
    index = []
    for one in attacks():
        text = dump_trust(one.trust)
        trust = trusts.setdefault(text, f"trust-{len(trusts) + 1}.json")
        files[trust] = text.encode()
        files[f"{one.name}.cairn"] = one.bundle
        index.append(
            {
                "name": one.name,
                "about": one.about,
                "bundle": f"{one.name}.cairn",
                "trust": trust,
                "at_ms": at_ms(),
                "replay": one.replay,
                "code": f"evidence/{one.code}",
            }
        )
    files["index.json"] = (json.dumps(index, indent=1) + "\n").encode()
    return files


LEFT_OUT = (
    "payment_returned",
    "payment_expired",
    "payment_open",
    "payment_of_several",
    "payment_by_second_version",
    "payment_with_new_key",
    "payment_by_second_rule",
    "period_whole",
)
"""Honest bundles that show no more than others, and are big."""


def honest_files() -> dict[str, bytes]:
    """Return the files of `vectors/bundles`: one or more bundles of each kind of claim."""
    honest = told()
    kept = {name: raw for name, raw in honest.bundles.items() if name not in LEFT_OUT}
    files = {f"{name}.cairn": raw for name, raw in kept.items()}
    trust = honest.story.chain.trust((WITNESS,))
    files["trust.json"] = dump_trust(trust).encode()
    index = []
    for name, raw in kept.items():
        report = verify_bundle(raw, trust, at_ms=at_ms(), replay=True)
        index.append(
            {
                "name": name,
                "bundle": f"{name}.cairn",
                "trust": "trust.json",
                "at_ms": at_ms(),
                "claim": report.claim,
                "findings": list(report.findings),
                "assurance": report.assurance.word,
            }
        )
    files["index.json"] = (json.dumps(index, indent=1) + "\n").encode()
    return files


@pytest.mark.vectors
@pytest.mark.parametrize(("folder", "make"), [(FORGED, forged_files), (BUNDLES, honest_files)])
def test_the_vectors_are_what_the_story_makes(folder: Path, make: object) -> None:
    assert callable(make)
    files = make()
    if os.environ.get("CAIRN_VECTORS") == "write":
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            path.unlink()
        for name, content in files.items():
            (folder / name).write_bytes(content)
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert sorted(found) == sorted(files), "make vectors writes them"
    changed = [name for name, content in files.items() if found[name] != content]
    assert changed == [], "has the format moved?"


def index_of_attacks() -> dict[str, dict[str, object]]:
    """Return the index of `vectors/forged` by name; read anew, since a run may rewrite it."""
    path = FORGED / "index.json"
    entries = json.loads(path.read_text()) if path.is_file() else []
    return {entry["name"]: entry for entry in entries}


@pytest.mark.vectors
@pytest.mark.parametrize("name", sorted(index_of_attacks()))
def test_a_named_attack_is_refused_by_its_name(name: str) -> None:
    entry = index_of_attacks()[name]
    trust = load_trust(FORGED / str(entry["trust"]))
    raw = (FORGED / str(entry["bundle"])).read_bytes()
    moment = entry["at_ms"]
    assert isinstance(moment, int)
    with pytest.raises(EvidenceError) as caught:
        verify_bundle(raw, trust, at_ms=moment, replay=bool(entry["replay"]))
    assert caught.value.code == entry["code"]


def test_an_attack_that_only_a_replay_finds_passes_without_one() -> None:
    hidden = [one for one in attacks() if one.replay]
    assert len(hidden) >= 4
    for one in hidden:
        verify_bundle(one.bundle, one.trust, at_ms=at_ms(), replay=False)


def test_there_are_many_named_attacks() -> None:
    names = [one.name for one in attacks()]
    assert len(names) == len(set(names))
    assert len(names) >= 80
    assert all(one.about.endswith(".") for one in attacks())


# Generated forgeries


def refused_as(raw: bytes) -> str | None:
    """Return why a bundle is refused, None if it is accepted; no other error may leave."""
    trust = told().story.chain.trust((WITNESS,), threshold=1)
    try:
        verify_bundle(raw, trust, at_ms=at_ms(), replay=True)
    except EvidenceError as error:
        return refusal(error)
    return None


@pytest.mark.parametrize("name", NAMES)
def test_generated_forgeries_are_refused(name: str) -> None:
    honest = told()
    place = NAMES.index(name)
    others = [honest.bundles[NAMES[(place + step) % len(NAMES)]] for step in (1, -1)]
    raw = honest.bundles[name]
    tried = 0
    for number, (forgery, forged) in enumerate(forgeries(raw, others)):
        if (number + place) % SHARE or forged == raw:
            continue
        tried += 1
        code = refused_as(forged)
        if code is None:
            # What is accepted is the one honest bundle of another claim that holds as well.
            claim = decode_bundle(forged).claim
            assert bundle_of(honest.source, claim) == forged, forgery
        else:
            assert code in EXPECTED[field_of(forgery)], f"{forgery}: {code}"
    assert tried >= 400 // SHARE


# Noise


@given(noise=st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(EvidenceError):
        verify_bundle(noise, told().story.chain.trust(), at_ms=0)


@given(
    name=st.sampled_from(NAMES),
    place=st.integers(min_value=0),
    length=st.integers(min_value=0, max_value=9),
    noise=st.binary(max_size=9),
)
@settings(max_examples=300, deadline=None)
def test_a_bundle_with_noise_in_it_is_refused(
    name: str, place: int, length: int, noise: bytes
) -> None:
    honest = told()
    raw = honest.bundles[name]
    start = place % len(raw)
    forged = raw[:start] + noise + raw[start + length :]
    if forged == raw:
        return
    if refused_as(forged) is None:
        assert bundle_of(honest.source, decode_bundle(forged).claim) == forged


_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.binary(max_size=40)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=6),
    max_leaves=30,
)


@given(value=st.lists(_values, max_size=12))
@settings(max_examples=200, deadline=None)
def test_any_other_value_is_refused(value: list[object]) -> None:
    with pytest.raises(EvidenceError):
        verify_bundle(msgspec.msgpack.encode(value), told().story.chain.trust(), at_ms=0)
