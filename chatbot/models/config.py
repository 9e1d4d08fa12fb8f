"""What the families can be told; without torch, since the light engine needs it too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from chatbot.config import setting
from chatbot.errors import ConfigError
from chatbot.sizes import Size

Score = Literal["dot", "general", "concat"]  # of attention: Luong et al. 2015, section 3.1


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """What every family needs to know."""

    vocabulary: int = setting(8192, "pieces of the tokenizer")
    width: int = setting(256, "the size of every vector between layers")
    layers: int = setting(4, "how many layers are stacked")
    dropout: float = setting(0.1, "the share of values dropped while training")

    def __post_init__(self) -> None:
        for name in ("vocabulary", "width", "layers"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout must be at least 0 and under 1, not {self.dropout}")

    @classmethod
    def sized(cls, size: Size, vocabulary: int) -> ModelConfig:
        """The settings for a size of the `--size` table, with the vocabulary that the tokenizer came to."""
        return cls(vocabulary=vocabulary, width=size.width, layers=size.depth)


@dataclass(frozen=True, kw_only=True)
class GPTConfig(ModelConfig):
    """Sizes of the stack of blocks."""

    dropout: float = setting(0.0, "the share of values dropped while training; raise it for a small corpus")
    heads: int = setting(4, "attention heads of a block")
    groups: int = setting(0, "key and value heads (grouped-query attention); 0 for one a head")
    inner: int = setting(0, "width inside the feed-forward layer; 0 for 8/3 of the width")
    rotary_base: float = setting(10_000.0, "the slowest rotary wavelength, in positions / 2 pi")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.heads < 1 or self.width % (2 * self.heads):
            raise ConfigError(f"width {self.width} must be a multiple of twice the heads ({self.heads})")
        if self.groups < 0 or self.inner < 0 or (self.groups and self.heads % self.groups):
            raise ConfigError(f"heads ({self.heads}) must be a multiple of groups ({self.groups})")
        if not 1 < self.rotary_base < 1e30:  # nor NaN
            raise ConfigError(f"rotary_base must be over 1 and under 1e30, not {self.rotary_base}")

    @classmethod
    def sized(cls, size: Size, vocabulary: int) -> GPTConfig:
        """Heads of 64 values, two of them at the least."""
        heads = max(2, size.width // 64)
        return cls(vocabulary=vocabulary, width=size.width, layers=size.depth, heads=heads)

    @property
    def feed(self) -> int:
        """The feed-forward width: as many weights as an ungated layer of 4 D, in whole 64s."""
        return self.inner or -(-8 * self.width // (3 * 64)) * 64


@dataclass(frozen=True, kw_only=True)
class Seq2SeqConfig(ModelConfig):
    """Sizes of encoder and decoder; width is shared by embeddings and both of them."""

    layers: int = setting(1, "GRU layers of the encoder, and of the decoder")
    dropout: float = setting(0.1, "the share of values dropped while training")
    attention: Score = setting("general", "the score of Luong et al. 2015: dot, general or concat")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % 2:
            raise ConfigError(f"width must be even (the encoder reads in two directions), not {self.width}")

    @classmethod
    def sized(cls, size: Size, vocabulary: int) -> Seq2SeqConfig:
        """A recurrent layer for each 128 of width: the small sizes are for short trainings."""
        return cls(vocabulary=vocabulary, width=size.width, layers=max(1, size.width // 128))
