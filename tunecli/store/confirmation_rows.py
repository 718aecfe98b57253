"""The queries of confirmations, and the conversion between their rows and the values of `tunecli.trial`.

A fresh run has one row when it is decided on and another one when it has ended, and a third one with its machine if
that was another one than the coordinator's. A run without the second row is run again from its start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from tunecli.store.rows import Row, decode, decode_all, encode, failure
from tunecli.trial import Confirmation, FreshRun, Outcome, Stage, State

CONFIRMATIONS = "SELECT id, candidates, request, kind, n_trials FROM confirmation ORDER BY id"
FRESH_RUNS = """
SELECT confirmation, number, repeat, stage, seed, split_seed, opening, coalesce(host, ''), state, score, metrics,
       epochs, kept_epoch, seconds, device, failure
FROM confirmed_run LEFT JOIN confirmed_result USING (number, repeat) LEFT JOIN confirmed_host USING (number, repeat)
ORDER BY confirmation, repeat, number
"""

_SEEDS, _SPLITS = "seeds", "splits"


def of_confirmation(confirmation: Confirmation, at: str) -> Row:
    """A confirmation as a row of the table ``confirmation``; ``at`` is the time, ISO 8601."""
    kind = _SPLITS if confirmation.is_split else _SEEDS
    candidates, request = encode(list(confirmation.candidates)), encode(confirmation.request)
    return (confirmation.id, candidates, request, kind, confirmation.n_trials, at)


def of_run(run: FreshRun, at: str) -> Row:
    """A run that was decided on, as a row of the table ``confirmed_run``."""
    return (
        run.confirmation,
        run.number,
        run.repeat,
        run.stage.value,
        run.seed,
        run.split_seed,
        run.opening,
        at,
    )


def of_end(run: FreshRun, at: str) -> Row:
    """The end of a run as a row of the table ``confirmed_result``; the run has an outcome."""
    end = run.outcome
    assert end is not None
    return (
        run.number,
        run.repeat,
        end.state.value,
        encode(end.score),
        encode(end.metrics),
        end.epochs,
        end.kept_epoch,
        end.seconds + 0.0,  # SQLite stores -0.0 as 0, and their checksums differ
        end.device,
        encode(asdict(end.failure)) if end.failure else None,
        at,
    )


def of_host(run: FreshRun) -> Row:
    """The machine of a run that has ended, as a row of the table ``confirmed_host``."""
    return (run.number, run.repeat, run.host)


def confirmations(rows: Sequence[Row]) -> list[Confirmation]:
    """The confirmations of the rows of ``CONFIRMATIONS``.

    Raises:
        ValueError, KeyError, TypeError: a row is malformed.
    """
    return [
        Confirmation(key, tuple(decode(candidates)), decode(request), kind == _SPLITS, n_trials)
        for key, candidates, request, kind, n_trials in rows
    ]


def fresh_runs(rows: Sequence[Row]) -> list[FreshRun]:
    """The runs of the rows of ``FRESH_RUNS``, each with its outcome if it has ended.

    Raises:
        ValueError, KeyError, TypeError: a row is malformed.
    """
    ended = [row for row in rows if row[_STATE] is not None]
    scores, metrics = (decode_all([row[_STATE + place] for row in ended]) for place in (1, 2))
    outcomes = {
        _key(row): _outcome(row[_STATE:], score, values)
        for row, score, values in zip(ended, scores, metrics, strict=True)
    }
    return [
        FreshRun(
            confirmation,
            number,
            repeat,
            Stage(stage),
            seed,
            split_seed,
            opening,
            outcomes.get(_key(row)),
            host,
        )
        for row in rows
        for confirmation, number, repeat, stage, seed, split_seed, opening, host in [row[:_STATE]]
    ]


_STATE = 8  # the first column of the end in ``FRESH_RUNS``


def _key(row: Row) -> Row:
    return row[1:3]


def _outcome(row: Row, score: float | None, metrics: Mapping[str, float]) -> Outcome:
    state, _, _, epochs, kept_epoch, seconds, device, reason = row
    why = None if reason is None else failure(reason)
    return Outcome(State(state), score, metrics, epochs, kept_epoch, seconds, device, why)
