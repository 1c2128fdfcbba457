"""What every node agrees on byte for byte: encoding, hashes, signatures, Merkle trees, headers."""
