"""The notices of an engine: told when they change, and each as new only after it was absent."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.study.fake_engine import FakeEngine
from tunecli.study.runner.notices import Notices


@dataclass
class NoticedEngine(FakeEngine):
    """An engine whose notices a test sets."""

    waits_for: Sequence[str] = field(default_factory=list)

    def notices(self) -> Sequence[str]:
        return self.waits_for


def test_a_notice_is_new_when_it_appears_and_again_after_it_was_absent() -> None:
    engine = NoticedEngine(1, random.Random(0))
    notices = Notices(engine)
    assert not notices.have_changed()
    courses = [(["a"], ("a",)), (["a", "b"], ("b",)), (["b"], ()), (["b", "a"], ("a",)), ([], ())]
    for waits_for, new in courses:
        engine.waits_for = waits_for
        assert notices.have_changed()
        assert (notices.current, notices.new) == (tuple(waits_for), new)
        assert not notices.have_changed()


def test_an_engine_without_notices_never_changes_them() -> None:
    notices = Notices(FakeEngine(1, random.Random(0)))
    assert not notices.have_changed()
    assert notices.current == ()
