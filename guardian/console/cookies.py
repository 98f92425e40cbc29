"""What a browser keeps: never readable by scripts, never sent along from other sites' forms."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from starlette.responses import Response

_VISIT, _AFTER, _OIDC = "guardian", "guardian-after", "guardian-oidc"
_ON_THE_WAY = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Cookies:
    """`secure`: the pages come over https, so that the names can promise who set them (`__Host-`).

    Lax, because a link in an alert leads here from another site; all that changes anything is a form.
    """

    secure: bool

    def visit_in(self, cookies: Mapping[str, str]) -> str | None:
        return cookies.get(self._name(_VISIT))

    def keep_visit(self, answer: Response, secret: str) -> None:
        """Until the browser is closed; the visit ends before that by its own clock."""
        self._set(answer, _VISIT, secret, None)

    def forget_visit(self, answer: Response) -> None:
        self._set(answer, _VISIT, "", timedelta(0))

    def after_in(self, cookies: Mapping[str, str]) -> str | None:
        return cookies.get(self._name(_AFTER))

    def keep_after(self, answer: Response, path: str) -> None:
        self._set(answer, _AFTER, path, _ON_THE_WAY)

    def forget_after(self, answer: Response) -> None:
        self._set(answer, _AFTER, "", timedelta(0))

    def oidc_in(self, cookies: Mapping[str, str]) -> str:
        return cookies.get(self._name(_OIDC), "")

    def keep_oidc(self, answer: Response, kept: str) -> None:
        self._set(answer, _OIDC, kept, _ON_THE_WAY)

    def forget_oidc(self, answer: Response) -> None:
        self._set(answer, _OIDC, "", timedelta(0))

    def _name(self, name: str) -> str:
        return f"__Host-{name}" if self.secure else name

    def _set(self, answer: Response, name: str, value: str, life: timedelta | None) -> None:
        answer.set_cookie(
            self._name(name),
            value,
            max_age=None if life is None else int(life.total_seconds()),
            path="/",
            secure=self.secure,
            httponly=True,
            samesite="lax",
        )
