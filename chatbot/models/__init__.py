"""The model families, by name; importing this imports no torch."""

from chatbot.registry import Registry

FAMILIES = Registry(
    "model family",
    {
        "seq2seq": "chatbot.models.seq2seq:Seq2Seq",
        "gpt": "chatbot.models.gpt:GPT",
    },
)
