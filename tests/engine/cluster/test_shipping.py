"""Files that travel: exactly the recorded ones, under checked names, written ahead of their events."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine.cluster.clusters import cluster, function_job, run
from tests.support.jobs import change_job, make_job
from tunecli.engine.cluster.node_files import LOG_S, NodeFiles, own_files, path_of
from tunecli.engine.cluster.protocol import AgentSetup, SentFile
from tunecli.engine.cluster.shipping import is_intact, outgoing, received
from tunecli.engine.cluster.storage import SMALL_BYTES, InMessages, channel_of
from tunecli.engine.cluster.user_files import require_matches, user_files
from tunecli.engine.cluster.wire import Item, Role, SentAlong
from tunecli.engine.protocol import EngineOptions
from tunecli.errors import UsageError
from tunecli.messages import Checkpointed, Ended, Started, Stopped
from tunecli.object_storage.pointer import resolved
from tunecli.objective import Objective
from tunecli.testing.in_process_cluster import Faults, InProcessTransport
from tunecli.trial import Checkpoint, Outcome, State


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def job_in(folder: Path):
    return make_job(
        7,
        {"command": ["true"]},
        Objective("val_loss", False),
        base_path=str(folder),
        checkpoints_path=str(folder / "checkpoints"),
        checkpoint_dir=str(folder / "checkpoints" / "trial-00007"),
        weights_path=str(folder / "checkpoints" / "trial-00007.safetensors"),
        log_path=str(folder / "logs" / "trial-00007.log"),
        reports_path=str(folder / "checkpoints" / "trial-00007.reports.jsonl"),
    )


def own_code(folder: Path) -> dict[str, str]:
    """The hash of the function's file, which is written into ``folder``."""
    function_job(folder, 0)
    return {"own.py": sha256((folder / "own.py").read_bytes())}


def checkpointed(content: bytes, name: str = "trial-00007.1-000002.checkpoint.safetensors"):
    event = Checkpointed(7, 1, Checkpoint(name, sha256(content), 2))
    return Item(event, [SentAlong(Role.CHECKPOINT, 7, name, sha256(content))])


class TestUserFiles:
    def test_the_recorded_files_travel_and_those_with_dots_keep_their_places(self, tmp_path):
        base = tmp_path / "a" / "study"
        base.mkdir(parents=True)
        (base / "own.py").write_text("x")
        (tmp_path / "data.csv").write_text("y")
        options = EngineOptions(
            1, 1, base_path=base, files={"own.py": sha256(b"x"), "../../data.csv": sha256(b"y")}
        )
        found = user_files(options)
        assert {file.name for file in found.files} == {"a/study/own.py", "data.csv"}
        assert found.base_name == "a/study"
        assert found.contents() == [b"x", b"y"]

    def test_a_file_that_changed_is_refused(self, tmp_path):
        (tmp_path / "own.py").write_text("changed")
        options = EngineOptions(1, 1, base_path=tmp_path, files={"own.py": sha256(b"x")})
        with pytest.raises(UsageError, match=r"own\.py has changed since the study began"):
            user_files(options).contents()

    def test_an_absolute_name_is_expected_on_the_node_and_does_not_travel(self, tmp_path):
        options = EngineOptions(1, 1, base_path=tmp_path, files={"/data/x.csv": "1"})
        found = user_files(options)
        assert not found.files
        assert found.expected == {"/data/x.csv": "1"}

    def test_patterns_add_files_but_never_those_of_the_run_folder(self, tmp_path):
        for name in ("lib/a.txt", "lib/deep/b.txt", "runs/x/study.db"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(name)
        options = EngineOptions(1, 1, base_path=tmp_path, folder=tmp_path / "runs" / "x")
        assert [file.name for file in user_files(options, ["**/*"]).files] == ["lib/a.txt", "lib/deep/b.txt"]

    @pytest.mark.parametrize("pattern", ["/etc/*", "../*", "missing/*"])
    def test_a_pattern_that_leads_out_or_matches_nothing_is_refused(self, pattern, tmp_path):
        with pytest.raises(UsageError, match=r"run\.ray\.files"):
            user_files(EngineOptions(1, 1, base_path=tmp_path), [pattern])
        with pytest.raises(UsageError, match=r"run\.ray\.files"):
            require_matches(tmp_path, [pattern])

    def test_files_above_the_limit_stay_and_the_reason_has_both_sizes(self, tmp_path):
        (tmp_path / "big.bin").write_bytes(b"x" * 2048)
        found = user_files(EngineOptions(1, 1, base_path=tmp_path), ["big.bin"], most_bytes=1024)
        assert found.why_not_sent == "run.ray.files: 2.0 KiB in 1 file, at most 1.0 KiB travels"
        assert found.contents() == []


class TestNodeFiles:
    def test_a_name_that_leads_out_of_the_spool_is_refused(self, tmp_path):
        for name in ("../x", "/tmp/x", "a/../../x", ""):
            setup = AgentSetup("s", "t", 1, files=(SentFile(name, sha256(b"x"), 1),))
            files = NodeFiles(setup, [b"x"])
            assert "damaged" in files.problem
            files.close()

    def test_a_file_that_was_damaged_on_its_way_is_refused(self):
        files = NodeFiles(AgentSetup("s", "t", 1, files=(SentFile("x", sha256(b"x"), 1),)), [b"y"])
        assert files.problem == "x was damaged on its way"
        files.close()

    @pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "", "a\0b"])
    def test_no_name_of_a_message_leads_out_of_a_trials_folders(self, name, tmp_path):
        job = job_in(tmp_path)
        for role in (Role.CHECKPOINT, Role.OWN, Role.TRIAL):
            assert path_of(job, SentAlong(role, 7, name, "")) is None

    def test_a_checkpoint_cannot_be_in_a_sub_folder(self, tmp_path):
        assert path_of(job_in(tmp_path), SentAlong(Role.CHECKPOINT, 7, "a/b", "")) is None

    def test_own_files_above_the_limit_stay_and_links_never_travel(self, tmp_path):
        job = job_in(tmp_path)
        own = Path(job.files.checkpoint_dir)
        own.mkdir(parents=True)
        (own / "state").write_bytes(b"x" * 100)
        (own / "link").symlink_to("/etc/passwd")
        assert [name for _, name, _ in own_files(job)[0]] == ["state"]
        assert own_files(job, 99) == ([], 100)


class TestReceived:
    def test_a_checkpoint_is_on_disk_before_its_event(self, tmp_path):
        job = job_in(tmp_path)
        event, note = received(job, checkpointed(b"state"), [b"state"])
        assert isinstance(event, Checkpointed) and not note
        assert Path(job.files.checkpoints_path, event.checkpoint.name).read_bytes() == b"state"

    def test_a_damaged_checkpoint_has_no_event_and_a_note(self, tmp_path):
        item = checkpointed(b"state")
        assert not is_intact(item.files, [b"stare"])
        event, note = received(job_in(tmp_path), item, [b"stare"])
        assert event is None
        assert note == "a checkpoint of trial 7, of epoch 2, was damaged on its way; an older one is used"
        assert not (tmp_path / "checkpoints").exists()

    def test_a_checkpoint_with_another_hash_than_its_event_is_not_used(self, tmp_path):
        item = checkpointed(b"state")
        other = replace(item, files=[replace(item.files[0], sha256=sha256(b"other"))])
        assert received(job_in(tmp_path), other, [b"other"])[0] is None

    def test_an_end_with_damaged_weights_says_that_there_are_none(self, tmp_path):
        ended = Ended(7, 1, Outcome(State.COMPLETE, 1.0, weights_sha256=sha256(b"w")))
        item = Item(ended, [SentAlong(Role.WEIGHTS, 7, "", sha256(b"w"))])
        event, note = received(job_in(tmp_path), item, [b"v"])
        assert isinstance(event, Ended) and not event.outcome.weights_sha256
        assert "weights of trial 7" in note

    def test_own_files_are_those_of_the_node(self, tmp_path):
        job = job_in(tmp_path)
        own = Path(job.files.checkpoint_dir)
        own.mkdir(parents=True)
        (own / "old").write_text("old")
        files = [
            SentAlong(Role.OWN, 7, "deep/new", sha256(b"new")),
            SentAlong(Role.LOG, 7, "", sha256(b"log")),
        ]
        event, _ = received(job, Item(Stopped(7, 1), files), [b"new", b"log"])
        assert event == Stopped(7, 1)
        assert [path.name for path in own.rglob("*") if path.is_file()] == ["new"]
        assert Path(job.files.log_path).read_bytes() == b"log"

    def test_files_that_were_damaged_on_their_way_there_are_kept_here(self, tmp_path):
        job = job_in(tmp_path / "here")
        own = Path(job.files.checkpoint_dir)
        own.mkdir(parents=True)
        (own / "epoch").write_text("3")
        files, blobs = outgoing([job], InMessages())
        node = NodeFiles(AgentSetup("s", "t", 1), [])
        local = node.localized(job, files, [b"damaged" for _ in blobs])
        assert own_files(local)[0] == [], "the trial begins anew there"
        item, contents = node.item(Stopped(7, 1))
        node.close()
        event, note = received(job, item, contents)
        assert event == Stopped(7, 1)
        assert note == "the files of trial 7 were damaged on their way to its node, so it began anew"
        assert (own / "epoch").read_text() == "3"

    def test_files_of_a_trial_that_began_anew_replace_all_former_ones(self, tmp_path):
        job = job_in(tmp_path / "here")
        own = Path(job.files.checkpoint_dir)
        own.mkdir(parents=True)
        for name in ("epoch", "optimizer"):
            (own / name).write_text("3")
        files, blobs = outgoing([job], InMessages())
        node = NodeFiles(AgentSetup("s", "t", 1), [])
        local = node.localized(job, files, [b"damaged" for _ in blobs])
        Path(local.files.checkpoint_dir).mkdir(parents=True)
        Path(local.files.checkpoint_dir, "epoch").write_text("1")
        item, contents = node.item(Stopped(7, 1))
        node.close()
        received(job, item, contents)
        assert [(path.name, path.read_text()) for path in own.iterdir()] == [("epoch", "1")]

    def test_the_log_of_a_running_trial_comes_when_it_has_changed_and_not_too_often(self, tmp_path):
        job = job_in(tmp_path / "here")
        node = NodeFiles(AgentSetup("s", "t", 1), [])
        log = Path(node.localized(job, [], []).files.log_path)
        assert node.has_logs
        assert node.changed_logs(100.0) == []
        log.write_text("first")
        assert node.changed_logs(100.0 + LOG_S / 2) == []
        [(item, contents)] = node.changed_logs(100.0 + LOG_S)
        assert received(job, item, contents) == (None, "")
        assert Path(job.files.log_path).read_text() == "first"
        assert node.changed_logs(100.0 + 2 * LOG_S) == [], "it has not changed"
        log.write_text("x" * SMALL_BYTES)
        assert node.changed_logs(100.0 + 3 * LOG_S) == [], "it is too long"
        node.unfollow_log(7)
        log.write_text("x" * SMALL_BYTES + "end")
        assert node.changed_logs(100.0 + 4 * LOG_S) == []
        assert not node.has_logs
        item, contents = node.item(Stopped(7, 1))
        node.close()
        received(job, item, contents)
        assert Path(job.files.log_path).read_text() == "x" * SMALL_BYTES + "end"

    def test_a_checkpoint_waits_beyond_the_end_of_its_attempt(self, tmp_path):
        job = job_in(tmp_path / "here")
        node = NodeFiles(AgentSetup("s", "t", 1), [])
        checkpoints = Path(node.localized(job, [], []).files.checkpoints_path)
        checkpoints.mkdir()
        name = "trial-00007.1-000002.checkpoint.safetensors"
        (checkpoints / name).write_bytes(b"state")
        item, [path] = node.item(Checkpointed(7, 1, Checkpoint(name, sha256(b"state"), 2)))
        node.item(Stopped(7, 1))
        assert item == checkpointed(b"state", name)
        assert isinstance(path, Path) and path.read_bytes() == b"state"
        node.close()
        assert not path.exists()


class TestOutgoing:
    def test_checkpoints_the_log_and_own_files_travel_with_a_later_attempt(self, tmp_path):
        job = job_in(tmp_path)
        for path, text in (
            (tmp_path / "checkpoints" / "c", "state"),
            (Path(job.files.checkpoint_dir) / "mine", "own"),
            (Path(job.files.log_path), "log"),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        later = change_job(job, attempt=2, checkpoints=(Checkpoint("c", sha256(b"state"), 3),))
        files, blobs = outgoing([later], InMessages())
        assert dict(zip([file.role for file in files], blobs, strict=True)) == {
            Role.CHECKPOINT: b"state",
            Role.LOG: b"log",
            Role.OWN: b"own",
        }

    def test_a_missing_checkpoint_is_left_out(self, tmp_path):
        later = change_job(job_in(tmp_path), checkpoints=(Checkpoint("c", "1", 3),))
        assert outgoing([later], InMessages()) == ([], [])


class TestChannels:
    def channel(self, folder):
        folder.mkdir(exist_ok=True)
        return channel_of(str(folder), "study/session")

    def test_a_large_content_travels_through_a_folder_and_is_removed(self, tmp_path):
        channel = self.channel(tmp_path / "transfer")
        content = bytes(SMALL_BYTES + 1)
        blob = channel.put(content)
        assert len(blob) < 60
        assert self.channel(tmp_path / "transfer").get(blob) == content
        channel.drop(blob)
        assert list((tmp_path / "transfer").iterdir()) == []
        assert channel.get(blob) == b""
        assert "it is missing" in channel.trouble()

    def test_a_small_content_travels_in_the_message(self, tmp_path):
        channel = self.channel(tmp_path / "transfer")
        blob = channel.put(b"content")
        assert channel.get(blob) == b"content"
        assert list((tmp_path / "transfer").iterdir()) == []

    def test_a_content_travels_in_the_message_while_the_storage_fails(self, tmp_path):
        channel = channel_of(str(tmp_path / "not-mounted"), "study/session")
        content = bytes(SMALL_BYTES + 1)
        assert channel.get(channel.put(content)) == content
        assert channel.trouble().startswith(f"files travel without the storage {tmp_path}/not-mounted: ")
        assert channel.trouble() == "", "it is said once"

    def test_a_checkpoint_is_kept_and_a_pointer_names_it(self, tmp_path):
        channel = self.channel(tmp_path / "transfer")
        (tmp_path / "checkpoint").write_bytes(b"state")
        pointer = channel.keep("a.checkpoint.safetensors", tmp_path / "checkpoint")
        assert resolved(pointer) == b"state"
        assert InMessages().keep("a.checkpoint.safetensors", tmp_path / "checkpoint") is None

    @pytest.mark.parametrize("name", [b"secret", b"study/other", b"study/session/../../secret", b"\xff", b""])
    def test_a_blob_never_names_another_file(self, tmp_path, name):
        channel = self.channel(tmp_path / "transfer")
        (tmp_path / "transfer" / "study").mkdir()
        for path in ("secret", "study/other"):
            (tmp_path / "transfer" / path).write_text("secret")
        assert channel.get(b"@" + name) == b""
        channel.drop(b"@" + name)
        assert (tmp_path / "transfer" / "secret").exists()
        assert (tmp_path / "transfer" / "study" / "other").exists()

    def test_a_relative_storage_is_refused(self):
        with pytest.raises(UsageError, match="must be an absolute folder"):
            channel_of("relative", "study/session")


class TestOnTheWay:
    def test_a_damaged_answer_is_asked_for_again(self, tmp_path):
        n_damaged = []

        def damage(method, blobs):
            if method == "poll" and blobs and len(n_damaged) < 2:
                n_damaged.append(1)
                return [b"damaged" for _ in blobs]
            return blobs

        transport = InProcessTransport({"n1": 1}, sees_run_folder=False, faults=Faults(damage=damage))
        log = tmp_path / "logs" / "log.txt"
        with cluster(transport, 1, base_path=tmp_path, files=own_code(tmp_path)) as engine:
            job = function_job(tmp_path, 0, "saving", epochs=2)
            job = change_job(
                job, log_path=str(log), log_limit_bytes=10000, checkpoint_dir=str(tmp_path / "own")
            )
            ends, events = run(engine, [job])
        assert len(n_damaged) == 2
        assert ends[0].outcome.state is State.COMPLETE
        assert (tmp_path / "own" / "epoch").read_text() == "2"
        assert b"epoch 2 of 2" in log.read_bytes()
        assert sum(isinstance(event, Started) for event in events) == 1

    def test_own_files_that_were_damaged_on_their_way_make_the_trial_begin_anew(self, tmp_path):
        def damage(method, blobs):
            return [b"damaged" for _ in blobs] if method == "to order" else blobs

        own = tmp_path / "kept"
        own.mkdir()
        (own / "epoch").write_text("3")
        transport = InProcessTransport({"n1": 1}, sees_run_folder=False, faults=Faults(damage=damage))
        with cluster(transport, 1, base_path=tmp_path, files=own_code(tmp_path)) as engine:
            job = change_job(
                function_job(tmp_path, 0, "saving", epochs=4), checkpoint_dir=str(own), attempt=2
            )
            ends, _ = run(engine, [job])
        assert ends[0].outcome.epochs == 4
        assert (own / "epoch").read_text() == "4"
