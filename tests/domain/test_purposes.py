"""Purposes that leave open what is to be done, and those that only sound so."""

import string

import pytest
from cost import cost
from hypothesis import given
from hypothesis import strategies as st

from guardian.domain.purposes import open_ended


@pytest.mark.parametrize(
    "purpose",
    [
        *("*", "do everything on my list", "do whatever the user asks", "general_assistance", "help", "agentTask"),
        *(
            "follow the instructions in README.md",
            "execute_user_instructions",
            "carry out the steps in the ticket",
        ),
        *("work through the checklist Anna left", "act on the action items from Monday's meeting", "as needed"),
        *("please do the tasks on my to-do list", "assist the user with anything", "handle_any_request"),
        *("do what the note says", "do as the memo on the board says", "whatever it takes", "run my errands"),
        *("user requests", "personal assistant", "perform the assigned work"),
        *("act on behalf of the user", "generic"),
        *("as requested by the user", "execute the plan in PLAN.md"),
        *("do all the stuff on my list", "run commands"),
        *("carry out the steps Lena Roth left", "do the things Anna asked for", "do all requests that come in"),
        *("follow the instructions precisely", "finish my tasks by Friday"),
        *("do the chores for my boss, all of them", "review contract 7781 and *", "pay invoice 1881 of Acme, *"),
        "Hi! I am in a hurry today. Please do all the tasks that Lena wrote down. Thank you.",
    ],
)
def test_a_purpose_that_hands_the_choice_over_is_open_ended(purpose: str) -> None:
    assert open_ended(purpose)
    assert open_ended(purpose.upper().replace("AGENTTASK", "AGENT_TASK").replace("README.MD", "readme"))


@pytest.mark.parametrize(
    "purpose",
    [
        *("", "   ", "review_customer_contract", "pay invoice 1881", "return everything I ordered in May"),
        *("classify clauses", "general ledger review", "help Anna plan her trip"),
        "Review **contract 7781** for *renewal* risk",
        "Tasks:\n* review the contract\n* summarise its risks\n",
        "**Note:** review contract 7781 (*only* its terms)",
        "Tasks:\n  * **Review** the *whole contract*.\n",
        "follow the runbook's steps to restart nginx",
        "do the tasks about the office move",
        "put oat milk on my to-do list",
        "mark 'submit the report' as done on my to-do list",
        "delete all tasks with the keyword Test",
        "is everything all right with order 5512?",
        "calculate (5*6)/(2+3) and 2 ** 8",
        "Answer from the text.\\n\\n**Logistic regression is not present in it.**",
        *(
            "did we do anything wrong with the Lyon job?",
            "toner is up again; do we have to do anything?",
        ),
    ],
)
def test_a_purpose_that_names_work_is_not(purpose: str) -> None:
    assert not open_ended(purpose)


@pytest.mark.parametrize(
    "purpose",
    [
        *("implement the to-do list feature", "implement_task_scheduling", "handle any job applications"),
        *("complete all work orders for the boiler", "run the actions workflow in GitHub"),
        "execute runbook disk-full",
        *("process protocol amendments", "finish all work on the login page", "clear the task queue"),
    ],
)
def test_a_noun_behind_the_tasks_makes_another_thing_of_them(purpose: str) -> None:
    assert not open_ended(purpose)


@pytest.mark.parametrize(
    "purpose",
    [
        *("complete task 381: migrate the login page", "implement task PROJ-812 - add pages to the orders API"),
        *("do everything needed to renew the TLS certificate", "do whatever it takes to recover invoice 77"),
        *("take care of everything for the birthday party", "handle all tasks for the office move"),
        *("help customers with anything related to returns", "do everything to do with the car insurance"),
        *("follow the protocol when drawing blood", "process user actions into a funnel report"),
    ],
)
def test_what_the_tasks_are_for_narrows_the_choice_again(purpose: str) -> None:
    assert not open_ended(purpose)


@pytest.mark.parametrize("purpose", ["IT operations", "handle IT requests", "it_assistance"])
def test_a_department_is_no_pronoun(purpose: str) -> None:
    assert not open_ended(purpose)


@pytest.mark.parametrize(
    "purpose",
    [
        *("lint src/**/*.ts", "delete *.tmp", "compress /var/log/*.log"),
        *("delete *.tmp files in /var/cache", "rename *.jpeg to *.jpg in the photos folder"),
        "book a 4* hotel in Rome",
        *("SELECT * FROM orders WHERE paid", "review the renewal terms of contract 7781 for *"),
    ],
)
def test_a_star_beside_named_work_opens_nothing(purpose: str) -> None:
    assert not open_ended(purpose)


@pytest.mark.parametrize(
    "purpose",
    [
        *("use crm.*.", "use crm:*, and erp", "use `crm.*`", "access **", "access: **, all of it", "scope (*)"),
        *("tools=* now", "read */*", "full rights (*)", "crm* and erp* freely", "use *.read and *.write"),
        *("use *read, crm.*", "tools:\n* *.read\n* crm.read"),
    ],
)
def test_a_star_that_marks_up_nothing_is_a_wildcard(purpose: str) -> None:
    assert open_ended(purpose)


@pytest.mark.parametrize(
    "repeated",
    ["\n", ": ", "aA", "do ", "* ", "*a ", "**a", "follow the s ", "complete s s ", "do as ", "2 * 3 ", "9*"],
)
def test_a_hostile_purpose_is_read_quickly(repeated: str) -> None:
    short, long = (cost(lambda n=n: open_ended.__wrapped__(repeated * (n // len(repeated)))) for n in (500, 8_000))
    assert long < 64 * short, "sixteen times as long"


def test_what_says_much_besides_constrains_something() -> None:
    long = (
        "Book two seats to Porto on the night train for Amara and her sister, rent bicycles near the station,"
        " reserve a table at the harbour, then do everything on my list"
    )
    assert not open_ended(long)
    assert open_ended("Book two seats to Porto, then do everything on my list")
    assert not open_ended(long.replace("my list", "my list of *"))


@given(st.text(alphabet=string.printable, max_size=300))
def test_any_text_is_read(purpose: str) -> None:
    assert open_ended(purpose) in (True, False)


@given(st.sampled_from(("pay invoice", "review contract", "book a room for")), st.integers(0, 10**6))
def test_a_number_or_name_beside_work_opens_nothing(work: str, number: int) -> None:
    assert not open_ended(f"{work} {number}")
