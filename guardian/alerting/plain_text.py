"""Slack blocks as plain text: for mail, terminals and previews. Pure."""

import html
import re
from collections.abc import Iterable, Sequence
from typing import Any

from guardian.alerting.block_kit import Block
from guardian.alerting.neutralise import unlinked

_LINK = re.compile(r"<(https?://[^|>]+)\|([^>]*)>")
_BOLD = re.compile(r"\*([^*\n]+)\*")
_CALL = re.compile(r"<!subteam\^(\w+)>|<@(\w+)>")


def as_text(blocks: Sequence[Block]) -> str:
    """One paragraph per block, buttons in brackets, links spelt out; no markup is left."""
    return "\n\n".join(part for block in blocks if (part := "\n".join(_lines(block)).strip())) + "\n"


def _lines(block: Block) -> Iterable[str]:
    match block["type"]:
        case "header":
            title = unlinked(_plain(block["text"]))  # Slack makes no link in a header, mail programs do
            yield from (title, "=" * min(len(title), 78))
        case "section":
            if "text" in block:
                yield _plain(block["text"])
            for field in block.get("fields", []):
                yield _plain(field).replace("\n", ": ", 1)
        case "context":
            yield from (_plain(element) for element in block["elements"])
        case "actions":
            yield "  ".join(f"[ {element['text']['text']} ]" for element in block["elements"])
        case _:
            return


def _plain(text: dict[str, Any]) -> str:
    told = str(text["text"])
    if text["type"] == "plain_text":
        return told
    told = _LINK.sub(r"\2: \1", told)
    told = _CALL.sub(lambda call: f"@{call.group(1) or call.group(2)}", told)
    spans = told.split("`")  # every other one is code, of which a star is a part
    spans[::2] = [_BOLD.sub(r"\1", span) for span in spans[::2]]
    return html.unescape("".join(spans))
