"""policy check, policy test, policy explain: what guardian itself may do, and why."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from guardian.cli.asking import ControlOption, Tenant, client, one_line, show_unheard_session, show_unheard_tenant
from guardian.cli.common import FAULT, ConfigOption, JsonOption, print_json, settings_from
from guardian.domain.text import counted
from guardian.errors import ConfigurationError, PolicyError
from guardian.policy.port import PolicyAction
from guardian.wire.policies import PolicyExplanation
from guardian.wire.principal import ROLES, Role

Folder = Annotated[
    Path | None, typer.Argument(help="Folder of *.cedar files; absent: the one that the configuration names.")
]

_LONGEST = 500
_SAID = frozenset({"asker", "action", "tenant_id"})


def register(app: typer.Typer) -> None:
    policy = typer.Typer(no_args_is_help=True, help="Check, test and explain what guardian itself may do.")
    policy.command()(check)
    policy.command("test")(put_to_the_cases)
    policy.command()(explain)
    app.add_typer(policy, name="policy")


def check(folder: Folder = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check that policies parse, fit their schema and have names; list them, and say which acts nobody may do.

    Example: guardian policy check my-policies/
    """
    from guardian.cli.tables import plain, show_rows
    from guardian.policy.cases import read_cases
    from guardian.policy.cedar import CedarPolicies, barred
    from guardian.policy.files import CASES, PolicyFiles

    place = _folder(folder, config)
    files = PolicyFiles.read(place)
    policies = CedarPolicies.from_files(files)
    cases = 0 if files.cases is None else len(read_cases(files.cases, place / CASES))
    nobody_may = policies.nobody_may()
    if as_json:
        listed = [
            {"id": each.id, "effect": each.effect, "why": each.why, "place": each.place}
            for each in policies.clauses
        ]
        told = {"folder": place, "version": policies.version, "cases": cases, "policies": listed}
        print_json({**told, "nobody_may": nobody_may})
        return
    show_rows(
        ("policy", "effect", "why", "where"),
        [
            (plain(each.id), each.effect, plain(each.why), plain(_relative(each.place, place)))
            for each in policies.clauses
        ],
        whole={"policy"},
    )
    found, are = (
        counted(len(policies.clauses), "policy", "policies"),
        "is" if len(policies.clauses) == 1 else "are",
    )
    typer.echo(f"{found} in {place} {are} sound, version {policies.version}; {counted(cases, 'case')}")
    if nobody_may:
        typer.echo(barred(nobody_may), err=True)


def put_to_the_cases(folder: Folder = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Put the policies to the must-allow and must-deny cases beside them (cases.yaml); exit code 1 if one fails.

    Example: guardian policy test my-policies/
    """
    from guardian.cli.tables import plain, show_rows
    from guardian.policy.cases import read_cases, run_cases
    from guardian.policy.cedar import CedarPolicies
    from guardian.policy.files import CASES, PolicyFiles

    place = _folder(folder, config)
    files = PolicyFiles.read(place)
    if files.cases is None:
        raise PolicyError(f"{place} has no {CASES}: write down what must be allowed and what must be denied")
    policies = CedarPolicies.from_files(files)
    results = run_cases(policies, read_cases(files.cases, place / CASES))
    failed = [each for each in results if not each.passed]
    if as_json:
        listed = [
            {
                "name": each.case.name,
                "expect": each.case.expect,
                "decided_by": sorted(each.case.decided_by),
                "passed": each.passed,
                "allowed": each.decision.allowed,
                "policy_ids": each.decision.policy_ids,
                "errors": each.decision.errors,
            }
            for each in results
        ]
        print_json({"folder": place, "version": policies.version, "failed": len(failed), "cases": listed})
    else:
        if failed:
            rows = [(plain(each.case.name), plain(each.complaint)) for each in failed]
            show_rows(("case", "what came out"), rows, whole=())
        held = len(results) - len(failed)
        cases = f"{held} of {counted(len(results), 'case')} hold"
        typer.echo(f"{cases} for the policies in {place}, version {policies.version}")
    if failed:
        raise typer.Exit(FAULT)


def explain(
    tenant: Tenant,
    session: Annotated[str | None, typer.Argument(help="The session's id; absent: about the tenant.")] = None,
    action: Annotated[
        PolicyAction, typer.Option(metavar="<action>", help="What is to be done, such as revoke or setMode.")
    ] = "revoke",
    role: Annotated[
        Role, typer.Option(metavar="<role>", help=f"Who would do it: {', '.join(ROLES)}.")
    ] = "monitor",
    config: ControlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask the running control API: may the monitor revoke this session now, and which policy decides?

    Nothing is done by asking.

    Example: guardian policy explain tenant_acme sess_42
    """
    with client(config) as control:
        told = control.explain(tenant, session, action=action, role=role)
    if session is None:
        show_unheard_tenant(told)
    else:
        show_unheard_session(tenant, session, unheard=told.unheard)
    if as_json:
        print_json(told)
    else:
        for line in in_words(told):
            typer.echo(line)


def in_words(told: PolicyExplanation) -> Iterator[str]:
    """The answer as lines: a sentence, the policies that decide with their why, the facts that were shown."""
    about = _line(told.tenant_id if told.session_id is None else f"{told.session_id} of {told.tenant_id}")
    if told.allowed:
        answer = "Yes"
    elif told.needs_approval:
        answer = "Not alone; with a second person's approval, yes"
    else:
        answer = "No"
    yield f"May the {_line(told.role)} {_line(told.action)} {about}? {answer}."
    if told.errors:
        yield "Policy could not decide, which counts as no:"
        yield from (f"  {_line(error)}" for error in told.errors)
    elif not told.policy_ids:
        yield "The decision point names no policy." if told.allowed else "No policy permits it."
        yield from (f"  {_line(why)}" for why in told.reasons.values())
    else:
        yield "Permitted by" if told.allowed else "Refused by"
        yield from (f"  {_line(name)}: {_line(told.reasons.get(name, ''))}" for name in told.policy_ids)
    yield f"Policy version {_line(told.policy_version)} was shown:"
    yield from (f"  {name} = {_line(value)}" for name, value in _flat(told.facts))


def _flat(facts: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, str]]:
    """Facts by their dotted names; what the sentence says already is left out."""
    for name, value in facts.items():
        if not within and name in _SAID:
            continue
        match value:
            case None:
                pass
            case Mapping():
                yield from _flat(value, f"{within}{name}.")
            case list() | tuple():
                yield f"{within}{name}", ", ".join(map(str, value)) or "none"
            case _:
                yield f"{within}{name}", str(value)


def _line(text: str) -> str:
    """What agents and other systems wrote stays on its line."""
    return one_line(text[:_LONGEST])


def _folder(folder: Path | None, config: Path | None) -> Path:
    if folder is not None:
        if not folder.is_dir():
            raise ConfigurationError(f"{folder}: no such folder")
        if not any(folder.glob("*.cedarschema")):
            raise ConfigurationError(
                f"{folder} has no *.cedarschema, for policies are read as one set: copy these beside those of"
                " config/policies/, and name that folder"
            )
        return folder
    from guardian.bootstrap.policies import policy_folder

    return policy_folder(settings_from(config, required=False))


def _relative(place: str, folder: Path) -> str:
    return place.removeprefix(f"{folder}/")
