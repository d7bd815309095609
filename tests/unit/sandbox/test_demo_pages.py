from types import SimpleNamespace

import pytest

from coordinator import bootstrap
from coordinator.sandbox import demo
from coordinator.sandbox.demo_stage import set_up


@pytest.mark.loopback
def test_the_pages_are_made_before_the_threads_that_serve_them_begin(tmp_path, monkeypatch):
    """Made in two threads at once, they printed a library's warning into the demo's table now and then."""
    begun = []

    class Thread:
        def __init__(self, target, **_named):
            self.config = target.__self__.config

        def start(self):
            begun.append(self.config.loaded)

    monkeypatch.setattr(demo, "threading", SimpleNamespace(Thread=Thread))
    monkeypatch.setattr(bootstrap, "_ADOPTED", [])
    stage = set_up(tmp_path, 0, 0)
    try:
        demo._serve(stage)
    finally:
        stage.farm.stop()
        stage.service.close()
    assert begun == [True, True]
