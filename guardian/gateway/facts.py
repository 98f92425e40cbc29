"""What policies of least privilege know a call by: its purpose's family and the roles of its agents.

Policies that `guardian propose` renders ask for these, and refuse nothing where they are asked by other names.
Standard library only, Python 3.10 or later; conformance vectors for other languages are in
`tests/contract/facts/vectors.json`.
"""

import re

_SEPARATOR = r"[-_.:/@#]"
_UUID = r"(?i:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
_POD = r"[0-9a-f]{8,10}-[bcdfghjklmnpqrstvwxz2456789]{5}"  # of a deployment or cron job in Kubernetes
_INSTANCE = re.compile(  # the look-ahead reads once, never anew; Python 3.10 has no other way to say so
    rf"(?<!{_SEPARATOR})(?=((?:{_SEPARATOR}+(?:{_UUID}|{_POD}|v?\d+|[0-9a-f]{{8,}})(?={_SEPARATOR}|$))+))\1$"
)

_ANY_UUID = re.compile(_UUID)
_PIECE = re.compile(r"([!-/:-@\[-`{-~]*)([^!-/:-@\[-`{-~]*)")  # ASCII punctuation, and what it joins
_NUMBERED = re.compile(r"(?![0-9a-fA-F]{7,}\Z)([A-Za-z]+)[0-9]+")  # `order5512`, but no hash


def scope_facts(purpose: str, agent: str | None, parent_agent: str | None = None) -> dict[str, str]:
    """The facts `purpose`, `role` and `parent_role` of a call, from the names in its envelope.

    `agent` is its agent's name, None or empty where it has none. `parent_agent` is that of the session which
    delegated to this one, None for a root. Where there is such a session and nobody knows its agent, take
    `parent_role` out again: a policy that lacks it must refuse (in Rego it does so by itself).

    >>> scope_facts("Review contract 7781 of Acme for renewal risk", "agent_review-07", "agent_boss")
    {'purpose': 'review contract of for renewal risk', 'role': 'agent_review', 'parent_role': 'agent_boss'}
    """
    return {
        "purpose": purpose_family(purpose),
        "role": agent_role(agent),
        "parent_role": agent_role(parent_agent),
    }


def purpose_family(purpose: str) -> str:
    """Its words in lower case, without those that hold a digit and, after the first, those that begin with a
    capital; but with these if they are more than half of the words there that have letters and no digit, as in a
    title. If nothing would be left, what is left of the words without their numbers and ids; without any the
    purpose as it is."""
    words = [(place, word) for place, word in enumerate(purpose.split()) if not any(map(str.isdigit, word))]
    later = [word for place, word in words if place > 0 and any(map(str.isalpha, word))]
    names = 2 * sum(map(_is_capital, later)) <= len(later)
    kept = [word.lower() for place, word in words if place == 0 or not (names and _is_capital(word))]
    return " ".join(kept or filter(None, map(_unnumbered, purpose.split()))) or purpose


def _is_capital(word: str) -> bool:
    return word[:1] != word[:1].lower()


def _unnumbered(word: str) -> str:
    """Its UUIDs, and of the pieces that ASCII punctuation joins those that are numbers or ids, go, with what joins
    them to what stands before; so does the joint before the first that is left. An ASCII piece with a digit keeps
    its letters where only digits follow them and it is no hexadecimal number of 7 or more, else nothing; any other
    one all but its digits. All in lower case."""
    pieces = _PIECE.findall(_ANY_UUID.sub("0", word))
    kept = [(joint, left) for joint, piece in pieces if (left := _name_in(piece))]
    return "".join(joint + left if place else left for place, (joint, left) in enumerate(kept)).lower()


def _name_in(piece: str) -> str:
    if not any(map(str.isdigit, piece)):
        return piece
    if piece.isascii():
        told = _NUMBERED.fullmatch(piece)
        return told.group(1) if told else ""
    return "".join(each for each in piece if not each.isdigit())


def agent_role(agent: str | None) -> str:
    """Its name without the numbers, versions, hashes, UUIDs and pods at its end; as it is if nothing would be
    left."""
    return _INSTANCE.sub("", agent or "") or agent or ""
