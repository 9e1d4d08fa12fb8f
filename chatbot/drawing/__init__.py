"""Attention outside of the terminal: a page to point at, a picture for a lecture, values for programs."""
