"""Attention outside of the terminal: a page to open in a browser, a picture for a lecture, values for programs."""
