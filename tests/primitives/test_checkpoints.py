import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.primitives.checkpoints import (
    COSIGNATURE_V1,
    ED25519,
    SIGNATURES_MAX,
    Checkpoint,
    NoteError,
    NoteSignature,
    SignedNote,
    bound_header,
    checkpoint_text,
    cosign,
    header_line,
    note_bytes,
    parse_checkpoint,
    parse_note,
    parse_verifier_key,
    sign_note,
    signature_line,
    verifier_key,
    verify_cosignature,
    verify_note,
)
from cairn.primitives.signatures import SigningKey

LOG = SigningKey.from_seed(b"l" * 32)
WITNESS = SigningKey.from_seed(b"w" * 32)
ROOT = b"r" * 32
CHECKPOINT = Checkpoint("bank-abc", 7, ROOT, (header_line(9, b"h" * 32),))

# golang.org/x/mod/sumdb/note, package documentation
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "\u2014 PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotp"
    "RZb6KE6RyyBwJnAM=\n"
).encode()

# C2SP tlog-cosignature, first example
C2SP_NOTE = (
    "example.com/behind-the-sofa\n"
    "20852163\n"
    "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    "\n"
    "\u2014 example.com/behind-the-sofa "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv"
    "2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "\u2014 witness.example.com/w1 "
    "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2"
    "oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
).encode()

# transparency-dev/formats, note_cosigv1_test.go: a witness's verifier key
COSIGNER_KEY = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2"


def signed(text: str) -> SignedNote:
    return SignedNote(text, (sign_note(text, "bank-abc", LOG),))


def test_the_published_note_verifies() -> None:
    name, key = parse_verifier_key(GO_KEY, ED25519)
    note = parse_note(GO_NOTE)
    verify_note(note, name, key)
    assert note_bytes(note) == GO_NOTE
    with pytest.raises(NoteError, match="does not verify"):
        verify_note(SignedNote(note.text + "x\n", note.signatures), name, key)


def test_the_published_checkpoint_parses() -> None:
    note = parse_note(C2SP_NOTE)
    checkpoint = parse_checkpoint(note.text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint_text(checkpoint) == note.text
    assert note_bytes(note) == C2SP_NOTE
    witness = note.signatures[1]
    assert int.from_bytes(witness.signature[:8], "big") == 1679315147
    assert len(witness.signature) == 72


def test_the_published_cosigner_key_has_its_key_id() -> None:
    name, key = parse_verifier_key(COSIGNER_KEY, COSIGNATURE_V1)
    assert verifier_key(name, COSIGNATURE_V1, key) == COSIGNER_KEY
    with pytest.raises(NoteError):
        parse_verifier_key(COSIGNER_KEY, ED25519)


@pytest.mark.parametrize(
    "text",
    [
        "bananas.sigstore.dev+12344556",
        "rekor.sigstore.dev+12345678+THIS_IS_NOT_BASE64!",
        "rekor.sigstore.dev+12345678+AwEB",
        "",
        COSIGNER_KEY.replace("da77ade7", "00000000"),
        COSIGNER_KEY.replace("da77ade7", "DA77ADE7"),
        COSIGNER_KEY + "=",
    ],
)
def test_a_malformed_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        parse_verifier_key(text, COSIGNATURE_V1)


def test_a_cosignature_verifies_and_tells_its_time() -> None:
    text = checkpoint_text(CHECKPOINT)
    note = SignedNote(text, (*signed(text).signatures, cosign(text, "w.example/1", WITNESS, 77)))
    again = parse_note(note_bytes(note))
    assert again == note
    verify_note(again, "bank-abc", LOG.public_key)
    assert verify_cosignature(again, "w.example/1", WITNESS.public_key) == 77


def test_a_cosignature_covers_text_extension_line_and_time() -> None:
    text = checkpoint_text(CHECKPOINT)
    line = cosign(text, "w.example/1", WITNESS, 77)
    other = checkpoint_text(Checkpoint("bank-abc", 7, ROOT, (header_line(9, b"i" * 32),)))
    later = NoteSignature(line.name, line.key_id, (78).to_bytes(8, "big") + line.signature[8:])
    for forged in (
        SignedNote(other, (line,)),
        SignedNote(text, (later,)),
        SignedNote(text, (NoteSignature(line.name, line.key_id, line.signature[:-1]),)),
    ):
        with pytest.raises(NoteError):
            verify_cosignature(forged, "w.example/1", WITNESS.public_key)
    with pytest.raises(NoteError, match="no signature"):
        verify_cosignature(SignedNote(text, (line,)), "w.example/2", WITNESS.public_key)
    with pytest.raises(NoteError, match="no signature"):
        verify_cosignature(SignedNote(text, (line,)), "w.example/1", LOG.public_key)


def test_a_log_signature_is_no_cosignature() -> None:
    text = checkpoint_text(CHECKPOINT)
    with pytest.raises(NoteError):
        verify_cosignature(signed(text), "bank-abc", LOG.public_key)


def test_the_header_line_binds_height_and_hash() -> None:
    assert bound_header(CHECKPOINT) == (9, b"h" * 32)
    line = header_line(9, b"h" * 32)
    for extensions in (
        (),
        (line, line),
        ("header 09 " + line.split()[2],),
        ("header 0 " + line.split()[2],),
        (line[:-1],),
        (line + " ",),
        ("other",),
    ):
        with pytest.raises(NoteError):
            bound_header(Checkpoint("bank-abc", 7, ROOT, extensions))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n\n",
        b"text\n\n",
        b"text\n\nnot a signature\n",
        GO_NOTE[:-1],
        GO_NOTE.replace(b"\n\n", b"\n"),
        GO_NOTE.replace(b"PeterNeumann", b"Peter+Neumann"),
        GO_NOTE.replace(b"PeterNeumann", b""),
        GO_NOTE.replace(b"cryptography", b"crypto\x07graphy"),
        GO_NOTE.replace(b"cryptography", b"crypto\xffgraphy"),
        GO_NOTE.replace(b"JnAM=", b"JnAN="),
        GO_NOTE.replace(b"JnAM=", b"JnAM=="),
        b"a\n\n" + b"\xe2\x80\x94 n AAAA\n",
        b"a\n\n" + b"\xe2\x80\x94 n AAAAAAA=\n" * (SIGNATURES_MAX + 1),
        b"a" * 70_000 + b"\n\n\xe2\x80\x94 n AAAAAAA=\n",
    ],
)
def test_a_malformed_note_is_refused(raw: bytes) -> None:
    with pytest.raises(NoteError):
        parse_note(raw)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "o\n1\n",
        "o\n01\ncg==\n",
        "o\n-1\ncg==\n",
        "o\n1\ncg==\n",
        "o\n1\n" + "A" * 43 + "=",
        "o\n\n" + "A" * 43 + "=\n",
        "o\n1\n" + "A" * 43 + "=\n\n",
        "o\n99999999999999999999\n" + "A" * 43 + "=\n",
    ],
)
def test_a_malformed_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(NoteError):
        parse_checkpoint(text)


@given(
    st.text(st.characters(min_codepoint=0x20, exclude_categories=["Cs"]), min_size=1, max_size=30),
    st.integers(0, 2**63 - 1),
    st.binary(min_size=32, max_size=32),
)
@settings(deadline=None, max_examples=60)
def test_checkpoints_round_trip(origin: str, size: int, root: bytes) -> None:
    checkpoint = Checkpoint(origin, size, root)
    assert parse_checkpoint(checkpoint_text(checkpoint)) == checkpoint


@given(st.binary(max_size=200))
@settings(deadline=None, max_examples=200)
def test_any_bytes_are_a_note_or_refused_by_name(raw: bytes) -> None:
    try:
        note = parse_note(raw)
    except NoteError:
        return
    assert note_bytes(note) == raw


def test_lines_end_in_a_newline() -> None:
    assert signature_line(sign_note("t\n", "n", LOG)).endswith("\n")
