"""Crafted signatures with the verdict that consensus needs, for the self-test at start.

The same cases, with the reasons rule by rule, are `vectors/signatures.json`; the tests make them
from fixed scalars and compare all three.
"""

from typing import NamedTuple


class SignatureCase(NamedTuple):
    """One signature: key, message, R and S in hex, and what must come out."""

    name: str
    key: str
    message: str
    r: str
    s: str
    valid: bool
    key_registrable: bool


CASES = (
    SignatureCase(
        "rfc8032_test_1",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155",
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        valid=True,
        key_registrable=True,
    ),
    SignatureCase(
        "rfc8032_test_2",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da",
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        valid=True,
        key_registrable=True,
    ),
    SignatureCase(
        "rfc8032_test_3",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac",
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
        valid=True,
        key_registrable=True,
    ),
    SignatureCase(
        "plain",
        "0f7608783489684c04726001595638e5258c2ed0bdb3d18d9e3453ea8bb458ad",
        "636173652030",
        "3e54c441927f9f0ee5e13e34f0b0404c5043651a8f4b7ef087a1c42262a85d0a",
        "b90500454db00a005547052724e85f9d326840f761a2aae67b23ca7af623770b",
        valid=True,
        key_registrable=True,
    ),
    SignatureCase(
        "other_message",
        "0f7608783489684c04726001595638e5258c2ed0bdb3d18d9e3453ea8bb458ad",
        "616e6f74686572",
        "3e54c441927f9f0ee5e13e34f0b0404c5043651a8f4b7ef087a1c42262a85d0a",
        "b90500454db00a005547052724e85f9d326840f761a2aae67b23ca7af623770b",
        valid=False,
        key_registrable=True,
    ),
    SignatureCase(
        "key_mixed_order_equation_holds",
        "c668425144eca1e8f9a8e178986f150a310e6f426cbc38a42c17a9e0c0e71982",
        "636173652033",
        "3e54c441927f9f0ee5e13e34f0b0404c5043651a8f4b7ef087a1c42262a85d0a",
        "4078e09cbce92be34fccb77ff6360cc7f01ca082e9a232779b9e6a7bbd035b0b",
        valid=True,
        key_registrable=False,
    ),
    SignatureCase(
        "key_mixed_order_cofactored_only",
        "c668425144eca1e8f9a8e178986f150a310e6f426cbc38a42c17a9e0c0e71982",
        "63617365203132",
        "3e54c441927f9f0ee5e13e34f0b0404c5043651a8f4b7ef087a1c42262a85d0a",
        "7f447155e224068289e1085f1a704fdecf8eb21cc3ea63eeb3e69beadffd5000",
        valid=False,
        key_registrable=False,
    ),
    SignatureCase(
        "r_mixed_order_cofactored_only",
        "0f7608783489684c04726001595638e5258c2ed0bdb3d18d9e3453ea8bb458ad",
        "636173652030",
        "5b61c2e3b93e6c06450f327ea72cdfeb8cde6aa020d2dd827ab3f86e708c8393",
        "b8b01b4e78f67806aa37c21bc99ecfe7a3bc5476cbfcb4a337ee238baeed8108",
        valid=False,
        key_registrable=True,
    ),
    SignatureCase(
        "key_identity",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "636173652030",
        "3e54c441927f9f0ee5e13e34f0b0404c5043651a8f4b7ef087a1c42262a85d0a",
        "2e77a7db3b2f65a47efd3cf9bbe5f05486e88756c8cc06c7691f6d5679727502",
        valid=False,
        key_registrable=False,
    ),
    SignatureCase(
        "key_order_8",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "636173652033",
        "3e54c441927f9f0ee5e13e34f0b0404c5043651a8f4b7ef087a1c42262a85d0a",
        "2e77a7db3b2f65a47efd3cf9bbe5f05486e88756c8cc06c7691f6d5679727502",
        valid=False,
        key_registrable=False,
    ),
    SignatureCase(
        "key_all_zero",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "636173652032",
        "3e54c441927f9f0ee5e13e34f0b0404c5043651a8f4b7ef087a1c42262a85d0a",
        "2e77a7db3b2f65a47efd3cf9bbe5f05486e88756c8cc06c7691f6d5679727502",
        valid=False,
        key_registrable=False,
    ),
    SignatureCase(
        "key_all_zero_r_all_zero",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "63617365203133",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000000",
        valid=False,
        key_registrable=False,
    ),
    SignatureCase(
        "key_order_8_r_order_8",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "636173652030",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "0000000000000000000000000000000000000000000000000000000000000000",
        valid=False,
        key_registrable=False,
    ),
    SignatureCase(
        "key_non_canonical_y_above_p",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "636173652030",
        "3e54c441927f9f0ee5e13e34f0b0404c5043651a8f4b7ef087a1c42262a85d0a",
        "2e77a7db3b2f65a47efd3cf9bbe5f05486e88756c8cc06c7691f6d5679727502",
        valid=False,
        key_registrable=False,
    ),
    SignatureCase(
        "key_non_canonical_negative_zero",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "636173652030",
        "3e54c441927f9f0ee5e13e34f0b0404c5043651a8f4b7ef087a1c42262a85d0a",
        "2e77a7db3b2f65a47efd3cf9bbe5f05486e88756c8cc06c7691f6d5679727502",
        valid=False,
        key_registrable=False,
    ),
    SignatureCase(
        "r_identity",
        "0f7608783489684c04726001595638e5258c2ed0bdb3d18d9e3453ea8bb458ad",
        "636173652030",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "a37cd93506b88375a615f2cd4e396f06e01a39624eb4fdef9a913fc424eab504",
        valid=False,
        key_registrable=True,
    ),
    SignatureCase(
        "r_non_canonical_y_above_p",
        "0f7608783489684c04726001595638e5258c2ed0bdb3d18d9e3453ea8bb458ad",
        "636173652030",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "7f774e8a2e1998c31f2eff24ea691361257876e38e68d5900567d53da6af0909",
        valid=False,
        key_registrable=True,
    ),
    SignatureCase(
        "r_non_canonical_negative_zero",
        "0f7608783489684c04726001595638e5258c2ed0bdb3d18d9e3453ea8bb458ad",
        "636173652030",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "7add0573a9367e6111d38cfe9bc622a817fee7f874bdfe04e96ee4a2b323d200",
        valid=False,
        key_registrable=True,
    ),
    SignatureCase(
        "s_plus_l",
        "0f7608783489684c04726001595638e5258c2ed0bdb3d18d9e3453ea8bb458ad",
        "636173652030",
        "3e54c441927f9f0ee5e13e34f0b0404c5043651a8f4b7ef087a1c42262a85d0a",
        "a6d9f5a167131d582be4fcc902e23eb2326840f761a2aae67b23ca7af623771b",
        valid=False,
        key_registrable=True,
    ),
    SignatureCase(
        "s_with_high_bits",
        "0f7608783489684c04726001595638e5258c2ed0bdb3d18d9e3453ea8bb458ad",
        "636173652030",
        "3e54c441927f9f0ee5e13e34f0b0404c5043651a8f4b7ef087a1c42262a85d0a",
        "9c7067b7d87e1e29e47787b32f8c70d6336840f761a2aae67b23ca7af62377fb",
        valid=False,
        key_registrable=True,
    ),
    SignatureCase(
        "key_off_curve",
        "0200000000000000000000000000000000000000000000000000000000000000",
        "636173652030",
        "3e54c441927f9f0ee5e13e34f0b0404c5043651a8f4b7ef087a1c42262a85d0a",
        "b90500454db00a005547052724e85f9d326840f761a2aae67b23ca7af623770b",
        valid=False,
        key_registrable=False,
    ),
)
