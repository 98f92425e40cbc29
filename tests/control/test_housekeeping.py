"""What the control API does by itself, now and then."""

import asyncio

from guardian.control import app


def test_a_sweep_that_fails_does_not_keep_the_database_from_being_tidied(stage, monkeypatch):
    tidied = []

    def fail(_deps):
        raise RuntimeError("no sweep today")

    monkeypatch.setattr(app, "sweep", fail)
    monkeypatch.setattr(type(stage.deps.store), "tidy", lambda _: tidied.append(1))

    async def sweep_once():
        sweeping = asyncio.create_task(app._sweep_for_ever(stage.deps))
        for _ in range(200):
            await asyncio.sleep(0.01)
            if tidied:
                break
        sweeping.cancel()

    asyncio.run(sweep_once())
    assert tidied
