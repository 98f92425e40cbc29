"""Showing what came from outside: bounded, on one line, and by its kind rather than its value."""


def shown(text: str, limit: int) -> str:
    """`text` on one bounded line: control, format and bidirectional characters become U+FFFD."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(c if c.isprintable() else "\ufffd" for c in cut)


def kind(value: object) -> str:
    """What sort of JSON value it is, without the value."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case str():
            return f"a string of {len(value)} characters"
        case int() | float():
            return "a number"
        case list() | tuple():
            return f"an array of {len(value)}"
        case dict():
            return "an object"
        case _:
            return type(value).__name__
