"""Engines run a bot's model for decoding: token ids in, NumPy arrays out."""
