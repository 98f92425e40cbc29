"""Every decision point keeps the port's promises; those over HTTP keep them whatever the other end does."""

import dataclasses
import json
import re
import socket
import ssl
import struct
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from nginx import certified
from serving import Reply
from until import until

from guardian.bootstrap import plugins
from guardian.commands import doctor
from guardian.config import load
from guardian.errors import ConfigurationError
from guardian.policy.cases import read_cases, run_cases
from guardian.policy.facts import facts
from guardian.policy.files import PolicyFiles
from guardian.policy.floor import Floor
from guardian.policy.http_line import MOST_BYTES
from guardian.policy.port import BudgetFacts, EvidenceFacts
from guardian.policy.remote import RemotePoint

POLICIES = Path(__file__).parents[2] / "config" / "policies"
CASES = [case for case in read_cases((POLICIES / "cases.yaml").read_text(), POLICIES) if case.role == "monitor"]
TOKEN = "s3cret-of-guardian"
EVERY = plugins.names("policy")

REMOTE = [name for name in EVERY if issubclass(plugins.find("policy", name), RemotePoint)]


def made(name, url, **more):
    given = {"clock": time.monotonic, "new_id": lambda: uuid.uuid4().hex, "timeout_s": 10.0, "token": TOKEN}
    return plugins.make("policy", name, {"url": url}, **{**given, **more})


@pytest.fixture(params=EVERY)
def point(request):
    """One decision point with the shipped policies, or their like, behind it. A new one needs a line here."""
    match request.param:
        case "cedar":
            return plugins.find("policy", "cedar").from_files(PolicyFiles.read(POLICIES))
        case "opa":
            return made("opa", request.getfixturevalue("rego_server").url)
        case "authzen":
            return made("authzen", request.getfixturevalue("authzen_server").url)
    pytest.fail(f"no server is set up here for the decision point {request.param!r}")


def test_what_policy_permits_is_permitted_by_name(point, auto_revoke):
    decision = point.decide(auto_revoke)
    assert decision.allowed
    assert decision.policy_ids == ("monitor-may-revoke-on-strong-evidence",)
    assert decision.reasons[decision.policy_ids[0]]
    assert decision.errors == ()


def test_what_nothing_permits_is_denied_without_an_error(point, auto_revoke):
    decision = point.decide(dataclasses.replace(auto_revoke, evidence=EvidenceFacts()))
    assert (decision.allowed, decision.policy_ids, decision.errors) == (False, (), ())


def test_the_monitor_gets_what_the_cases_promise(point):
    results = run_cases(point, CASES)
    wrong = [each.case.name for each in results if each.decision.allowed != (each.case.expect == "allow")]
    assert wrong == []


def test_asking_again_gives_the_same_answer(point, auto_revoke):
    assert point.decide(auto_revoke) == point.decide(auto_revoke)


def test_the_version_is_one_line_and_names_something(point, auto_revoke):
    point.decide(auto_revoke)
    assert re.fullmatch(r"[!-~][ -~]{3,299}", point.version)


def test_absurd_numbers_neither_crash_nor_permit(point, auto_revoke):
    for number in (10**30, -(10**30)):
        evidence = EvidenceFacts(one_in=number, session_evidence_milli=number, independent_signals=number)
        assert point.decide(dataclasses.replace(auto_revoke, evidence=evidence)).allowed is (number > 0)
        budget = BudgetFacts(total=10, reserved=3, used=number, used_general=number)
        assert point.decide(dataclasses.replace(auto_revoke, budget=budget)).allowed is (number < 0)


@pytest.mark.parametrize("name", ['a"b', "a\\b", "ü\n", "\u202e", "a/b", "*", "%2F", "\U0001f600"])
def test_hostile_names_reach_nobody_else(point, auto_revoke, name):
    asker = dataclasses.replace(auto_revoke.asker, id=name, tenants=frozenset({name}))
    session = dataclasses.replace(auto_revoke.session, session_id=name)
    assert not point.decide(dataclasses.replace(auto_revoke, asker=asker, session=session)).allowed or name == "*"
    own = dataclasses.replace(auto_revoke, asker=asker, session=session, tenant_id=name)
    assert point.decide(own).allowed


def _http_answer(body, *headers, status="200 OK", kind="application/json"):
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def _length(number):
    return f"Content-Length: {number}"


ALLOW = b'{"result": true, "decision": true}'


def _waits(connection, over):
    over.wait(10)


def _drips_its_body(connection, over):
    connection.sendall(_http_answer(b'{"result"', _length(5000)))
    _drips(connection, over, b" ")


def _drips_its_head(connection, over):
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    _drips(connection, over, b"a")


def _drips(connection, over, drop):
    while not over.wait(0.01):
        connection.sendall(drop)


def _never_ends(connection, over):
    connection.sendall(_http_answer(b"", "Transfer-Encoding: chunked"))
    while not over.is_set():
        connection.sendall(b"400\r\n" + b" " * 1024 + b"\r\n")


def _resets(connection, over):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _closes(connection, over):
    pass


def _truncates(connection, over):
    connection.sendall(_http_answer(ALLOW, _length(len(ALLOW) + 1)))


def _speaks_something_else(connection, over):
    connection.sendall(b"SSH-2.0-OpenSSH_9.2 \x1b[31m\r\n")


class Passing:
    """Whoever waits for it moves the clock on, by half a second each time."""

    def __init__(self, over, clock):
        self._over, self._clock = over, clock

    def wait(self, seconds):
        self._clock.now += 0.5
        return self._over.wait(seconds)


SILENT = {
    "waits": (_waits, 0.1, "within 100 ms"),
    "drips its body": (_drips_its_body, 10, "within 10000 ms"),
    "drips its head": (_drips_its_head, 10, "within 10000 ms"),
    "resets": (_resets, 10, "broke off"),
    "closes": (_closes, 10, "broke off"),
    "truncates": (_truncates, 10, "broke off"),
    "speaks something else": (_speaks_something_else, 10, "speaks no HTTP"),
}


def times_asked(pdp):
    """Who asks may have given up before the server has read the question."""
    return len(until(lambda: pdp.asked))


def denied_with_one_line(point, request, expected):
    decision = point.decide(request)
    assert not decision.allowed
    (told,), (error,) = decision.errors, decision.causes
    assert re.fullmatch(r"(OPA|the AuthZEN PDP) gave no answer (in time|that counts)", told)
    assert expected in error
    assert error.isprintable()
    assert len(error) < 400
    assert TOKEN not in error
    assert TOKEN not in repr(point)


@pytest.mark.parametrize("name", REMOTE)
@pytest.mark.parametrize("kind", SILENT)
def test_one_that_gives_no_whole_answer_in_time_denies_is_asked_once_and_then_left_alone(
    name, kind, serve_raw, auto_revoke, hand_clock
):
    behave, timeout_s, expected = SILENT[kind]
    pdp = serve_raw(lambda connection, over: behave(connection, Passing(over, hand_clock)))
    point = made(name, pdp.url, timeout_s=timeout_s, rest_s=30, clock=hand_clock)
    denied_with_one_line(point, auto_revoke, expected)
    denied_with_one_line(point, auto_revoke, "not asked, because a moment ago it")
    assert times_asked(pdp) == 1


@pytest.mark.parametrize("name", REMOTE)
def test_one_that_never_stops_is_cut_off(name, serve_raw, auto_revoke):
    denied_with_one_line(made(name, serve_raw(_never_ends).url), auto_revoke, f"more than {MOST_BYTES} bytes")


@pytest.mark.parametrize("name", REMOTE)
def test_one_that_is_gone_denies(name, auto_revoke):
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))  # nobody listens there, and nobody else can take it meanwhile
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        denied_with_one_line(made(name, url), auto_revoke, "cannot be reached")


@pytest.mark.parametrize("name", REMOTE)
def test_one_that_does_not_speak_tls_where_https_was_said_denies(name, serve_raw, auto_revoke):
    url = serve_raw(_speaks_something_else).url.replace("http:", "https:")
    denied_with_one_line(made(name, url), auto_revoke, "cannot be reached")


KIND = ("Content-Type", "application/json")
WRONG = {
    "a page": (ALLOW, {"headers": (("Content-Type", "text/html"),)}, "not labelled application/json"),
    "no label": (ALLOW, {"headers": ()}, "not labelled application/json"),
    "two labels": (ALLOW, {"headers": (KIND, KIND)}, "not labelled"),
    "elsewhere": (ALLOW, {"status": 307, "headers": (("Location", "/v2"),)}, "points elsewhere"),
    "an error": (ALLOW, {"status": 500}, "answered 500"),
    "created": (ALLOW, {"status": 201}, "answered 201"),
    "no entry": (ALLOW, {"status": 401}, "token"),
    "zipped": (
        ALLOW,
        {"headers": (KIND, ("Content-Encoding", "gzip"))},
        "encoding",
    ),
    "a megabyte": (ALLOW + b" " * 2**20, {}, f"more than {MOST_BYTES} bytes"),
    "half": (ALLOW[:-1], {}, "sound JSON"),
    "twice": (
        b'{"result": false, "decision": false, "decision": true, "result": true}',
        {},
        "occurs twice in one object",
    ),
    "not a number": (b'{"result": true, "decision": true, "x": NaN}', {}, "is not one that JSON can carry"),
    "beyond all numbers": (
        b'{"result": true, "decision": true, "x": 1e999}',
        {},
        "is not one that JSON can carry",
    ),
    "deep": (b"[" * 60_000, {}, "nested more than 64 levels"),
    "not utf-8": (b'{"decision": true, "result": true, "x": "\xff"}', {}, "sound JSON"),
    "bare": (b"true", {}, "no object"),
    "a list": (b"[true]", {}, "no object"),
    "nothing": (b"", {}, "sound JSON"),
    "a string": (b'{"result": "true", "decision": "true"}', {}, "boolean"),
    "a one": (b'{"result": 1, "decision": 1}', {}, "boolean"),
    "null": (b'{"result": null, "decision": null}', {}, "boolean"),
}


@pytest.mark.parametrize("name", REMOTE)
@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_answer_denies_and_the_next_request_is_asked_again(name, kind, serve, auto_revoke):
    body, more, expected = WRONG[kind]
    answers = iter([Reply(body, **more), Reply(ALLOW)])
    pdp = serve(lambda _: next(answers))
    point = made(name, pdp.url)
    denied_with_one_line(point, auto_revoke, expected)
    assert len(pdp.asked) == 1
    assert point.decide(auto_revoke).allowed


@pytest.mark.parametrize("name", REMOTE)
def test_an_answer_to_another_request_denies(name, serve, auto_revoke):
    kind = ("Content-Type", "application/json; charset=utf-8")
    honest = serve(lambda asked: Reply(ALLOW, headers=(kind, ("X-Request-ID", asked.headers["X-Request-ID"]))))
    assert made(name, honest.url).decide(auto_revoke).allowed
    lying = serve(lambda _: Reply(ALLOW, headers=(kind, ("X-Request-ID", "another"))))
    denied_with_one_line(made(name, lying.url), auto_revoke, "another request than this one")


@pytest.mark.parametrize("name", REMOTE)
def test_a_redirect_takes_neither_facts_nor_token_elsewhere(name, serve, auto_revoke):
    elsewhere = serve(lambda _: Reply(ALLOW))
    moved = serve(lambda _: Reply(b"{}", status=308, headers=(("Location", elsewhere.url),)))
    denied_with_one_line(made(name, moved.url), auto_revoke, "points elsewhere")
    assert elsewhere.asked == []
    assert moved.asked[0].headers["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize("name", REMOTE)
def test_after_its_rest_it_is_asked_again_and_an_answer_ends_the_trouble(name, serve_raw, auto_revoke, hand_clock):
    healthy = threading.Event()

    def behave(connection, over):
        if healthy.is_set():
            connection.sendall(_http_answer(ALLOW, _length(len(ALLOW)), "Connection: close"))

    pdp = serve_raw(behave)
    point = made(name, pdp.url, clock=hand_clock, rest_s=2.0)
    denied_with_one_line(point, auto_revoke, "broke off")
    hand_clock.now = 1.9
    denied_with_one_line(point, auto_revoke, "not asked")
    hand_clock.now = 2.1
    denied_with_one_line(point, auto_revoke, "broke off")
    healthy.set()
    denied_with_one_line(point, auto_revoke, "not asked")
    hand_clock.now = 4.2
    assert point.decide(auto_revoke).allowed
    assert point.decide(auto_revoke).allowed
    assert len(pdp.asked) == 4


def test_while_one_caller_tries_again_the_others_do_not_wait(serve_raw, auto_revoke, hand_clock):
    trying, go_on, first = threading.Event(), threading.Event(), threading.Event()

    def behave(connection, over):
        if not first.is_set():
            first.set()
            return
        trying.set()
        go_on.wait(10)
        connection.sendall(_http_answer(ALLOW, _length(len(ALLOW)), "Connection: close"))

    point = made("opa", serve_raw(behave).url, clock=hand_clock, rest_s=2.0)
    denied_with_one_line(point, auto_revoke, "broke off")
    hand_clock.now = 3.0
    tried = []
    caller = threading.Thread(target=lambda: tried.append(point.decide(auto_revoke).allowed))
    caller.start()
    assert trying.wait(10)
    denied_with_one_line(point, auto_revoke, "not asked")
    go_on.set()
    caller.join()
    assert tried == [True]
    point.close()


@pytest.mark.parametrize("name", REMOTE)
def test_a_certificate_that_nobody_vouches_for_denies(name, serve_tls, auto_revoke):
    url, ca = serve_tls(ALLOW)
    denied_with_one_line(made(name, url), auto_revoke, "cannot be reached")
    assert made(name, url, ca=ca).decide(auto_revoke).allowed


@pytest.mark.parametrize("name", REMOTE)
def test_one_that_a_renewed_ca_vouches_for_is_believed_without_a_restart(name, serve_tls, auto_revoke, tmp_path):
    url, ca = serve_tls(ALLOW)
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(certified(tmp_path, "of-before")[0].read_bytes())
    point = made(name, url, ca=str(bundle), rest_s=0)
    denied_with_one_line(point, auto_revoke, "cannot be reached")
    bundle.write_bytes(Path(ca).read_bytes())
    assert point.decide(auto_revoke).allowed


@pytest.fixture
def serve_tls(tmp_path, whole_request):
    """A server with a certificate of its own making, and that certificate's file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pdp")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file, key_file = tmp_path / "ca.pem", tmp_path / "key.pem"
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key_file)
    listener = socket.create_server(("127.0.0.1", 0))
    threads = []

    def started(body):
        def serve():
            for _ in range(2):
                connection, _ = listener.accept()
                try:
                    with context.wrap_socket(connection, server_side=True) as secured:
                        whole_request(secured)
                        secured.sendall(_http_answer(body, _length(len(body)), "Connection: close"))
                except OSError:
                    connection.close()

        threads.append(threading.Thread(target=serve, daemon=True))
        threads[-1].start()
        return f"https://127.0.0.1:{listener.getsockname()[1]}", str(file)

    yield started
    listener.close()
    for thread in threads:
        thread.join(timeout=5)


@pytest.mark.parametrize("name", REMOTE)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"url": "http://pdp.example:8181"}, "must be https"),
        ({"url": "ftp://127.0.0.1"}, "must be https"),
        ({"url": "https://user:pw@pdp.example"}, "user name or password"),
        ({"url": "https://user:pw@pdp.example:x/?y"}, "user name or password"),
        ({"url": "https://pdp.example/?token=two words"}, "must be like"),
        ({"url": "https://"}, "must be like"),
        ({"url": "https://pdp.example:99999"}, "must be like"),
        ({"url": f"https://{'a' * 80}.example"}, "must be like"),
        ({"url": "https://pdp.example/\r\nX: y"}, "must be like"),
        ({"url": 8181}, "url is text"),
        ({"plain_http": "perhaps"}, "true or false"),
        ({"timeout_s": "fast"}, "timeout_s: Input should be a valid number"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"timeout_s": 60}, "timeout_s"),
        ({"rest_s": -1}, "rest_s"),
        ({"grace_s": -1}, "grace_s"),
        ({"grace_s": 3601}, "grace_s"),
        ({"ca": "/does/not/exist.pem"}, "no certificates"),
        ({"token": "two words"}, "policy.options.token"),
        ({"token": "line\r\nX-Other: 1"}, "policy.options.token"),
        ({"tokn": "x"}, "unknown option 'tokn'"),
    ],
)
def test_an_option_that_cannot_be_is_refused_at_start_without_its_secrets(name, options, message):
    given = {"clock": time.monotonic, "new_id": lambda: "1"}
    with pytest.raises(ConfigurationError, match=re.escape(message)) as refused:
        plugins.make("policy", name, {"url": "https://pdp.example", **options}, **given)
    assert "pw@" not in str(refused.value)
    assert "two words" not in str(refused.value)


@pytest.mark.parametrize("name", REMOTE)
def test_plain_http_to_another_machine_has_to_be_asked_for(name):
    given = {"clock": time.monotonic, "new_id": lambda: "1"}
    point = plugins.make("policy", name, {"url": "http://pdp.example:8181", "plain_http": True}, **given)
    assert "http://pdp.example:8181" in point.version


def test_the_facts_are_plain_json_without_floats_and_lose_nothing(auto_revoke, rebuilt):
    for case in read_cases((POLICIES / "cases.yaml").read_text(), POLICIES):
        told = json.loads(json.dumps(facts(case.request)), parse_float=pytest.fail)
        on_call = case.request.on_call & {case.request.asker.id}
        assert rebuilt(told) == dataclasses.replace(case.request, on_call=on_call)


def test_a_fact_that_json_would_tell_in_another_way_is_a_bug_and_not_sent(auto_revoke):
    rounded = dataclasses.replace(auto_revoke, budget=BudgetFacts(total=1.5))
    with pytest.raises(TypeError, match="no fact is a float"):
        facts(rounded)


def test_two_tenants_with_the_same_session_id_are_two_resources(auto_revoke):
    def resource(tenant, session):
        named = dataclasses.replace(auto_revoke.session, session_id=session)
        return facts(dataclasses.replace(auto_revoke, tenant_id=tenant, session=named))["resource"]["id"]

    names = [("acme", "s"), ("globex", "s"), ("a/b", "c"), ("a", "b/c"), ("a%2Fb", "c"), ("\ud800", "c")]
    assert len({resource(*name) for name in names}) == len(names)


def test_beneath_any_of_them_the_floor_holds(point, auto_revoke):
    floor = plugins.find("policy", "cedar").from_files(PolicyFiles.read(POLICIES))
    both = Floor(point, floor)
    assert both.decide(auto_revoke).allowed
    assert not both.decide(dataclasses.replace(auto_revoke, mode="shadow")).allowed


@pytest.mark.parametrize("floor", [True, False])
def test_the_doctor_asks_an_external_decision_point_one_question_and_says_whether_it_answers(rego_server, floor):
    def found(url, **more):
        options = {"url": url, "token": TOKEN, "timeout_s": 5.0, **more}
        policy = {"language": "opa", "floor": floor, "options": options}
        settings = load(None, overrides={"policy": policy})
        return next(check for check in doctor.examine(settings, "serve") if check.name == "policy")

    answers = found(rego_server.url)
    assert answers.ok, answers
    assert "the decision point answers" in answers.found
    empty = found(f"{rego_server.url}", path="guardian/nosuch")
    assert not empty.ok
    assert "denies the monitor to read changes" in empty.found
    away = found("http://127.0.0.1:9")
    assert not away.ok
    assert "gives no answer" in away.found
    assert "policy.options" in away.mend
