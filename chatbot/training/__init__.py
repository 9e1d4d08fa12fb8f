"""Training: it serves every family and never looks inside a batch."""

from chatbot.training.config import TrainingConfig
from chatbot.training.events import (
    Evaluated,
    Event,
    Preferred,
    RolledBack,
    Sampled,
    Saved,
    Started,
    StepDone,
    Stopped,
)
from chatbot.training.trainer import PROMPTS, Trainer

__all__ = [
    "PROMPTS",
    "Evaluated",
    "Event",
    "Preferred",
    "RolledBack",
    "Sampled",
    "Saved",
    "Started",
    "StepDone",
    "Stopped",
    "Trainer",
    "TrainingConfig",
]
