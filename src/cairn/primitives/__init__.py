"""What every node agrees on byte for byte: encoding, hashes, signatures, Merkle structures, headers."""
