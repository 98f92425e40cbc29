"""Debian's nginx with a configuration of ours, and certificates for it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from ports import listens, port_of, reserve
from until import until

EXAMPLES = Path(__file__).parents[2] / "config" / "examples" / "nginx"


@contextmanager
def nginx(folder: Path, site: str, **told: str) -> Iterator[str]:
    """Its address, while it runs `site` with what is `told` in place of @NAMES@; it logs to `folder`/error.log.

    Skips the test where it is not installed.
    """
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed (apt-get install nginx-light); CI installs it")
    with reserve() as held:
        port = port_of(held)
        for name, value in {"LISTEN": f"127.0.0.1:{port}", **told}.items():
            site = site.replace(f"@{name}@", value)
        (folder / "site.conf").write_text(site)
        user = "user root root;" if os.geteuid() == 0 else ""  # its workers must reach the test's folder
        (folder / "nginx.conf").write_text(
            f"{user} daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;\n"
            "events {}\n"
            f"http {{ access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;\n"
            f"fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n"
            f"include {folder}/site.conf; }}\n"
        )
        command = [program, "-c", str(folder / "nginx.conf"), "-p", str(folder), "-e", str(folder / "error.log")]
        process = subprocess.Popen(command)
        try:
            until(lambda: process.poll() is not None or listens(port))
            assert process.poll() is None, (folder / "error.log").read_text()
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)


def certified(folder: Path, name: str) -> tuple[Path, Path]:
    """Files of a certificate for localhost that vouches for itself, and of its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now, day = datetime.now(UTC), timedelta(days=1)
    made = x509.CertificateBuilder(subject, subject, key.public_key(), 1, now - day, now + day)
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / f"{name}.pem").write_bytes(made.sign(key, hashes.SHA256()).public_bytes(pem))
    (folder / f"{name}.key").write_bytes(key.private_bytes(pem, pkcs8, serialization.NoEncryption()))
    return folder / f"{name}.pem", folder / f"{name}.key"
