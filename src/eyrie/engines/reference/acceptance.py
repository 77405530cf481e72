"""The acceptance length of a head by decoding for real: what serving will see, on a few prompts.

In: a loaded target, prompts as token ids, heads to try. Out: tokens per verify step of a greedy chain of drafts.
"""

from collections.abc import Sequence

from eyrie.eagle3.head import Eagle3Head
from eyrie.engines.reference.engine import Engine
from eyrie.engines.reference.sampling import SamplingParams
from eyrie.engines.reference.target_runner import longest_context
from eyrie.engines.target import TargetModel
from eyrie.params import Drafting


def decoded_acceptance_length(
    head: Eagle3Head, target: TargetModel, prompts: Sequence[list[int]], *, num_steps: int, max_new_tokens: int
) -> float:
    """Tokens per verify step, pooled over all prompts that fit the target's context; prefill's token is not counted.

    1.0 when every answer ends with its first token: nothing was there to verify.
    """
    drafting = Drafting(num_steps=num_steps, topk=1, num_draft_tokens=num_steps + 1)
    limit = longest_context(target.config)
    fitting = [prompt for prompt in prompts if len(prompt) < limit]
    context_length = min(max(map(len, fitting), default=1) + max_new_tokens, limit)
    engine = Engine(
        target, head=head, drafting=drafting, max_running_requests=max(len(fitting), 1), context_length=context_length
    )
    try:
        engine.generate(fitting, SamplingParams(max_new_tokens, seed=0))
    finally:
        engine.close()
    return engine.totals.acceptance_length or 1.0
