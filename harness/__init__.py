"""How a question becomes an answer: engines, strategies, pools, the runner."""
