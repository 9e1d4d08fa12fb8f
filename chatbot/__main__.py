"""The program: `chatbot`, or `python -m chatbot`."""

import sys


def main() -> None:
    """Run it; Ctrl-C ends it quietly also while it is still being imported."""
    try:
        from chatbot.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
