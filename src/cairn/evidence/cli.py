"""The command `cairn-verify`: checks a bundle against a trust file, with no node and no network.

Exit codes: 0 verified, 1 refused, 2 wrong usage.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from cairn.evidence.errors import EvidenceError, MalformedBundleError, TrustFileError
from cairn.evidence.report import error_data, error_text, report_data, report_text
from cairn.evidence.trust import load_trust
from cairn.evidence.verify import Report, verify_bundle

VERIFIED, REFUSED, USAGE = 0, 1, 2

WHY_TRUST = (
    "a bundle proves nothing by itself: whoever made it could have made the ledger, too. The trust "
    "file names the keys that you trust, and must not come from whoever handed you the bundle"
)


def verify_file(
    bundle: Path, trust: Path, *, at_ms: int | None = None, replay: bool = False
) -> Report:
    """Return the report on a bundle file.

    Args:
        bundle: The bundle.
        trust: The trust file.
        at_ms: Time of verification; None for now.
        replay: Whether to compute scores and rules again.

    Raises:
        EvidenceError: The bundle is refused, or one of the files cannot be read.
    """
    trusted = load_trust(trust)
    try:
        raw = bundle.read_bytes()
    except OSError as error:
        raise MalformedBundleError(f"{bundle} cannot be read: {error.strerror}") from error
    now_ms = time.time_ns() // 1_000_000 if at_ms is None else at_ms
    return verify_bundle(raw, trusted, at_ms=now_ms, replay=replay)


def parse_time(text: str) -> int:
    """Return the milliseconds since the epoch that `text` states: ISO 8601, UTC unless it says.

    Raises:
        ValueError: It is not a time.
    """
    if text.isascii() and text.isdigit():
        return int(text)
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return int(at.timestamp() * 1000)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(arguments)
    if options.trust is None:
        return _usage("--trust TRUST is missing", WHY_TRUST)
    at_ms = None
    if options.at is not None:
        try:
            at_ms = parse_time(options.at)
        except (ValueError, OverflowError):
            hint = "write it like 2026-03-01T12:00:00Z, or as milliseconds since 1970"
            return _usage(f"--at {options.at} is not a time", hint)
    for path in (options.file, options.trust):
        if not path.is_file():
            return _usage(f"there is no file {path}", "check the path")
    try:
        report = verify_file(options.file, options.trust, at_ms=at_ms, replay=options.replay)
    except EvidenceError as error:
        if options.json:
            sys.stdout.write(json.dumps(error_data(error), indent=1) + "\n")
        else:
            sys.stderr.write(error_text(error))
        return USAGE if isinstance(error, TrustFileError) else REFUSED
    text = json.dumps(report_data(report), indent=1) + "\n" if options.json else report_text(report)
    sys.stdout.write(text)
    return VERIFIED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cairn-verify",
        description="Check an evidence file of a Cairn ledger, offline.",
        epilog="exit codes: 0 verified, 1 refused, 2 wrong usage",
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="the evidence file")
    parser.add_argument(
        "--trust", metavar="TRUST", type=Path, help="the trust file, which you got elsewhere"
    )
    parser.add_argument("--at", metavar="TIME", help="time of verification (default: now)")
    parser.add_argument(
        "--replay", action="store_true", help="compute scores and rules again from their bytes"
    )
    parser.add_argument("--json", action="store_true", help="write the report as JSON")
    return parser


def _usage(message: str, hint: str) -> int:
    sys.stderr.write(f"error: {message}\n\nhint: {hint}\n")
    return USAGE


if __name__ == "__main__":
    sys.exit(main())
