"""The process that checks signatures: frames of (key, message, signature) in, a byte for each out.

A frame is four big-endian bytes of length and its content. The process ends when its input does, so
it never outlives the node.
"""

import sys
from typing import BinaryIO

import msgspec

from cairn.primitives.signatures import self_test, verify_many

LENGTH_SIZE_BYTES = 4

_decoder = msgspec.msgpack.Decoder(list[tuple[bytes, bytes, bytes]])


def read_frame(stream: BinaryIO) -> bytes | None:
    """Return the next frame's content, or None at the end of the stream."""
    header = stream.read(LENGTH_SIZE_BYTES)
    if len(header) < LENGTH_SIZE_BYTES:
        return None
    size = int.from_bytes(header, "big")
    content = stream.read(size)
    return content if len(content) == size else None


def write_frame(stream: BinaryIO, content: bytes) -> None:
    """Write one frame and flush it."""
    stream.write(len(content).to_bytes(LENGTH_SIZE_BYTES, "big") + content)
    stream.flush()


def main() -> None:
    """Serve frames from standard input until it ends."""
    self_test()
    source, target = sys.stdin.buffer, sys.stdout.buffer
    while (frame := read_frame(source)) is not None:
        write_frame(target, bytes(verify_many(_decoder.decode(frame))))


if __name__ == "__main__":
    main()
