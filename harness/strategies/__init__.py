"""Inference strategies, in files by family. To add one: a coroutine on Context under `@strategy`, and its golden trace."""
