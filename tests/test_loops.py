"""The loops: float16 or int8 weights. That they predict what torch does: test_exact_engines.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from chatbot.bot import Bot
from chatbot.checkpoint import Checkpoint
from chatbot.engines.loops import BytesEngine, HalfEngine, kernels
from chatbot.engines.loops.rounding import in_bytes
from chatbot.errors import ChatbotError
from chatbot.tokenizer import Tokenizer
from tests.test_bot import saved
from tests.test_exact_engines import GPT, PROMPTS, SEQ2SEQ, made

SIZES = st.integers(1, 40)


@given(SIZES, SIZES, st.integers(1, 9), st.randoms(use_true_random=False))
def test_products_of_any_shape_are_what_numpy_says(rows: int, width: int, tokens: int, random: Any) -> None:
    generator = np.random.default_rng(random.getrandbits(32))
    weight = generator.normal(size=(rows, width)).astype(np.float16)
    x, y = generator.normal(size=(tokens, width)).astype(np.float32), np.empty((tokens, rows), np.float32)
    kernels.products(weight.view(np.uint16), np.ones(rows, np.float32), x, y)
    np.testing.assert_allclose(y, x @ weight.astype(np.float32).T, atol=1e-4)


@given(arrays(np.float16, 8, elements=st.floats(width=16, allow_nan=False)))
def test_every_half_becomes_the_float_that_it_is(halves: Any) -> None:
    one, y = np.ones(1, np.float32), np.empty(8, np.float32)
    kernels.product(halves[:, None].view(np.uint16), np.ones(8, np.float32), one, y)
    np.testing.assert_array_equal(y, halves.astype(np.float32))


@given(st.floats(-100, 100, width=32))
def test_exp_is_numpys_to_the_last_digits_of_what_is_raised(x: float) -> None:
    exact = np.exp(np.float64(np.clip(x, -87, 87)))
    np.testing.assert_allclose(kernels.exp(np.float32(x)), exact, rtol=5e-7 + 1.2e-7 * abs(x))


@given(arrays(np.float32, st.integers(1, 30), elements=st.floats(-1e4, 1e4, width=32)))
def test_softmax_is_a_distribution(x: Any) -> None:
    raised = np.exp(x.astype(np.float64) - x.max())
    kernels.softmax(x)
    np.testing.assert_allclose(x, raised / raised.sum(), atol=1e-6)


def test_weights_of_more_digits_are_rounded() -> None:
    theirs, config, tensors = made("gpt", GPT[0], spread=0.1, packed=True)
    longer = {name: tensor * np.float32(1 + 1e-4) for name, tensor in tensors.items()}
    one, other = theirs.start(PROMPTS), HalfEngine.load("gpt", config, longer).start(PROMPTS)
    far = np.abs(one.logits - other.logits).max()
    assert 1e-6 < far < 0.01 * np.abs(one.logits).max()


@given(SIZES, SIZES, st.randoms(use_true_random=False))
def test_bytes_are_multiplied_with_their_scales(rows: int, width: int, random: Any) -> None:
    generator = np.random.default_rng(random.getrandbits(32))
    weight = (10 * generator.normal(size=(rows, width))).astype(np.float32)
    small, scale = in_bytes(weight)
    assert (np.abs(small * scale[:, None] - weight) <= 0.501 * scale[:, None]).all()
    x, y = generator.normal(size=(5, width)).astype(np.float32), np.empty((5, rows), np.float32)
    kernels.products(small, scale, x, y)
    np.testing.assert_allclose(y, x @ (small * scale[:, None]).T, rtol=1e-4, atol=1e-3)


def test_a_row_of_zeros_is_one_in_bytes_too() -> None:
    small, scale = in_bytes(np.zeros((2, 3), np.float32))
    assert not small.any()
    assert np.isfinite(scale).all()


def test_weights_in_bytes_predict_nearly_the_same() -> None:
    theirs, config, tensors = made("gpt", GPT[0], spread=0.1)
    one, other = theirs.start(PROMPTS), BytesEngine.load("gpt", config, tensors).start(PROMPTS)
    far = np.abs(one.logits - other.logits).max()
    assert 1e-6 < far < 0.05 * np.abs(one.logits).max()
    np.testing.assert_allclose(one.attention, other.attention, atol=0.02)


def test_weights_too_large_for_it_are_refused_in_a_line() -> None:
    _, config, tensors = made("gpt", GPT[0])
    tensors["embed.weight"][3, 4] = 70_000
    with pytest.raises(ChatbotError, match="too large for half precision") as error:
        HalfEngine.load("gpt", config, tensors)
    assert error.value.hint == "use --engine light"


def test_weights_that_are_no_numbers_predict_none() -> None:
    _, config, tensors = made("gpt", GPT[0])
    tensors["blocks.0.attention.key.weight"][:] = np.nan
    assert np.isnan(HalfEngine.load("gpt", config, tensors).start(PROMPTS).logits).all()


def test_a_token_that_there_is_not_is_an_error_and_reads_no_other_memory() -> None:
    _, config, tensors = made("gpt", GPT[0])
    with pytest.raises(IndexError):
        HalfEngine.load("gpt", config, tensors).start([[3, 4_000, 2]])


def test_what_it_cannot_run_is_refused_in_a_line() -> None:
    _, config, tensors = made("seq2seq", SEQ2SEQ[0])
    with pytest.raises(ChatbotError, match="Numba has no seq2seq here") as error:
        HalfEngine.load("seq2seq", config, tensors)
    assert error.value.hint == "use --engine light"
    with pytest.raises(ChatbotError, match="on the processor") as error:
        HalfEngine.load("gpt", config, tensors, "cuda")
    assert error.value.hint == "use --engine torch"


def test_a_packed_bot_says_the_same_as_on_the_light_engine(tmp_path: Path, tokenizer: Tokenizer) -> None:
    Checkpoint.load(saved(tmp_path / "a-gpt", "gpt", tokenizer)).pack(tmp_path / "b-gpt")
    said = [Bot.load(tmp_path / "b-gpt", engine=engine).reply("hello") for engine in ("light", "half")]
    assert said[0].text == said[1].text
    one, other = ([token.attention for token in reply.tokens] for reply in said)
    np.testing.assert_allclose(one, other, atol=1e-4)


def test_where_nothing_can_be_kept_it_compiles_all_the_same(tmp_path: Path) -> None:
    code = """if True:
        from numba.core import caching
        caching.CacheImpl._locator_classes = []
        import numpy as np
        from chatbot.engines.loops import kernels
        print(float(kernels.exp(np.float32(0))))
    """
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "1.0"


def kept_in(folder: Path, **limits: int) -> str:
    """What a process prints that keeps its code there."""
    code = """if True:
        import sys, resource
        if len(sys.argv) > 1:
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
            import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        import numpy as np
        from chatbot.engines.loops import kernels
        print(float(kernels.exp(np.float32(0))), len(kernels.exp.stats.cache_hits))
    """
    found = subprocess.run(
        [sys.executable, "-c", code, *map(str, limits.values())],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "NUMBA_CACHE_DIR": str(folder)},
    )
    return found.stdout.strip()


@pytest.mark.parametrize("pattern", ["*.nbi", "*.nbc"])
@pytest.mark.parametrize("content", [b"", b"\x18 no code", None])
def test_damaged_code_is_compiled_again_and_kept(tmp_path: Path, pattern: str, content: bytes | None) -> None:
    assert kept_in(tmp_path) == "1.0 0"
    assert kept_in(tmp_path) == "1.0 1"
    for file in tmp_path.rglob(pattern):
        file.write_bytes(file.read_bytes()[:40] if content is None else content)
    assert kept_in(tmp_path) == "1.0 0"
    assert kept_in(tmp_path) == "1.0 1"


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits")
def test_code_that_cannot_be_kept_is_used_all_the_same(tmp_path: Path) -> None:
    assert kept_in(tmp_path, largest=100) == "1.0 0"
    assert kept_in(tmp_path) == "1.0 0"
