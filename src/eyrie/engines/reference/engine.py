"""Continuous batching of requests over slots, with plain decoding or EAGLE-3 drafting.

In: token ids and sampling parameters. Out: token ids, the same with and without a head. A step either prefills one
waiting request (a free slot permitting) or advances every running one: plain decoding by one token, drafting by one to
num_steps + 1 tokens of *one* verify forward. Both arms run the same forward, cache, masks and scheduler.

Over a target that several processes hold, each process has an engine and steps it as the others do: what is drafted and
what is chosen is the first one's, so that rounding cannot part them.

A running request of n known tokens has n - 1 of them in the target's cache (the newest is not run yet) and as many rows
in the head's.

Shapes: B running slots, T rows, N tokens verified per slot, H hidden, V vocabulary.
"""

import random
from collections import deque
from collections.abc import Sequence

import torch
from torch import Tensor

from eyrie.eagle3.head import Eagle3Head
from eyrie.engines.reference.drafter import Drafter
from eyrie.engines.reference.masks import PrefixMasks
from eyrie.engines.reference.request import Request, Totals
from eyrie.engines.reference.sampling import SamplingParams, UniformStream, accept_chain, accept_tree, sample
from eyrie.engines.reference.target_runner import TargetRunner, longest_context
from eyrie.engines.target import TargetModel
from eyrie.params import Drafting

PREFILL_CHUNK = 512  # prompt tokens per forward


class Engine:
    """`submit` requests, call `step` while `has_work`. Not thread-safe: one caller."""

    def __init__(
        self,
        target: TargetModel,
        *,
        head: Eagle3Head | None,
        drafting: Drafting | None,
        max_running_requests: int,
        context_length: int | None,
    ) -> None:
        assert (head is None) == (drafting is None)
        longest = longest_context(target.config)
        if context_length is not None and not 2 <= context_length <= longest:
            raise ValueError(f"context length must be between 2 and the target's {longest}, not {context_length}")
        if drafting is not None and head is not None and drafting.topk > head.config.draft_vocab_size:
            raise ValueError(f"topk {drafting.topk} exceeds the draft vocabulary of {head.config.draft_vocab_size}")
        self.target, self.drafting = target, drafting
        self.max_running_requests, self.context_length = max_running_requests, context_length or longest
        self.num_verified = 1 if drafting is None else drafting.num_draft_tokens
        beyond = 0 if drafting is None else max(self.num_verified, drafting.num_steps * drafting.topk)
        num_columns = self.context_length + beyond
        self._masks = PrefixMasks(
            min(max(PREFILL_CHUNK, self.num_verified), num_columns),
            num_columns,
            device=target.device,
            dtype=target.dtype,
        )
        self._runner = TargetRunner(
            target,
            num_slots=max_running_requests,
            num_columns=num_columns,
            aux_layers=() if head is None else head.config.aux_layer_ids,
        )
        self._drafter: Drafter | None = None
        if head is not None and drafting is not None:
            head.fuse_for_inference()
            self._drafter = Drafter(
                head, target, drafting, self._masks, num_slots=max_running_requests, num_columns=num_columns
            )
        self._waiting: deque[Request] = deque()
        self._running: list[Request] = []  # index = slot
        self._offsets = torch.arange(max(PREFILL_CHUNK, self.num_verified), device=target.device)
        self.reset_totals()

    @property
    def has_work(self) -> bool:
        return bool(self._waiting or self._running)

    @property
    def num_waiting(self) -> int:
        return len(self._waiting)

    @property
    def num_running(self) -> int:
        return len(self._running)

    def reset_totals(self) -> None:
        self.totals = Totals(accepted_by_position=self._no_positions())

    def close(self) -> None:
        """Take the hooks off the target and let the slot memory go; only totals and requests stay of use."""
        self._runner.close()
        self._drafter = None

    def submit(self, prompt_ids: Sequence[int], params: SamplingParams) -> Request:
        """Queue a request. Raises ValueError when the prompt is empty, too long, or has ids unknown to the target."""
        if not prompt_ids:
            raise ValueError("the prompt is empty: at least one token is needed")
        if len(prompt_ids) >= self.context_length:
            raise ValueError(
                f"the prompt has {len(prompt_ids)} tokens; at most {self.context_length - 1} fit the context length "
                f"of {self.context_length}"
            )
        vocab_size = self.target.embed_tokens.num_embeddings
        if not 0 <= min(prompt_ids) <= max(prompt_ids) < vocab_size:
            wrong = next(token for token in prompt_ids if not 0 <= token < vocab_size)
            raise ValueError(f"the prompt holds token id {wrong}; ids must be between 0 and {vocab_size - 1}")
        if params.top_logprobs and self.drafting is not None:
            raise ValueError("log-probabilities are given without a draft head only")
        seed = random.getrandbits(31) if params.seed is None else params.seed
        request = Request(list(prompt_ids), params, UniformStream(seed), self._no_positions())
        self._waiting.append(request)
        return request

    def cancel(self, request: Request) -> None:
        """Drop a request; nothing happens when it has finished already."""
        if request in self._waiting:
            self._waiting.remove(request)
        elif request in self._running:
            self._release(self._running.index(request))
        else:
            return
        request.finish_reason = "abort"

    @torch.inference_mode()
    def step(self) -> list[Request]:
        """Prefill one request or advance all running ones. Returns the requests that got tokens."""
        if self._waiting and len(self._running) < self.max_running_requests:
            advanced = [self._prefill(self._waiting.popleft())]
        elif not self._running:
            return []
        else:
            advanced = list(self._running)
            if self._drafter is None:
                self._decode()
            elif self.drafting is not None and self.drafting.topk == 1:
                self._speculate_chain(self._drafter)
            else:
                self._speculate_tree(self._drafter)
        for slot in range(len(self._running) - 1, -1, -1):
            if self._running[slot].finish_reason is not None:
                self._finish(slot)
        return advanced

    def generate(self, prompts: Sequence[Sequence[int]], params: SamplingParams) -> list[Request]:
        """Run all `prompts` to the end, in order."""
        requests = [self.submit(prompt_ids, params) for prompt_ids in prompts]
        while self.has_work:
            self.step()
        return requests

    def _prefill(self, request: Request) -> Request:
        slot, prompt_ids = len(self._running), request.prompt_ids
        ids_1T = torch.tensor([prompt_ids], device=self.target.device)
        for begin in range(0, len(prompt_ids), PREFILL_CHUNK):
            chunk_1T = ids_1T[:, begin : begin + PREFILL_CHUNK]
            num_tokens = chunk_1T.shape[1]
            positions_1T = (begin + self._offsets[:num_tokens])[None]
            hidden_1TH = self._runner.forward(
                chunk_1T,
                first_slot=slot,
                starts=[begin],
                positions_BT=positions_1T,
                mask_B1TS=self._masks.causal([begin], num_tokens),
            )
            next_ids_1T = ids_1T[:, begin + 1 : begin + 1 + num_tokens]
            if begin + num_tokens == len(prompt_ids):
                chosen_11 = self._choose(self.target.logits(hidden_1TH[:, -1:]), [request], None)
                next_ids_1T = torch.cat([next_ids_1T, chosen_11], dim=1)
            if self._drafter is not None:
                self._drafter.extend(slot, [begin], self._runner.aux(), next_ids_1T, positions_1T, [num_tokens])
        request.num_cached = len(prompt_ids)
        self._running.append(request)
        self._emit(request, chosen_11.tolist()[0])
        return request

    def _decode(self) -> None:
        starts = [request.num_cached for request in self._running]
        starts_B1 = torch.tensor(starts, device=self.target.device)[:, None]
        newest_B1 = torch.tensor([request.output_ids[-1:] for request in self._running], device=self.target.device)
        hidden_B1H = self._runner.forward(
            newest_B1, first_slot=0, starts=starts, positions_BT=starts_B1, mask_B1TS=self._masks.causal(starts, 1)
        )
        chosen = self._choose(self.target.logits(hidden_B1H), self._running, None).tolist()
        for request, tokens in zip(self._running, chosen, strict=True):
            request.num_cached += 1
            self._emit(request, tokens)

    def _speculate_chain(self, drafter: Drafter) -> None:
        running = self._running
        starts = [request.num_cached for request in running]
        newest_B1 = torch.tensor([request.output_ids[-1:] for request in running], device=self.target.device)
        drafts = self.target.processes.agree(drafter.draft_chain(starts))
        ids_BN = torch.cat([newest_B1, drafts], dim=1)
        num_verified = ids_BN.shape[1]
        starts_B1 = torch.tensor(starts, device=self.target.device)[:, None]
        positions_BN = self._in_context(starts_B1 + self._offsets[:num_verified])
        hidden_BNH = self._runner.forward(
            ids_BN,
            first_slot=0,
            starts=starts,
            positions_BT=positions_BN,
            mask_B1TS=self._masks.causal(starts, num_verified),
        )
        chosen_BN = self._choose(self.target.logits(hidden_BNH), running, None)
        chosen, drafted = chosen_BN.tolist(), ids_BN.tolist()
        counts = []
        for request, ids, choice in zip(running, drafted, chosen, strict=True):
            accepted = accept_chain(ids[1:], choice)
            request.num_cached += accepted + 1
            counts.append(accepted + 1)
            self._emit_verified(request, choice[: accepted + 1])
        if all(request.finish_reason is not None for request in running):
            return
        # accepted drafts are the target's own choices, so row t's next token is chosen[t] up to the bonus token
        rows = max(counts)
        drafter.extend(0, starts, self._runner.aux()[:, :rows], chosen_BN[:, :rows], positions_BN[:, :rows], counts)

    def _speculate_tree(self, drafter: Drafter) -> None:
        running, device = self._running, self.target.device
        starts = [request.num_cached for request in running]
        tree = drafter.draft_tree(starts).agreed(self.target.processes)
        newest_B1 = torch.tensor([request.output_ids[-1:] for request in running], device=device)
        ids_BN = torch.cat([newest_B1, tree.drafts], dim=1)
        starts_B1 = torch.tensor(starts, device=device)[:, None]
        hidden_BNH = self._runner.forward(
            ids_BN,
            first_slot=0,
            starts=starts,
            positions_BT=self._in_context(starts_B1 + tree.depths_BN),
            mask_B1TS=self._masks.tree(starts, tree.seen_BNN),
        )
        depths = tree.depths_BN.tolist()
        chosen_BN = self._choose(self.target.logits(hidden_BNH), running, depths)
        chosen, parents, drafted = chosen_BN.tolist(), tree.parents_BN.tolist(), ids_BN.tolist()
        paths = []
        for slot, request in enumerate(running):
            path = accept_tree(drafted[slot], parents[slot], chosen[slot])
            self._runner.cache.store.keep(slot, starts[slot], path)
            request.num_cached += len(path)
            paths.append(path)
            self._emit_verified(request, [chosen[slot][row] for row in path])
        if all(request.finish_reason is not None for request in running):
            return
        counts = [len(path) for path in paths]
        rows = max(counts)
        paths_BT = torch.tensor([path + path[-1:] * (rows - len(path)) for path in paths], device=device)
        aux = self._runner.aux().gather(1, paths_BT[..., None].expand(-1, -1, 3 * hidden_BNH.shape[-1]))
        drafter.extend(0, starts, aux, chosen_BN.gather(1, paths_BT), starts_B1 + self._offsets[:rows], counts)

    def _in_context(self, positions: Tensor) -> Tensor:
        """No draft behind the context's last position is kept, but by some rotary embeddings (dynamic, longrope) one
        position past the target's length turns every row of the forward, other requests' too."""
        return positions.clamp_max(self.context_length - 1)

    def _choose(self, logits_BTV: Tensor, requests: list[Request], depths: list[list[int]] | None) -> Tensor:
        """The target's next token at each row, [B, T]. `depths[b][t]` says how far the row is behind the newest
        token; None: row t is t behind it."""
        chosen_BT = logits_BTV.argmax(-1)
        for slot, request in enumerate(requests):
            params = request.params
            if params.top_logprobs:
                logprobs, tokens = logits_BTV[slot, 0].float().log_softmax(-1).topk(params.top_logprobs)
                request.top_logprobs.append(list(zip(logprobs.tolist(), tokens.tolist(), strict=True)))
            if params.temperature > 0:
                distances = range(logits_BTV.shape[1]) if depths is None else depths[slot]
                uniforms = [request.uniforms.at(len(request.output_ids) + distance) for distance in distances]
                chosen_BT[slot] = sample(
                    logits_BTV[slot], temperature=params.temperature, top_p=params.top_p, uniforms=uniforms
                )
        return self.target.processes.agree(chosen_BT)

    def _emit_verified(self, request: Request, tokens: list[int]) -> None:
        """Emit accepted drafts and the bonus token; count the drafts that were kept."""
        before = len(request.output_ids)
        self._emit(request, tokens)
        request.num_verify_steps += 1
        for position in range(min(len(request.output_ids) - before, len(tokens) - 1)):
            request.accepted_by_position[position] += 1

    def _emit(self, request: Request, tokens: list[int]) -> None:
        """Append tokens up to the first that ends the request."""
        params, stops = request.params, self.target.stop_token_ids
        room = min(params.max_new_tokens, self.context_length - len(request.prompt_ids))
        for token in tokens:
            request.output_ids.append(token)
            if token in stops and not params.ignore_eos:
                request.finish_reason = "stop"
                return
            if len(request.output_ids) == room:
                request.finish_reason = "length"
                return

    def _finish(self, slot: int) -> None:
        request, totals = self._running[slot], self.totals
        totals.num_requests += 1
        totals.num_tokens += len(request.output_ids) - 1
        totals.num_verify_steps += request.num_verify_steps
        for position, count in enumerate(request.accepted_by_position):
            totals.accepted_by_position[position] += count
        self._release(slot)

    def _release(self, slot: int) -> None:
        """Free a slot: the last running request moves into it."""
        last = self._running.pop()
        if slot == len(self._running):
            return
        self._running[slot] = last
        self._runner.cache.store.move(len(self._running), slot, last.num_cached)
        if self._drafter is not None:
            self._drafter.move(len(self._running), slot, last.num_cached)

    def _no_positions(self) -> list[int]:
        return [0] * (0 if self.drafting is None else self.drafting.num_steps)
