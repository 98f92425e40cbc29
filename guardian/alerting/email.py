"""Alerts as e-mail over SMTP, with TLS unless the server is on this machine: for people and ticket systems."""

import hashlib
import re
import smtplib
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime
from typing import NamedTuple

from guardian.alerting import blocks, case_blocks, sentences
from guardian.alerting.bare import InFullOrBare
from guardian.alerting.buttons import of_no_session
from guardian.alerting.checked import seconds, secret
from guardian.alerting.delivered import Delivered, message_id
from guardian.alerting.neutralise import header
from guardian.alerting.plain_text import as_text
from guardian.alerting.port import Alert, Given, RetryLater
from guardian.alerting.rules import rank
from guardian.alerting.standing import followed_up, stands_now
from guardian.domain.finding import SEVERITIES, Effect, Finding, Kind
from guardian.domain.text import as_name, counted, moment, plain
from guardian.domain.urls import is_here
from guardian.errors import AlertError, ConfigurationError
from guardian.telemetry import logger
from guardian.wire.cutoff import within

_TLS = ("starttls", "tls", "none")
_TRIES, _MOST = 20, 1000
_ANSWERS = 3
"""A mail is an exchange of ten answers and more, few of which are slow: it may take so many times `timeout_s`."""
_REVOKE = "guardian revoke 'TENANT' 'SESSION' --reason '…': gateways that follow the list refuse its next call\n"
_REINSTATE = "guardian reinstate 'TENANT' 'SESSION' --reason '…': it may act again; that may take two people\n"
_LOOK_UP = "guardian findings FINDING: names the session, and shows what a filter may have stopped\n"
_DISMISS = "guardian dismiss FINDING --reason '…': guardian was wrong\n"
_DECIDE = """
What you can do
guardian approvals: shows all of what is asked
guardian approve ID --reason '…': it is done at once, unless not all of it can be shown
guardian deny ID --reason '…': it is not done
"""
_OURS = re.compile(r"[a-z0-9_]{1,64}")
"""An approval's id, which no agent chose."""
_log = logger("alerting")


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailOptions:
    """`tls` is starttls, tls, or none (only to a server on this machine). `password_file` goes with `username`.
    Addresses are ASCII.

    `timeout_s` bounds each answer of the server; a whole mail may take three times as long. What is less severe
    than `floor` is no mail, unless it asks for revocation or for a second person; nor is what becomes of it.
    """

    host: str
    sender: str
    recipients: tuple[str, ...]
    port: int = 587
    tls: str = "starttls"
    username: str | None = None
    password_file: str | None = None
    timeout_s: float = 10.0
    floor: str = "info"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\S+", self.host):
            raise ConfigurationError(f"alerts.email.host must be the name of a host, got {self.host!r}")
        if not 1 <= self.port <= 65_535:
            raise ConfigurationError(f"alerts.email.port must be 1 to 65535, got {self.port!r}")
        seconds("alerts.email.timeout_s", self.timeout_s)
        if self.floor not in SEVERITIES:
            raise ConfigurationError(
                f"alerts.email.floor must be one of {', '.join(SEVERITIES)}, got {self.floor!r}"
            )
        if self.tls not in _TLS or (self.tls == "none" and not is_here(self.host)):
            raise ConfigurationError(
                f"alerts.email.tls must be starttls or tls (none only to this machine), got {self.tls!r}"
            )
        if not self.recipients or isinstance(self.recipients, str):
            raise ConfigurationError("alerts.email.recipients must be a list that names somebody")
        for address in (self.sender, *self.recipients):
            try:
                Address(addr_spec=address)
            except (ValueError, IndexError) as error:
                raise ConfigurationError(f"alerts.email: {address!r} is no address") from error
            if not address.isascii():  # a server without SMTPUTF8 takes a mail to it from nobody, for nobody
                raise ConfigurationError(
                    f"alerts.email: {address!r} is not ASCII; write a domain as xn--…, or give an alias"
                )
        if self.username is not None and not re.fullmatch("[ -~]+", self.username):
            raise ConfigurationError(f"alerts.email.username must be ASCII, got {self.username!r}")
        if (self.username is None) != (self.password_file is None):
            raise ConfigurationError("alerts.email: username and password_file go together")

    def open(self, given: Given) -> "EmailChannel":
        file = self.password_file
        password = "" if file is None else secret("alerts.email.password_file", file)
        return EmailChannel(self, password, now=given.now)


class _Rest(NamedTuple):
    """Of a mail that some recipients have: who still has to get it, and how often that was tried."""

    recipients: tuple[str, ...]
    tries: int


class EmailChannel:
    """One mail per alert; its Message-ID is the same when it is sent again, and a thread holds a case together.
    What became of many cases by one act stands by itself."""

    name = "email"

    def __init__(self, options: EmailOptions, password: str, *, now: Callable[[], datetime]) -> None:
        self._options, self._password, self._now = options, password, now
        self._delivered, self._in_full_or_bare = Delivered(), InFullOrBare()
        self._rest: dict[str, _Rest] = {}

    def deliver(self, alert: Alert) -> str:
        if not self.shows(alert.finding):
            return self._delivered.note(alert, f"no mail: less severe than {self._options.floor}")
        name = _name(alert, self._options.sender)
        before = self._rest.pop(name, None)
        asked = tuple(dict.fromkeys(self._options.recipients)) if before is None else before.recipients
        try:
            refused = self._in_full_or_bare(alert, lambda told: self._refused(told, alert, asked))
        except smtplib.SMTPResponseException as error:
            raise AlertError(f"{self._options.host} refuses the mail: {error.smtp_code}") from None
        except smtplib.SMTPNotSupportedError as error:
            raise AlertError(f"{self._options.host}: {plain(str(error), 120)}") from None
        except RetryLater:
            self._keep(name, before)
            raise
        self._sort_out(name, before, asked, refused)
        return self._delivered.note(alert, name)

    def shows(self, finding: Finding) -> bool:
        """Whether there is a mail of it, and so of what becomes of it."""
        return not _is_below(self._options.floor, finding)

    def _refused(self, alert: Alert, full: Alert, asked: tuple[str, ...]) -> dict[str, int]:
        """Who was refused, with which code. A server that hangs up before it has the mail puts everybody off.

        Raises AlertError where the text is refused, RetryLater, and where something else is, which another text
        would not change, SMTPResponseException (5xx) or SMTPNotSupportedError (STARTTLS, say).
        """
        message, met = mail(alert, self._options.sender, self._options.recipients, full), False
        message["Date"] = format_datetime(self._now())
        try:
            with within(_ANSWERS * self._options.timeout_s):
                server = self._connected()
                met = True
                try:
                    told = server.send_message(message, to_addrs=asked)
                except smtplib.SMTPRecipientsRefused as error:
                    told = dict.fromkeys(asked, (421, b"")) | error.recipients
                finally:
                    with suppress(
                        smtplib.SMTPException, OSError
                    ):  # whatever it says now, it has the mail or has not
                        server.quit()
                    server.close()
        except smtplib.SMTPResponseException as error:
            of_text = isinstance(error, smtplib.SMTPDataError)
            if not 500 <= error.smtp_code < 600:
                raise RetryLater(f"{self._options.host}: {error.smtp_code}", perhaps_refused=of_text) from None
            if of_text:
                raise AlertError(f"{self._options.host} refuses the mail: {error.smtp_code}") from None
            raise
        except smtplib.SMTPNotSupportedError:
            raise
        except (smtplib.SMTPException, OSError) as error:
            told_of = f"{type(error).__name__}: {plain(str(error), 120)}"
            raise RetryLater(f"{self._options.host}: {told_of}", perhaps_refused=met) from None
        return {address: code for address, (code, _) in told.items()}

    def _sort_out(
        self, name: str, before: "_Rest | None", asked: tuple[str, ...], refused: dict[str, int]
    ) -> None:
        """Recipients who were put off (grey-listing, a full mailbox) are tried again for some hours; no others."""
        later = tuple(address for address in asked if refused.get(address, 500) < 500)
        if before is None and len(refused) == len(asked):  # nobody has it
            if later:
                raise RetryLater(f"{self._options.host} puts off {', '.join(later)}")
            raise AlertError(f"{self._options.host} refuses every recipient")
        tries = 1 if before is None else before.tries + 1
        again = later if tries < _TRIES and len(self._rest) < _MOST else ()
        gone = [address for address in asked if address in refused and address not in again]
        if gone:
            _log.error("mail_refused", host=self._options.host, recipients=gone)
        if again:
            self._rest[name] = _Rest(again, tries)
            raise RetryLater(f"{self._options.host} puts off {', '.join(again)}")

    def _keep(self, name: str, rest: "_Rest | None") -> None:
        if rest is not None:
            self._rest[name] = rest

    def find(self, alert: Alert) -> str | None:
        return self._delivered.find(alert)

    def _connected(self) -> smtplib.SMTP:
        options, context = self._options, ssl.create_default_context()
        if options.tls == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                options.host, options.port, timeout=options.timeout_s, context=context
            )
        else:
            server = smtplib.SMTP(options.host, options.port, timeout=options.timeout_s)
        try:
            if options.tls == "starttls":
                server.starttls(context=context)
            if options.username is not None:
                server.login(options.username, self._password)
        except BaseException:
            server.close()
            raise
        return server


class _Whole(EmailPolicy):
    """The library encodes a subject word by word, and Python 3.11 loses the spaces between. Ids that have no room
    on a line, as of a long domain, it encodes too (RFC 2047, 5 forbids that), and no program finds the thread."""

    def fold_binary(self, name: str, value: str) -> bytes:
        if name in ("References", "In-Reply-To"):
            return f"{name}: {f'{self.linesep} '.join(value.split())}{self.linesep}".encode("ascii")
        if name != "Subject" or value.isascii():
            return super().fold_binary(name, value)
        folded = Header(value, "utf-8", header_name=name).encode(linesep=self.linesep)
        return f"{name}: {folded}{self.linesep}".encode("ascii")


_WHOLE = _Whole()


def mail(alert: Alert, sender: str, recipients: tuple[str, ...], full: Alert | None = None) -> EmailMessage:
    """The alert as a message in plain text, without markup; of what agents wrote `unlinked` says what a mail
    program may make a link. Its `Date` is when it is sent. `full` is the alert of which this is what is `bare`: it
    has that one's id and place."""
    full = full or alert
    message = EmailMessage(_WHOLE)
    became, digest = alert.became, alert.digest
    by = "" if became is None else f"by {header(became.by, 80)}"
    line = sentences.one_line(alert, header, 120, by)
    if became is not None and digest is not None:
        cases = f"{counted(digest.total, 'case')} of {header(as_name(digest.tenant_id), 80)}"
        line = f"{stands_now(became)} · {cases} · {header(became.what, 120)} · {by}"
    elif became is not None:
        line = f"{stands_now(became)} · {line}"
    message["Subject"] = f"[guardian] {line.replace(' · ', ' - ')}"  # in ASCII it needs no encoded words
    message["From"], message["To"] = sender, ", ".join(recipients)
    message["Message-ID"] = _name(full, sender)
    message["Auto-Submitted"] = "auto-generated"
    if became is not None and digest is not None:
        message.set_content(as_text(case_blocks.gathered(alert, became, digest)))
        return message
    thread = hashlib.sha256(alert.case.encode()).hexdigest()[:32]
    message["References"] = f"<case-{thread}@{_domain(sender)}>"
    if became is not None:
        first = _name(full.model_copy(update={"became": None}), sender)
        message["In-Reply-To"] = first
        message.replace_header("References", f"{message['References']} {first}")
        message.set_content(as_text(followed_up(alert, became)))
        return message
    text = f"{as_text(blocks.in_full(alert, names=blocks.WHOLE))}\nFound {moment(alert.finding.time)}\n"
    message.set_content(text + ("" if alert.link else _acts(alert)))
    return message


def _is_below(floor: str, finding: Finding) -> bool:
    asks = finding.wanted is Effect.REVOKE or (finding.kind is Kind.CONTROL and "approval" in finding.versions)
    return not asks and rank(finding.severity) < rank(floor)


def _name(alert: Alert, sender: str) -> str:
    return f"<{message_id(alert)}@{_domain(sender)}>"


def _domain(address: str) -> str:
    return address.rpartition("@")[2]


def _acts(alert: Alert) -> str:
    """What to type where no link leads to buttons. The names stand above: no shell is to read them from here. They
    may have spaces and signs that a shell would act on, hence the quotes."""
    if alert.finding.kind is Kind.CONTROL:
        approval = alert.finding.versions.get("approval", "")
        return _DECIDE.replace("ID", approval) if _OURS.fullmatch(approval) else ""
    if alert.nameless:
        return f"\nWhat you can do\n{_LOOK_UP}{_DISMISS}"
    session = _REINSTATE if alert.outcome.effect is Effect.REVOKE else _REVOKE
    return f"\nWhat you can do\n{'' if of_no_session(alert.finding) else session}{_DISMISS}"


plugin = EmailOptions
