import doctest
import importlib
import pkgutil
import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

import guardian.signals
from guardian.domain.purposes import open_ended
from guardian.domain.text import plain
from guardian.signals.words.wording import content, only_reads, shown


@pytest.mark.parametrize(
    "name", [found.name for found in pkgutil.walk_packages(guardian.signals.__path__, "guardian.signals.")]
)
def test_the_examples_in_the_docstrings_hold(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize(
    ("tool", "reads"),
    [
        *((tool, False) for tool in ("find_and_replace", "searchThenArchive", "clear_history", "kill_query")),
        *((tool, False) for tool in ("unsubscribe_list", "trello.archive_list", "chat.clear_search_history")),
        *((tool, False) for tool in ("mailing_list.send_campaign", "distribution_list.add_member", "frobnicate")),
        *((tool, True) for tool in ("archive.search", "archive_articles_find", "restore_points_list", "db.query")),
        *((tool, True) for tool in ("CommitList", "RegisterView", "payments.history", "get_terms_and_conditions")),
        *((tool, True) for tool in ("unsubscribe_reasons_list", "mcp__crm__listContacts", "archive.list")),
    ],
)
def test_a_name_that_tells_what_is_done_to_a_list_or_a_history_tells_of_no_look_up(tool: str, reads: bool) -> None:
    assert only_reads(tool) is reads


GOT = (
    "get_run payments.get_run jira__get_run GetWorkflowRun get_refund gitlab_get_merge_request get_post getReply "
    "get_update get_export describe_change_set retrieve_charge fetch_transfer get_send_status http_get_run "
    "list_change_sets list_merge_requests gitlab_list_merge_request_notes list_deploy_keys "
    "listWorkflowRunJobs get_and_or_gates"
)
DONE = (
    "get_or_create_report get_and_send_report getAndDelete getThenPurge get_run_and_force_delete get&delete_user "
    "get_report+send_mail fetch,send_it get_delete fetch_execute cacheGetSet delete_get_run post.get_run "
    "retry_get_run run_and_get_logs history_get_run runGetLogs fetch_post http_get_post http.fetch_put_item "
    "curl_get_delete_url list_add_members list_export_contacts mailing_list_post_messages run_list_jobs "
    "waiting_list_approve_requests todo_list_change_status price_list_change_note list_and_merge_requests"
)


@pytest.mark.parametrize(("tools", "reads"), [(GOT, True), (DONE, False)])
def test_what_is_got_is_a_thing_though_it_be_called_like_an_act(tools: str, reads: bool) -> None:
    assert [tool for tool in tools.split() if only_reads(tool) is not reads] == []


@given(text=st.text(), limit=st.integers(1, 40))
def test_whatever_is_shown_is_one_short_line_without_markup(text: str, limit: int) -> None:
    said = shown(text, limit)
    assert len(said) <= limit
    assert said.isprintable()
    assert not set('<>`"&|\n') & set(said)
    assert shown(said, limit) == said


@pytest.mark.parametrize(
    "name", ["mail.\u202egnp.exe", "crm\u200b.read", "crm\x07.read", "crm\x1f.read", "a\ud800b", "a\u2028b"]
)
def test_a_name_in_a_reason_is_the_name_as_it_is_shown_elsewhere(name: str) -> None:
    assert shown(name) == plain(name, 80)


def test_many_long_purposes_take_little_memory_once_they_were_read() -> None:
    rng = random.Random(5)
    letters = ["".join(rng.choices("abcdefghijklmnopqrtuvwxyz", k=6_500)) for _ in range(200)]
    purposes = [" ".join(each[at : at + 5] for at in range(0, len(each), 5)) for each in letters]
    tracemalloc.start()
    for purpose in purposes:
        assert not open_ended(purpose)
        assert len(content(purpose)) > 1_000
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert taken < 25e6
