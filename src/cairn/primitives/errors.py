"""Errors of the primitives: each says which promise about bytes was broken."""


class PrimitiveError(Exception):
    """Root of everything the primitives raise about bytes that come from outside."""


class NonCanonicalError(PrimitiveError):
    """The bytes are not the one canonical spelling of a value of the expected type."""


class InvalidKeyError(PrimitiveError):
    """The bytes or text are not a public key of a supported type."""


class InvalidSignatureError(PrimitiveError):
    """The signature does not verify under the key over the message."""


class ProofError(PrimitiveError):
    """A Merkle or trie proof does not lead to the stated root."""


class HeaderError(PrimitiveError):
    """A header, commit or validator set is malformed or does not carry a quorum."""


class FixedPointError(PrimitiveError):
    """A fixed-point operation left its stated range."""


class InvalidNameError(PrimitiveError):
    """The text is not a name that people may choose for an object."""


class SelfTestError(Exception):
    """The pinned signature library does not give the verdicts that consensus rests on."""


class TrieNodeError(Exception):
    """A stored node of the state trie is missing or malformed: the store is damaged."""
