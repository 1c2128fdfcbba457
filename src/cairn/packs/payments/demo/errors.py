"""Why a demo cannot go on."""

from cairn.sdk.errors import CairnError


class DemoError(CairnError):
    """The demo cannot go on with this directory or these payments, or something did not hold."""
