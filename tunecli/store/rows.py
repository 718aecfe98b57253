"""The queries of the log, and the conversion between its rows and the values of `tunecli.trial`.

A trial's history is made of its attempts. An attempt that continued from epoch f keeps the epochs and checkpoints that
earlier attempts recorded up to f, and replaces later ones. The start of an attempt of the user's own code names the
last recorded epoch, but only its first report shows where it really continued: if that is epoch n, it replaces the
epochs of earlier attempts from n on. Replaced rows stay in the tables and are not read. A trial whose last step ended
in a pause is paused until it continues.

Values are stored as JSON in ASCII, and every float is restored to the bit. JSON has no NaN, and SQLite turns NaN into
NULL, so a float that is not finite is written as ``{"$float": "nan"}``. ASCII escapes keep text that is not valid
Unicode, such as a lone surrogate from a file name in a traceback.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

from tunecli.messages import Checkpointed, Ended, EpochEnded, Paused, Started
from tunecli.trial import Checkpoint, FailedAttempt, Failure, FailureKind, Outcome, State, Step, Trial

N_CHECKPOINTS = 2
"""The number of a trial's newest checkpoints that are kept."""

Row = tuple[Any, ...]
Counts = dict[State, int]
"""The number of trials in each state."""

_MARK = "$float"
_SPELLINGS = ("nan", "inf", "-inf")

TRIAL_TABLES = ("suggestion", "start", "setback", "step", "pause", "result")
"""The tables that determine a trial and its state."""

# An attempt that failed or paused has ended, and so have all attempts before it.
_STATE = """
coalesce(r.state, iif(p.step IS NOT NULL, 'paused', iif(EXISTS (
    SELECT 1 FROM start WHERE start.number = s.number
    AND start.attempt > (SELECT coalesce(max(attempt), 0) FROM setback WHERE setback.number = s.number)
    AND start.attempt > (SELECT coalesce(max(attempt), 0) FROM pause WHERE pause.number = s.number)
), 'running', 'waiting')))
"""
_WITH_ENDS = """
FROM suggestion AS s LEFT JOIN result AS r ON r.number = s.number
LEFT JOIN pause AS p ON r.number IS NULL AND p.number = s.number
    AND p.step = (SELECT max(step) FROM step WHERE step.number = s.number)
"""
_TRIALS = f"""
SELECT s.number, s.parameters, s.seed, {_STATE}, coalesce(r.score, p.score), coalesce(r.metrics, p.metrics),
       coalesce(r.epochs, p.epochs), coalesce(r.kept_epoch, p.kept_epoch), coalesce(r.seconds, p.seconds),
       coalesce(r.device, p.device), r.failure, coalesce(r.weights_sha256, '')
{_WITH_ENDS}
"""
ALL_TRIALS = _TRIALS + "ORDER BY s.number"
ONE_TRIAL = _TRIALS + "WHERE s.number = :value"
COUNTS = f"SELECT {_STATE}, count(*) {_WITH_ENDS} GROUP BY 1"
SCORES = "SELECT number, score FROM result WHERE state = 'complete' AND score != 'null' ORDER BY number"
ATTEMPTS = """
SELECT max(coalesce((SELECT max(attempt) FROM start WHERE number = :value), 0),
           coalesce((SELECT max(attempt) FROM setback WHERE number = :value), 0))
"""
_DISAGREES = "m.key = :value AND m.value IS NOT json_extract(score, '$') LIMIT 1"
DISAGREEING_RESULTS = f"""
SELECT number, score, m.value FROM result, json_each(metrics) AS m WHERE state != 'failed' AND {_DISAGREES}
"""
DISAGREEING_PAUSES = f"SELECT number, score, m.value FROM pause, json_each(metrics) AS m WHERE {_DISAGREES}"
STARTS = "SELECT attempt FROM start WHERE number = :value"
_LAST_STARTS = f"""
{_WITH_ENDS} JOIN start AS e ON e.number = s.number
WHERE {_STATE} = 'running' AND e.attempt = (SELECT max(attempt) FROM start WHERE start.number = s.number)
"""
_IS_OF_THIS_SESSION = "(e.session IS NULL OR e.session = (SELECT max(id) FROM session))"
RUNNING = f"""
SELECT s.number, e.attempt, e.from_epoch, e.at {_LAST_STARTS} AND {_IS_OF_THIS_SESSION} ORDER BY s.number
"""
# A process that ended left them; the one that resumed the study has not come to them yet.
N_INTERRUPTED = f"SELECT count(*) {_LAST_STARTS} AND NOT {_IS_OF_THIS_SESSION}"
# A trial that is paused has ended for now.
END_TIMES = f"SELECT coalesce(r.at, p.at) {_WITH_ENDS} WHERE coalesce(r.at, p.at) IS NOT NULL ORDER BY 1"
FAILURE_KINDS = (
    "SELECT json_extract(failure, '$.kind'), count(*) FROM result WHERE failure IS NOT NULL GROUP BY 1"
)
SETBACKS = "SELECT number, attempt, failure FROM setback WHERE number = :value ORDER BY attempt"
ENDED_EARLY = """
SELECT number, setback.failure FROM setback JOIN result USING (number, attempt)
WHERE result.state != 'failed' AND (:value IS NULL OR number = :value) ORDER BY number
"""
STEPS = "SELECT step, number, level, until_epoch FROM step ORDER BY step"
PAUSES = "SELECT step, score, metrics, epochs, kept_epoch, seconds, device FROM pause ORDER BY step"
SESSIONS = "SELECT id, at, host, process_id, versions FROM session ORDER BY id"
SESSIONS_OF_RESULTS = """
SELECT number, session FROM result JOIN start USING (number, attempt) WHERE session IS NOT NULL ORDER BY number
"""
HOSTS = """
SELECT number, host FROM start_host AS e
WHERE attempt = (SELECT max(attempt) FROM start WHERE start.number = e.number) ORDER BY number
"""
HOST_VERSIONS = "SELECT session, host, versions FROM host_versions ORDER BY session, host"

_NOT_REPLACED = """NOT EXISTS (
    SELECT 1 FROM start AS later
    WHERE later.number = e.number AND later.attempt > e.attempt AND later.from_epoch < e.epoch
)"""
EPOCHS = f"""
SELECT number, attempt, epoch, total_epochs, metrics, seconds, epoch_offset FROM epoch AS e
WHERE number IN (SELECT value FROM json_each(:value)) AND {_NOT_REPLACED} ORDER BY number, attempt, epoch
"""
CHECKPOINTS = f"""
SELECT name, sha256, epoch FROM checkpoint AS e
WHERE number = :value AND {_NOT_REPLACED} ORDER BY attempt DESC, epoch DESC LIMIT {N_CHECKPOINTS}
"""
CHECKPOINTS_OF_UNENDED = f"""
SELECT number, name FROM checkpoint AS e
WHERE NOT EXISTS (SELECT 1 FROM result WHERE result.number = e.number) AND {_NOT_REPLACED}
ORDER BY number DESC, attempt DESC, epoch DESC
"""


def trials(rows: Sequence[Row]) -> list[Trial]:
    """The trials of the rows of ``ALL_TRIALS`` or ``ONE_TRIAL``.

    Raises:
        ValueError, KeyError, TypeError: a row is malformed.
    """
    ended = [row for row in rows if row[4] is not None]  # SQL NULL; a missing score is the JSON text ``null``
    all_scores = decode_all([row[4] for row in ended])
    all_metrics = decode_all([row[5] for row in ended])
    outcomes = {
        row[0]: _outcome(row, score, metrics)
        for row, score, metrics in zip(ended, all_scores, all_metrics, strict=True)
    }
    points = decode_all([row[1] for row in rows])
    return [
        Trial(row[0], point, row[2], _STATES[row[3]], outcomes.get(row[0]))
        for row, point in zip(rows, points, strict=True)
    ]


_STATES = {state.value: state for state in State}


def _outcome(row: Row, score: float | None, metrics: Mapping[str, float]) -> Outcome:
    _, _, _, state, _, _, epochs, kept_epoch, seconds, device, failed, weights = row
    reason = None if failed is None else failure(failed)
    return Outcome(_STATES[state], score, metrics, epochs, kept_epoch, seconds, device, reason, weights)


def failure(text: str) -> Failure:
    """Decode a failure from JSON."""
    record: Mapping[str, str] = decode(text)
    return Failure(FailureKind(record["kind"]), record["cause"], record.get("traceback", ""))


def sessions(rows: Iterable[Row]) -> list[Mapping[str, Any]]:
    """The sessions of the rows of ``SESSIONS``, as `Log.sessions` returns them."""
    sessions: list[Mapping[str, Any]] = []
    for key, at, host, process_id, text in rows:
        versions = {name: str(version) for name, version in decode(text).items()}
        sessions.append({"id": key, "at": at, "host": host, "process_id": process_id, "versions": versions})
    return sessions


def steps(rows: Iterable[Row]) -> list[Step]:
    """The steps of the rows of ``STEPS``."""
    return [Step(*row) for row in rows]


def pauses(rows: Sequence[Row]) -> dict[int, Outcome]:
    """The outcomes of the rows of ``PAUSES``, by step."""
    all_scores, all_metrics = (decode_all([row[place] for row in rows]) for place in (1, 2))
    return {
        step: Outcome(State.PAUSED, score, metrics, *rest)
        for (step, _, _, *rest), score, metrics in zip(rows, all_scores, all_metrics, strict=True)
    }


def epochs(rows: Sequence[Row], numbers: Iterable[int]) -> dict[int, list[EpochEnded]]:
    """The epochs of the rows of ``EPOCHS``, by trial; if two attempts recorded an epoch, the later attempt's."""
    by_trial: dict[int, list[EpochEnded]] = {number: [] for number in numbers}
    all_metrics = decode_all([row[4] for row in rows])
    for (number, attempt, epoch, total, _, seconds, offset), metrics in zip(rows, all_metrics, strict=True):
        of_trial = by_trial[number]
        while of_trial and of_trial[-1].epoch >= epoch:
            of_trial.pop()
        of_trial.append(EpochEnded(number, attempt, epoch, total, metrics, seconds, offset))
    return by_trial


def checkpoints(rows: Iterable[Row]) -> tuple[Checkpoint, ...]:
    """The checkpoints of the rows of ``CHECKPOINTS``."""
    return tuple(Checkpoint(name, sha256, epoch) for name, sha256, epoch in rows)


def newest_names(rows: Iterable[Row]) -> set[str]:
    """The file names of each trial's newest checkpoints, of the rows of ``CHECKPOINTS_OF_UNENDED``."""
    by_trial = groupby(rows, key=itemgetter(0))
    return {name for _, of_one in by_trial for _, name in islice(of_one, N_CHECKPOINTS)}


def scores(rows: Sequence[Row]) -> list[tuple[int, float]]:
    """The trial numbers and scores of the rows of ``SCORES``."""
    values = decode_all([score for _, score in rows])
    return [(number, float(value)) for (number, _), value in zip(rows, values, strict=True)]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a study is.

    Attributes:
        starts: by number, for each trial that runs, its attempt, the epoch that it goes on from, and the start's time.
        end_times: when each trial that has an outcome ended or paused, ascending. Times are ISO 8601 in UTC.
        failures: the number of failed trials of each kind.
        n_interrupted: the number of trials that ran when an earlier session ended, and have not begun again.
    """

    starts: Mapping[int, tuple[int, int, str]]
    end_times: Sequence[str]
    failures: Mapping[FailureKind, int]
    n_interrupted: int = 0


def progress(read: Callable[[str], list[Row]]) -> Progress:
    """The progress on record; ``read`` returns the rows of a query."""
    return Progress(
        {number: (attempt, from_epoch, at) for number, attempt, from_epoch, at in read(RUNNING)},
        [at for (at,) in read(END_TIMES)],
        {FailureKind(kind): n for kind, n in read(FAILURE_KINDS)},
        read(N_INTERRUPTED)[0][0],
    )


def counts(found: Sequence[Row]) -> Counts:
    """The number of trials in each state, 0 included."""
    known = {State(state): int(n) for state, n in found}
    return {state: known.get(state, 0) for state in State}


def failed_attempts(found: Sequence[Row]) -> list[FailedAttempt]:
    """The attempts of rows that failed and did not end their trial."""
    return [FailedAttempt(number, attempt, failure(text)) for number, attempt, text in found]


def now() -> str:
    """The time for a record, ISO 8601 in UTC."""
    # Only for people: order is by number, and durations come from monotonic clocks, so the clock may jump.
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def of_start(event: Started, session: int | None, at: str) -> Row:
    """The start of an attempt as a row of the table ``start``; ``at`` is the time, ISO 8601."""
    return (event.number, event.attempt, event.device, event.process_id, at, session, event.from_epoch)


def of_checkpoint(event: Checkpointed, at: str) -> Row:
    """A checkpoint as a row of the table ``checkpoint``; ``at`` is the time, ISO 8601."""
    saved = event.checkpoint
    return (event.number, event.attempt, saved.epoch, saved.name, saved.sha256, at)


def of_failed_attempt(failed: FailedAttempt, at: str) -> Row:
    """A failed attempt as a row of the table ``setback``; ``at`` is the time, ISO 8601."""
    return (failed.number, failed.attempt, encode(asdict(failed.failure)), at)


def of_epoch(event: EpochEnded) -> Row:
    """An epoch as a row of the table ``epoch``."""
    return (
        event.number,
        event.attempt,
        event.epoch,
        event.total_epochs,
        encode(event.metrics),
        _seconds(event.seconds),
        event.epoch_offset,
    )


def of_pause(event: Paused, step: int, at: str) -> Row:
    """A pause as a row of the table ``pause``.

    Args:
        event: the pause.
        step: the index of the step that ended.
        at: the time, ISO 8601.
    """
    return (event.number, step, event.attempt, *_numbers(event.outcome), at)


def of_result(event: Ended, at: str) -> Row:
    """The end of a trial as a row of the table ``result``; ``at`` is the time, ISO 8601."""
    end = event.outcome
    reason = encode(asdict(end.failure)) if end.failure else None
    return (event.number, event.attempt, end.state, *_numbers(end), reason, end.weights_sha256, at)


def _numbers(end: Outcome) -> Row:
    """The columns that the tables ``pause`` and ``result`` share."""
    score, metrics = encode(end.score), encode(end.metrics)
    return (score, metrics, end.epochs, end.kept_epoch, _seconds(end.seconds), end.device)


def _seconds(seconds: float) -> float:
    return seconds + 0.0  # SQLite stores -0.0 as 0, and their checksums differ


def encode(value: Any) -> str:
    """``value`` as one line of JSON; a tuple becomes a list.

    Raises:
        TypeError: it holds a value that is not null, bool, number, text, list or map.
    """
    try:
        return _dumps(value)
    except ValueError:
        return _dumps(_with_marked_floats(value))


def decode(text: str) -> Any:
    """The value that :func:`encode` was given.

    Raises:
        ValueError: ``text`` is not JSON.
    """
    return json.loads(text, object_hook=_unmarked if _MARK in text else None)


def decode_all(texts: Sequence[str]) -> list[Any]:
    """The values that :func:`encode` was given.

    This is several times as fast as :func:`decode` for each text, and equal keys share memory.

    Raises:
        ValueError: one of them is not JSON.
    """
    marked = [i for i, text in enumerate(texts) if _MARK in text]
    plain = list(texts)
    for i in marked:
        plain[i] = "null"
    values: list[Any] = json.loads(f"[{','.join(plain)}]")
    if len(values) != len(texts):  # two texts that are not JSON can be JSON when joined
        return [decode(text) for text in texts]
    for i in marked:
        values[i] = decode(texts[i])
    return values


def _dumps(value: Any) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"), default=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def _with_marked_floats(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return {_MARK: str(float(value))}
    if isinstance(value, Mapping):
        return {key: _with_marked_floats(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_with_marked_floats(item) for item in value]
    return value


def _unmarked(value: dict[str, Any]) -> Any:
    if value.keys() == {_MARK} and value[_MARK] in _SPELLINGS:
        return float(value[_MARK])
    return value
