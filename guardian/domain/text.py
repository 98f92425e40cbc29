"""Text that others wrote, made fit to be shown."""


def shown(text: str, limit: int = 80) -> str:
    """`text` on one bounded line: control, format and bidirectional characters become U+FFFD.

    >>> shown("a\\nb" + "c" * 9, 6)
    'a�bcc…'
    """
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(c if c.isprintable() else "\ufffd" for c in cut)
