"""What bots answer to eight fixed prompts, with their default settings and seed 0.

python benchmarks/prompts.py cornell-seq2seq cornell-gpt
"""

from __future__ import annotations

import sys

from chatbot import Bot

PROMPTS = (
    "Hello.",
    "What's your name?",
    "Where are you going?",
    "I love you.",
    "Who killed him?",
    "Do you want some coffee?",
    "I don't believe you.",
    "Thank you very much.",
)
MORE = "It's raining again.", "I lost my job today."  # ten to read


def main() -> None:
    """A Markdown table, a column a bot."""
    bots = [Bot.load(name) for name in sys.argv[1:]]
    print("| prompt | " + " | ".join(bot.name for bot in bots) + " |")
    print("|---" * (len(bots) + 1) + "|")
    for prompt in PROMPTS:
        replies = [bot.reply(prompt, seed=0).text for bot in bots]
        print(f"| {prompt} | " + " | ".join(replies) + " |")


if __name__ == "__main__":
    main()
