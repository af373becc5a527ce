"""Reading the progress of the training pipeline."""

from pathlib import Path

from services.jobs.progress import ProgressFile


def test_each_message_is_read_once_and_only_when_its_line_is_complete(tmp_path: Path) -> None:
    file = ProgressFile(tmp_path / "progress.jsonl")
    assert file.take_messages() == []
    with file.path.open("a") as writer:
        writer.write('{"stage": "get_cleaned_data", "message": "fetching"}\n{"stage": "train_recommender", ')
        writer.flush()
        assert [message.stage for message in file.take_messages()] == ["get_cleaned_data"]
        writer.write('"message": "fitting"}\n')
        writer.flush()
        assert [(message.stage, message.message) for message in file.take_messages()] == [("train_recommender", "fitting")]
    assert file.take_messages() == []
