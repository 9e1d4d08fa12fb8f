"""The screen: everything that prints or reads keys."""
