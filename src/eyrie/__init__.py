"""Eyrie: prompts like your traffic in, an EAGLE-3 draft head for your LLM out, with proof of its gain."""

__version__ = "0.1.0"
