"""README.md of the exported head: what it drafts for, how good it was, what it was made from, under which terms."""

from eyrie.eagle3.config import HeadConfig
from eyrie.params import Params
from eyrie.schemas import TrainMetrics


def render_model_card(
    params: Params, config: HeadConfig, metrics: TrainMetrics, *, data_digest: str, eyrie_version: str
) -> str:
    """Markdown with the hub's YAML front matter. The text is a function of the arguments: no date, no host."""
    target, settings = params.target, params.train_head
    revision = f" at revision `{target.revision}`" if target.revision else ""
    accuracy = " | ".join(f"{value:.3f}" for value in metrics.heldout_accuracy)
    steps = " | ".join(str(step) for step in range(1, len(metrics.heldout_accuracy) + 1))
    rule = " | ".join("---" for _ in metrics.heldout_accuracy)
    kind = "EAGLE-3.1" if config.fc_norm or config.norm_output else "EAGLE-3"
    kind += "".join(f", `{name}`" for name in ("fc_norm", "norm_output") if getattr(config, name))
    pinned = f" --revision {target.revision}" if target.revision else ""
    pinned += " --trust-remote-code" if target.trust_remote_code else ""
    real = metrics.heldout_decoded_acceptance_length
    decoded = "" if real is None else f"\nBy decoding {settings.decode_prompts} of the prompts: **{real:.3f}**."
    embedding = (
        "The target's embedding is used and not contained."
        if config.hidden_size == config.target_hidden_size
        else f"It has an embedding of its own, {config.hidden_size} wide."
    )
    start = f"the head `{settings.init_from}`" if settings.init_from else "random weights"
    start += f" at revision `{settings.init_revision}`" if settings.init_revision else ""
    return f"""---
base_model: {target.model}
library_name: sglang
tags: [eagle3, speculative-decoding, draft-head]
---

# EAGLE-3 draft head for {target.model}

Drafts tokens for the target model `{target.model}`{revision}; it answers nothing by itself. The target verifies every
draft, so at temperature 0 the text is the target's own. Made with Eyrie {eyrie_version}.

## Serving

    python -m sglang.launch_server --model-path {target.model}{pinned} --dtype {target.dtype} \\
      --speculative-algorithm EAGLE3 --speculative-draft-model-path THIS_FOLDER \\
      --speculative-num-steps {params.evaluate_head.num_steps} --speculative-eagle-topk {params.evaluate_head.topk} \\
      --speculative-num-draft-tokens {params.evaluate_head.num_draft_tokens}

vLLM takes it as a chain of drafts:

    vllm serve {target.model}{pinned} --dtype {target.dtype} --speculative-config \\
      '{{"method": "eagle3", "model": "THIS_FOLDER", "num_speculative_tokens": {params.evaluate_head.num_steps}}}'

{embedding} Aux hidden states: outputs of layers
{", ".join(str(layer) for layer in config.aux_layer_ids)} (counted from 0).

## Held-out quality

Simulated acceptance length (joint prefix, {settings.ttt_steps} drafts, greedy target):
**{metrics.heldout_acceptance_length:.3f}** tokens per verify step.{decoded} Loss {metrics.heldout_loss:.4f}.
Share of drafts that equal the target's own token, by draft step:

| {steps} |
| {rule} |
| {accuracy} |

## Training

- {metrics.num_parameters:,} parameters; draft vocabulary {config.draft_vocab_size:,} of {config.vocab_size:,} tokens.
- Step {metrics.best_step} of {metrics.steps} was the best on held-out prompts and is the one exported;
  {metrics.tokens_seen:,} tokens seen in all steps, {metrics.supervised_tokens_seen:,} of them supervised.
- {kind}, {config.num_hidden_layers} decoder layer(s); training-time test with {settings.ttt_steps} steps, objective
  `{settings.objective}`, step weight {settings.ttt_decay}^k, seed {settings.seed}. Started from {start}.
- Digest of the training and held-out rows: `{data_digest}`.

## Terms

The head was trained on answers and hidden states of the target model: the target's licence and use policy apply to it.
The licences of the prompts, and how they were screened for personal data, are in the data card of the same run.
"""
