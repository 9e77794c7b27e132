from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from twofa.channels import DeliveryError
from twofa.channels.file import FileChannel
from twofa.testing import ChannelContract


class TestFileChannel(ChannelContract):
    @pytest.fixture(autouse=True)
    def _directory(self, tmp_path: Path) -> None:
        self.directory = tmp_path / "messages"

    def make_channel(self) -> FileChannel:
        return FileChannel(self.directory)

    def make_failing_channel(self, *, retryable: bool) -> FileChannel | None:
        self.directory.write_text("a file where the directory should be")
        return self.make_channel() if retryable else None

    def delivered(self) -> list[str]:
        return [json.loads(path.read_text())["text"] for path in sorted(self.directory.glob("*.json"))]


def test_file_holds_the_whole_message_for_its_owner_alone(tmp_path: Path):
    message = ChannelContract().make_message()
    receipt = FileChannel(directory=str(tmp_path / "new" / "messages")).send(message)

    directory = tmp_path / "new" / "messages"
    (path,) = directory.iterdir()
    content = json.loads(path.read_text())
    assert path.name == f"{receipt.provider_message_id}.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert content.pop("created_at")
    assert content == {
        "recipient": message.recipient,
        "token": message.token,
        "text": message.text,
        "subject": message.subject,
        "html": message.html,
        "locale": "pt-br",
        "event": "redemption.token",
        "challenge_id": str(message.challenge_id),
        "idempotency_key": message.idempotency_key,
        "expires_at": message.expires_at.isoformat() if message.expires_at else None,
    }


def test_notice_has_nulls_where_it_has_nothing(tmp_path: Path):
    FileChannel(tmp_path).send(ChannelContract().make_message(challenge_id=None, expires_at=None, token=""))

    (path,) = tmp_path.iterdir()
    content = json.loads(path.read_text())
    assert (content["challenge_id"], content["expires_at"], content["token"]) == (None, None, "")


def test_files_sort_by_time(tmp_path: Path):
    texts = [f"message {number}" for number in range(5)]
    for text in texts:
        FileChannel(tmp_path).send(ChannelContract().make_message(text=text))

    assert [json.loads(path.read_text())["text"] for path in sorted(tmp_path.iterdir())] == texts


def test_broken_text_is_no_reason_to_lose_the_message(tmp_path: Path):
    FileChannel(tmp_path).send(ChannelContract().make_message(text="\ud800"))

    assert len(list(tmp_path.iterdir())) == 1


def test_refusal_leaves_nothing_behind(tmp_path: Path):
    blocked = tmp_path / "blocked"
    blocked.write_text("")
    with pytest.raises(DeliveryError):
        FileChannel(blocked).send(ChannelContract().make_message())

    assert list(tmp_path.iterdir()) == [blocked]


def test_it_is_for_development():
    assert FileChannel.development
