"""Errors of the pages: what cannot be drawn or would not be a sound page."""


class PageError(ValueError):
    """Something that a page or chart was given cannot be shown; the message says what."""
