"""vLLM as a pooling model, on the loop and in the processes that the engine `vllm` has."""

from __future__ import annotations

from collections.abc import Sequence

from vllm.inputs import tokens_input
from vllm.pooling_params import PoolingParams

from harness.engines.vllm_core import Core


class PoolingCore(Core):
    """A running vLLM that gives each token's labels."""

    async def outputs(self, ids: Sequence[int], places: Sequence[int]) -> list[list[float]]:
        """The outputs of the head, (places, labels), at `places` of the input `ids`. Raises as `generate`."""
        return await self._call(self._encode(list(ids), list(places)))

    async def _encode(self, ids: list[int], places: list[int]) -> list[list[float]]:
        parameters = PoolingParams(task="token_classify", use_activation=False)
        async for output in self._llm.encode(tokens_input(ids), parameters, str(next(self._numbers))):
            if output.finished:
                found: list[list[float]] = output.outputs.data[places].float().tolist()
                return found
        raise AssertionError("vLLM ends every request with an output")
