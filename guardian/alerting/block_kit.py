"""The parts of Slack's Block Kit that messages are made of, and what fits into one message. Pure.

Slack's limits: 50 blocks, header 150 characters, section text 3,000, 10 fields of 2,000, 10 context elements
(https://docs.slack.dev/reference/block-kit/blocks); our own bounds are well below. All blocks of one message
together may have 13,200 characters as JSON, or Slack refuses them (`msg_blocks_too_long`).
"""

import json
from collections.abc import Callable
from typing import Any

Block = dict[str, Any]
_MOST = 13_000
_SHARES = (1.0, 0.5, 0.25, 0.1)


def fitting(made: Callable[[float], list[Block]]) -> list[Block]:
    """The blocks that `made` makes, with the largest share of each text's room that fits into one message."""
    for share in _SHARES:
        shown = made(share)
        if sum(len(json.dumps(block, ensure_ascii=False)) for block in shown) <= _MOST:
            break
    return shown


def to_evidence(link: str) -> str:
    url = link.replace("&", "&amp;")
    return f"<{url}|Open the evidence>"


def literal(text: str) -> Block:
    """Text in which Slack looks for neither markup nor emoji names."""
    return {"type": "plain_text", "text": text, "emoji": False}


def mrkdwn(text: str) -> Block:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def section(text: str) -> Block:
    return {"type": "section", "text": mrkdwn(text)}
