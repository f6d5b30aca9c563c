"""The reference models: tiny real language models, trained from scratch by the scripts in this package and shipped with it."""
