"""The key that signs OPA bundles."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from guardian.keys.bundle import BundleKey


def test_who_begin_at_once_sign_with_one_key(tmp_path) -> None:
    """Two control processes may be started together on a new key folder."""
    path, together = tmp_path / "opa.jwk.json", Barrier(8)

    def begin(_: int) -> bytes:
        together.wait()
        return BundleKey(path).public_pem()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(begin, range(8)))) == 1
