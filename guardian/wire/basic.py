"""How an OAuth client shows its secret to a token endpoint."""

from urllib.parse import quote_plus

import httpx


def client_auth(client_id: str, client_secret: str) -> httpx.BasicAuth:
    """HTTP Basic, each part encoded before it is encoded (RFC 6749, 2.3.1): a server decodes both again."""
    return httpx.BasicAuth(quote_plus(client_id), quote_plus(client_secret))
