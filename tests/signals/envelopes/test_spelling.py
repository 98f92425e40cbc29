"""The same place in another spelling is inside, what only may be the same is a doubt, and no trick is either's."""

from collections.abc import Callable
from typing import Any

import pytest

from guardian.domain.signal import Observation, ParentFact, ParentStatus
from guardian.signals.delegation_widening import DelegationWidening
from guardian.signals.envelope_breach import EnvelopeBreach
from guardian.signals.envelopes import comparing, rules
from guardian.signals.envelopes.admitting import admits, may_admit, unsure
from guardian.signals.words.constraints import read
from guardian.signals.words.leaves import comparable

Observe = Callable[..., Observation]
Breaches = Callable[..., dict[str, bool]]
OUTSIDE, UNCHECKED = {"resource_outside_constraints": True}, {"arguments_unchecked": False}

SAME = [
    ("path", "src/*", "./src/a.py"),
    ("path", "./src/*", "src//a.py"),
    ("path", "./*", "src/a.py"),
    ("path", "./*.py", "a.py"),
    ("path", "/workspace/src/*", "/workspace//src/a.py"),
    ("path", "/workspace/src/*", "/workspace/./src/a.py"),
    ("path", "/workspace/src/*", "file:///workspace/src/a.py"),
    ("path", "/workspace/src/*", "file:/workspace/./src/my report.py"),
    ("path", "file:///workspace/src/*", "/workspace/src/a.py"),
    ("path", "/srv/data", "/srv/data/"),
    ("path", "/srv/data/", "/srv/data"),
    ("path", "/srv//data", "/srv/data"),
    ("path", "C:/jobs/*", "c:/jobs/a.txt"),
    ("path", "c:/jobs/*", "C:/jobs/./a.txt"),
    ("path", "C:/jobs/*", "file:///c:/jobs/a.txt"),
    ("path", "src/**/*.py", "src/a.py"),
    ("path", "src/**/*.py", "./src/b/a.py"),
    ("path", "**/test/**/*.py", "test/a.py"),
    ("path", "./**/*.ts", "a.ts"),
    ("working_directory", "/srv/data", "/srv/./data/"),
    ("domain", "acme.example", "ACME.example"),
    ("domain", "Acme.example", "acme.example"),
    ("domain", "acme.example", "https://acme.example/x"),
    ("domain", "acme.example", "https://ACME.example:443"),
    ("domain", "*.Acme.example", "https://www.acme.example/a/b?c=d#e"),
    ("host", "db.acme.example:5432", "DB.acme.example:5432"),
    ("origin", "https://acme.example", "https://acme.example:443/"),
    ("url", "https://acme.example/*", "HTTPS://ACME.example/a"),
    ("url", "https://acme.example/*", "https://acme.example:443/a"),
    ("url", "HTTP://Acme.example:80/*", "http://acme.example/a"),
    ("url", "https://acme.example", "https://acme.example/"),
    ("url", "https://acme.example/", "https://acme.example"),
    ("url", "https://acme.example*", "https://ACME.example/a"),
    ("iban", "DE89370400440532013000", "DE89 3704 0044 0532 0130 00"),
    ("creditor_iban", "de89 3704 0044 0532 0130 00", "DE89370400440532013000"),
    ("phone", "+49301234567", "+49 30 123-4567"),
    ("phone_number", "+49 30 1234567", "+49301234567"),
    ("recipient", "ann@acme.example", "mailto:ann@acme.example"),
    ("recipient", "*@acme.example", "MAILTO:Ann@ACME.example"),
]

MAY_BE = [
    ("path", "C:\\jobs\\*", "C:/jobs/a.txt"),
    ("path", "C:/jobs/*", "c:\\jobs\\a.txt"),
    ("path", "/workspace/src/*", "/workspace\\src\\a.py"),
    ("path", "/workspace/src/*", "/workspace/s%72c/a.py"),
    ("path", "/workspace/my src/*", "file:///workspace/my%20src/a.py"),
    ("path", "/srv/data", "/srv/data/x.csv"),
    ("path", "/srv/data/", "/srv/data/2026/x.csv"),
    ("path", "src", "./src/a.py"),
    ("path", ".", "src/a.py"),
    ("path", "./", "src/a.py"),
    ("path", "/", "/srv/data"),
    ("path", "src/*", "/workspace/src/a.py"),
    ("path", "src", "/workspace/src/a.py"),
    ("path", "README.md", "/workspace/README.md"),
    ("path", "src/*", "c:/jobs/src/a.py"),
    ("path", "/workspace/src/*", "src/a.py"),
    ("path", "/workspace/src", "src/a.py"),
    ("domain", "acme.example", "acme.example."),
    ("domain", "acme.example.", "acme.example"),
    ("domain", "acme.example", "https://acme.example:8443/x"),
    ("domain", "acme.example", "https://bob@acme.example/x"),
    ("domain", "acme.example", "https://evil.example@acme.example/x"),
    ("domain", "acme.example", "//acme.example/x"),
    ("host", "db.acme.example", "db.acme.example:5432"),
    ("host", "db.acme.example:5432", "db.acme.example"),
    ("origin", "https://acme.example", "acme.example"),
    ("url", "https://acme.example/*", "https://acme.example./a"),
    ("url", "https://acme.example", "https://acme.example/docs/a"),
    ("url", "https://acme.example/docs", "https://acme.example/docs/a"),
    ("repo", "acme/shop", "Acme/Shop"),
    ("repo", "Acme/Shop", "acme/shop"),
    ("repo", "acme/shop", "acme/shop.git"),
    ("repo", "acme/shop", "https://github.com/acme/shop"),
    ("repo", "acme/shop", "git@github.com:acme/shop.git"),
    ("repo", "acme/shop", "https://gitlab.com/Acme/shop/tree/main"),
    ("repo", "https://github.com/acme/shop", "acme/shop"),
    ("repository", "acme/*", "ssh://git@github.com/acme/shop.git"),
    ("account", "DE89370400440532013000", "DE89 3704 0044 0532 0130 00"),
    ("phone", "+49301234567", "0049 (0)30 / 123.4567"),
    ("phone", "+49301234567", "tel:+49301234567"),
    ("recipient", "ann@acme.example", "Ann Lee (ann@acme.example)"),
    ("recipient", "*@acme.example", "Dr. Ann-Marie Lee (ann@acme.example)"),
    ("contract_id", "c_1", "contract/c_1"),
    ("contract_id", "c_1", "/v1/contracts/c_1"),
    ("contract_id", "c_1", "urn:acme:contract:c_1"),
    ("contract_id", "urn:acme:contract:c_1", "c_1"),
    ("contract", "c_1", "contracts/c_1"),
    ("customer_contract_id", "c_1", "contract:c_1"),
    ("contract_id", "c_1", "C_1"),
    ("issue_key", "ACME-12", "acme-12"),
    ("channel", "#support", "support"),
    ("channel", "support", "#support"),
    ("ticket_id", "4471", "#4471"),
]

ANOTHER = [
    *(("path", "src/*", told) for told in ("./../src/a.py", "src/../etc/a", "./src/../../etc", "/etc/passwd")),
    *(("path", "src/*", told) for told in ("//evil.example/src/a.py", "\\\\evil.example\\src\\a", "~/src")),
    *(("path", "src/*", told) for told in ("https://evil.example/src/a", "file://evil.example/src/a")),
    *(("path", "src/*", told) for told in ("/w/src/%2e%2e/x", "/w/src/..\\x", "./lib/a.py", "file:///src/../x")),
    *(("path", "./*", told) for told in ("/etc/passwd", "../a", "%2fetc", "\u200b/etc", "./.\u200b./a")),
    *(("path", "./*", told) for told in ("root@evil.example:/etc/x", "10.0.0.5:/x", "c%3a/windows", "--exec=/x")),
    ("path", "~/docs/*", "./~/docs/a"),
    *(("path", "./*.py", told) for told in ("/etc/a.py", "../a.py")),
    *(("path", "/srv/data", told) for told in ("/srv/database", "/srv", "/srv/data/../keys", "/srv/data/..")),
    *(("path", "/srv/data", told) for told in ("/srv/data/x, /etc/passwd", "/srv/data/x /etc/passwd")),
    *(("path", "/srv/data/*", told) for told in ("//srv/data/x", "/srv/.;x/data/a", "/srv/./data/x;/etc/b")),
    *(
        ("path", "/srv/data", told)
        for told in ("/srv/Data", "/srv/data\u200b", "/srv/d\u0430ta", "/" + "a/" * 300)
    ),
    ("path", "src/**/*.py", "lib/a.py"),
    ("path", "a/**/b/**/c/**/d/**/e", "a/b/c/d/f"),
    ("path", "/srv/*/", "/srv/a.txt"),
    ("path", "*/src", "src"),
    *(("domain", "acme.example", told) for told in ("evil.example", "https://acme.example@evil.example/x")),
    *(
        ("domain", "acme.example", told)
        for told in ("https://acme.example:x@evil.example", "acme.example:1@evil.io")
    ),
    *(
        ("domain", "acme.example", told)
        for told in ("https://evil.io/acme.example", "https://evil.io#acme.example")
    ),
    *(("domain", "acme.example", told) for told in ("https://evil.io\\@acme.example/", "acme.example.evil.io")),
    *(
        ("domain", "acme.example", told)
        for told in ("https://acme.example/x,https://evil.io/y", "acme.example evil")
    ),
    *(("domain", "acme.example", told) for told in ("https://acme.example%2eevil.io/", "xn--cme-7cd.example")),
    *(
        ("domain", "kim.example", told)
        for told in ("\u212aim.example", "\uff4bim.example", "https://\u212aim.example/")
    ),
    *(
        ("domain", "acme.example", told)
        for told in ("\u0430cme.example", "acme\u3002example", "evil.io://acme.example")
    ),
    ("host", "db.acme.example:5432", "db.acme.example:6379"),
    *(
        ("url", "https://acme.example/*", told)
        for told in ("http://acme.example/a", "https://acme.example:8443/a")
    ),
    *(("url", "https://acme.example/*", told) for told in ("https://acme.example@evil.io/a", "https://evil.io/a")),
    *(("url", "https://acme.example/*", told) for told in ("https://bob@acme.example/a", "https://acme.example:")),
    *(
        ("url", "https://acme.example/docs/*", told)
        for told in ("HTTPS://acme.example/docs/../a", "ftp://x/docs/a")
    ),
    ("url", "https://acme.example/docs", "https://acme.example/docs/%2e%2e/admin"),
    *(
        ("repo", "acme/shop", told)
        for told in ("https://evil.example/acme/shop", "evil/shop", "acme/shop-2", "shop")
    ),
    *(("repo", "acme/shop", told) for told in ("acme/shop/../till", "https://github.com/acme/../evil/shop")),
    ("repo", "github.com/acme/shop", "gitlab.com/acme/shop"),
    ("iban", "DE89370400440532013000", "DE89 3704 0044 0532 0130 01"),
    ("iban", "DE89370400440532013000", "DE89370400440532013000 NO9386011117947"),
    ("phone", "+49301234567", "+49 30 1234568"),
    *(
        ("recipient", "ann@acme.example", f"mailto:{told}")
        for told in ("eve@evil.io", "ann@acme.example?cc=e@evil.io")
    ),
    *(
        ("recipient", "ann@acme.example", f"{told} (ann@acme.example)")
        for told in ("eve@evil.io", "<e@evil.io>", "@")
    ),
    ("recipient", "ann@acme.example", "Ann (eve@evil.io)"),
    *(
        ("contract_id", "c_1", told)
        for told in ("contract/c_9", "invoice/c_1", "https://evil.io/contract/c_1", "#c_9")
    ),
    ("contract_id", "urn:acme:contract:c_1", "urn:globex:contract:c_1"),
    ("contract_id", "c_1", "contract/../c_1"),
    ("account_id", "0015gXYZabcDEFG", "0015gxyzabcdefg"),
    ("branch", "main", "MAIN"),
    ("id", "c_1", "contract/c_1"),
]


@pytest.mark.parametrize(
    ("name", "allowed", "told", "found"),
    [
        *((*case, {}) for case in SAME),
        *((*case, UNCHECKED) for case in MAY_BE),
        *((*case, OUTSIDE) for case in ANOTHER),
    ],
)
def test_the_same_place_is_inside_and_what_may_be_the_same_a_doubt(
    observe: Observe, breaches: Breaches, name: str, allowed: str, told: str, found: dict[str, bool]
) -> None:
    constraints = {f"{name}s": [allowed, "zz-other"]}
    seen = observe(
        envelope__resource_constraints=constraints, action__arguments={name: told}, action__resource=None
    )
    assert breaches(EnvelopeBreach(), seen) == found


@pytest.mark.parametrize(
    ("resource", "found"),
    [("contract/c_1", UNCHECKED), ("urn:acme:contract:c_1", UNCHECKED), ("c_1", {}), ("invoice/c_1", OUTSIDE)],
)
def test_a_resource_of_authzen_may_repeat_its_type(
    observe: Observe, breaches: Breaches, resource: str, found: dict[str, bool]
) -> None:
    seen = observe(
        envelope__resource_constraints={"contract_ids": ["c_1"]},
        action__arguments={},
        action__resource={"type": "contract", "id": resource},
    )
    assert breaches(EnvelopeBreach(), seen) == found


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"owner": "Acme", "repo": "shop"}, UNCHECKED),
        ({"owner": "acme", "repo": "shop.git"}, UNCHECKED),
        ({"owner": "acme", "repo": "shop"}, {}),
        ({"owner": "evil", "repo": "Shop"}, OUTSIDE),
    ],
)
def test_an_owner_beside_a_repository_may_be_spelt_otherwise_too(
    observe: Observe, breaches: Breaches, arguments: dict[str, str], found: dict[str, bool]
) -> None:
    constraints = {"repos": ["acme/shop", "github.com/acme/x/y"]}
    seen = observe(envelope__resource_constraints=constraints, action__arguments=arguments, action__resource=None)
    assert breaches(EnvelopeBreach(), seen) == found


def test_what_may_be_allowed_is_told_with_what_is(observe: Observe, folded: Any) -> None:
    seen = observe(
        envelope__resource_constraints={"repos": ["acme/shop"]},
        action__arguments={"repo": "Acme/Shop"},
        action__resource=None,
    )
    _, (signal,) = folded(EnvelopeBreach(), [seen])
    told = "arguments.repo is Acme/Shop, which may be allowed in another spelling; repos allows acme/shop"
    assert (signal.value, signal.reason) == (0.1, told)


def test_what_is_not_compared_any_more_is_not_taken_for_another_spelling() -> None:
    allowed = frozenset({"src/*"})
    assert may_admit(allowed, "/w/src/a", "path")
    with comparing.bounded() as allowance:
        assert not admits(allowed, "/w/src/a", "path")
        allowance.left = 0
        assert not may_admit(allowed, "/w/src/a", "path"), "whoever pads a call makes no doubt of a fact"


def test_of_many_values_outside_not_all_are_read_in_other_spellings(observe: Observe) -> None:
    told = [f"/w/src/{n}" for n in range(rules._LIKENED + 2)]
    seen = observe(action__arguments={"path": told}, action__resource=None)
    found = [each.sure for each in rules.refused(read({"paths": ["src/*"]}), comparable(seen))]
    assert found == [False] * rules._LIKENED + [True] * 2


@pytest.mark.parametrize(
    ("said", "name", "found"),
    [
        ("./acme/a,globex/b", "path", True),
        ("./acme/a/x.py", "path", False),
        ("https://ACME.example/x", "domain", False),
        ("./lib/a,globex/b", "path", False),
    ],
)
def test_whether_a_value_may_list_others_goes_by_the_spelling_in_which_it_is_admitted(
    said: str, name: str, found: bool
) -> None:
    assert unsure(frozenset({"acme/*", "acme.example"}), said, name) is found


@pytest.mark.parametrize(
    ("held", "granted", "found"),
    [
        ({"paths": ["./src/*"]}, {"paths": ["src/*"]}, {}),
        ({"paths": ["src/b/"]}, {"paths": ["./src/**/*"]}, {}),
        ({"domains": ["Docs.acme.example"]}, {"domains": ["docs.acme.example"]}, {}),
        ({"paths": ["/workspace/src/a.py"]}, {"paths": ["/workspace/src"]}, {"wider_unclear": False}),
        ({"repos": ["Acme/Shop"]}, {"repos": ["acme/shop"]}, {"wider_unclear": False}),
        ({"paths": ["*"]}, {"paths": ["./*"]}, {"wider_resources": True}),
        ({"paths": ["*.py"]}, {"paths": ["./*.py"]}, {"wider_resources": True}),
        ({"paths": ["*/x"]}, {"paths": ["."]}, {"wider_resources": True}),
        ({"paths": ["/*/src/*"]}, {"paths": ["src/*"]}, {"wider_resources": True}),
        ({"paths": ["/workspace/src/../a"]}, {"paths": ["/workspace/src"]}, {"wider_resources": True}),
        ({"domains": ["*.example"]}, {"domains": ["acme.example"]}, {"wider_resources": True}),
        ({"repos": ["Acme/Shop", "evil/shop"]}, {"repos": ["acme/shop"]}, {"wider_resources": True}),
    ],
)
def test_a_child_that_spells_its_parents_places_otherwise_is_no_wider(
    observe: Observe, breaches: Breaches, held: dict[str, Any], granted: dict[str, Any], found: dict[str, bool]
) -> None:
    whole = {**granted, "kept": ["a", "b"]}
    above = observe(envelope__session_id="parent", envelope__resource_constraints=whole).event.envelope
    seen = observe(
        envelope__resource_constraints={**held, "kept": ["a"]},
        facts={"parent": ParentFact(ParentStatus.ACTIVE, above, ("parent",))},
        envelope__session_id="child",
        envelope__parent_session_id="parent",
        envelope__allowed_tools=["contracts.read"],
    )
    told = breaches(DelegationWidening(), seen)
    assert {name: hard for name, hard in told.items() if name.startswith("wider")} == found
    renewed = breaches(
        DelegationWidening(),
        observe(envelope__resource_constraints=granted),
        observe(envelope__resource_constraints=held),
    )
    assert renewed == {name.replace("wider", "reissued"): hard for name, hard in found.items()}
