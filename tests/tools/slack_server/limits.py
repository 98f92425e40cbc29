"""Slack's documented limits of blocks and views; https://docs.slack.dev/reference/block-kit."""

import json
from typing import Any

Wrong = list[str]
_TEXTS = {"plain_text", "mrkdwn"}


def message_limits(blocks: list[dict[str, Any]]) -> Wrong:
    """Every limit that a message's blocks break."""
    wrong = _blocks(blocks, most=50, inputs=False)
    if sum(len(json.dumps(block, ensure_ascii=False)) for block in blocks) > 13_200:
        wrong.append("all blocks together over 13200")
    return wrong


def view_limits(view: dict[str, Any]) -> Wrong:
    """Every limit that a modal breaks."""
    wrong = _blocks(view.get("blocks", []), most=100, inputs=True)
    if view.get("type") != "modal":
        wrong.append("a view is a modal")
    for name, most in (("title", 24), ("submit", 24), ("close", 24)):
        if name in view:
            wrong += _text(view[name], most, name, only="plain_text")
    if "title" not in view:
        wrong.append("a modal has a title")
    has_inputs = any(block["type"] == "input" for block in view.get("blocks", []))
    if has_inputs and "submit" not in view:
        wrong.append("a modal with inputs has a submit button")
    if len(view.get("private_metadata", "")) > 3000:
        wrong.append("private_metadata over 3000")
    if len(view.get("callback_id", "")) > 255:
        wrong.append("callback_id over 255")
    return wrong


def _blocks(blocks: list[dict[str, Any]], *, most: int, inputs: bool) -> Wrong:
    wrong = [] if len(blocks) <= most else [f"more than {most} blocks"]
    ids = [block["block_id"] for block in blocks if "block_id" in block]
    if len(set(ids)) != len(ids):
        wrong.append("block_id not unique")
    wrong += [f"block_id {name!r}" for name in ids if not 1 <= len(name) <= 255]
    actions: list[str] = []
    for block in blocks:
        match block["type"]:
            case "header":
                wrong += _text(block["text"], 150, "header", only="plain_text")
            case "section":
                fields = block.get("fields", [])
                if len(fields) > 10:
                    wrong.append("more than 10 fields")
                for field in fields:
                    wrong += _text(field, 2000, "field")
                if "text" in block:
                    wrong += _text(block["text"], 3000, "section")
                elif not fields:
                    wrong.append("a section without text")
            case "context":
                if not 1 <= len(block["elements"]) <= 10:
                    wrong.append("context elements must be 1 to 10")
                for element in block["elements"]:
                    wrong += _text(element, 3000, "context")
            case "actions":
                if not 1 <= len(block["elements"]) <= 25:
                    wrong.append("actions elements must be 1 to 25")
                for element in block["elements"]:
                    actions.append(f"{block.get('block_id')}/{element.get('action_id')}")
                    wrong += _element(element)
            case "input" if inputs:
                wrong += _text(block["label"], 2000, "label", only="plain_text")
                wrong += _element(block["element"])
            case "divider":
                pass
            case other:
                wrong.append(f"block {other} does not belong here")
    if len(set(actions)) != len(actions):
        wrong.append("action_id not unique within its block")
    return wrong


def _element(element: dict[str, Any]) -> Wrong:
    wrong = [] if 1 <= len(element.get("action_id", "")) <= 255 else ["action_id must be 1 to 255"]
    match element["type"]:
        case "button":
            wrong += _text(element["text"], 75, "button", only="plain_text")
            wrong += [] if len(element.get("value", "")) <= 2000 else ["button value over 2000"]
            wrong += [] if len(element.get("url", "")) <= 3000 else ["button url over 3000"]
            wrong += [] if element.get("style", "primary") in ("primary", "danger") else ["button style"]
            if "confirm" in element:
                confirm = element["confirm"]
                for name, most in (("title", 100), ("text", 300), ("confirm", 30), ("deny", 30)):
                    wrong += _text(confirm[name], most, f"confirm {name}", only="plain_text")
        case "plain_text_input":
            most = element.get("max_length", 3000)
            wrong += [] if 1 <= most <= 3000 else ["max_length"]
            wrong += [] if len(element.get("initial_value", "")) <= most else ["initial_value over max_length"]
        case "static_select":
            options = element["options"]
            wrong += [] if 1 <= len(options) <= 100 else ["options must be 1 to 100"]
            for option in options:
                wrong += _text(option["text"], 75, "option")
                wrong += [] if 1 <= len(option["value"]) <= 150 else ["option value must be 1 to 150"]
            if "initial_option" in element and element["initial_option"] not in options:
                wrong.append("initial_option is none of the options")
        case other:
            wrong.append(f"unknown element {other}")
    return wrong


def _text(text: dict[str, Any], most: int, name: str, only: str | None = None) -> Wrong:
    wrong = []
    if text["type"] not in _TEXTS or (only is not None and text["type"] != only):
        wrong.append(f"{name} must be {only or 'a text'}")
    if not 1 <= len(text["text"]) <= most:
        wrong.append(f"{name} must be 1 to {most}, is {len(text['text'])}")
    if not set(text) <= {"type", "text", "emoji", "verbatim"}:
        wrong.append(f"{name} has unknown fields")
    return wrong
