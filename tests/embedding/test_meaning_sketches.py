"""Vectors for the archive, and sketches that keep angles in 256 bits."""

import numpy as np
import pytest

from guardian.embedding.fit import FitRequest
from guardian.embedding.meaning import BITS, Meanings, sketches
from guardian.embedding.ports import DIMENSIONS


class Encoder:
    """A direction per text, and a count of what was computed."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed(self, texts):
        self.asked += texts
        rows = np.stack([np.random.default_rng(len(t)).standard_normal(DIMENSIONS) for t in texts])
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def request(tool: str, purpose: str = "read the lease") -> FitRequest:
    return FitRequest(purpose, tool, {"id": 1})


def test_a_meaning_carries_both_vectors_as_little_endian_float16_and_names_its_encoder() -> None:
    encoder = Encoder()
    (found,) = Meanings(encoder, "m1").read([request("leases.read")])
    assert (found.vectors.model, found.sketch.encoder) == ("m1", "m1")
    purpose, action = (np.frombuffer(v, dtype="<f2") for v in (found.vectors.purpose, found.vectors.action))
    assert purpose.shape == action.shape == (DIMENSIONS,)
    assert np.linalg.norm(action.astype(float)) == pytest.approx(1.0, abs=1e-3)
    assert action == pytest.approx(encoder.embed(["leases read | id: 1"])[0], abs=1e-3)
    assert len(bytes.fromhex(found.sketch.bits)) * 8 == BITS


def test_every_text_is_read_once_and_the_cache_is_bounded() -> None:
    encoder = Encoder()
    meanings = Meanings(encoder, "m1", cache_size=3)
    first = meanings.read([request("a.read"), request("a.read"), request("bb.read")])
    assert first[0] == first[1] != first[2]
    assert len(encoder.asked) == 3  # the purpose and two actions
    assert meanings.cache_misses == 3
    assert meanings.read([request("a.read")]) == first[:1]
    meanings.read([request("ccc.read"), request("dddd.read")])
    assert meanings.read([request("a.read")]) == first[:1]  # computed again, and the same
    assert meanings.read([]) == []


@pytest.mark.parametrize("cosine", [0.95, 0.7, 0.0, -0.5])
def test_the_share_of_bits_that_differ_estimates_the_angle(cosine: float) -> None:
    rng = np.random.default_rng(3)
    shares = []
    for _ in range(40):
        a, b = rng.standard_normal((2, DIMENSIONS))
        a /= np.linalg.norm(a)
        b -= (a @ b) * a
        b /= np.linalg.norm(b)
        pair = np.stack([a, cosine * a + np.sqrt(1 - cosine**2) * b]).astype(np.float32)
        one, other = sketches(pair)
        shares.append((int(one, 16) ^ int(other, 16)).bit_count() / BITS)
    assert np.mean(shares) == pytest.approx(np.arccos(cosine) / np.pi, abs=0.02)
