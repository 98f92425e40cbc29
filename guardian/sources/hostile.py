"""What may be said about values that came from outside, without quoting them."""

from collections.abc import Iterable


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


def agents_own(names: Iterable[str]) -> bool:
    """Whether an object with these keys is a JSON-RPC message as an agent sent it. Then everything in it is the
    agent's word. Servers in Go read `Jsonrpc` too, so capitals change nothing."""
    return any(name.casefold() == "jsonrpc" for name in names)
