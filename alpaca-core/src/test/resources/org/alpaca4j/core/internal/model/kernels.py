# The kernels that attention_cuda.py calls, as their documentation has it, by plain operators: stands in for them in tests on
# a CPU. A loop over examples, scores of all pairs.


def visible(n: int, left: Optional[int]) -> Tensor:
    i = torch.arange(n).unsqueeze(1)
    j = torch.arange(n).unsqueeze(0)
    seen = j <= i
    if left is not None:
        seen = torch.logical_and(seen, i - j <= left)
    return seen


def plain_attention(q: Tensor, k: Tensor, v: Tensor, ends: Tensor, scale: float, left: Optional[int]) -> Tuple[Tensor, Tensor]:
    """[tokens, heads, head_dim] each -> output, and the log-sum-exp [heads, tokens]."""
    y = torch.zeros(q.shape, dtype=7)
    lse = torch.zeros([q.size(1), q.size(0)], dtype=7)
    for i in range(ends.size(0) - 1):
        a, b = int(ends[i]), int(ends[i + 1])
        s = torch.einsum("ihd,jhd->hij", [q[a:b].to(7), k[a:b].to(7)]) * scale
        s = s.masked_fill(torch.logical_not(__torch__.visible(b - a, left)), float("-inf"))
        y[a:b].copy_(torch.einsum("hij,jhd->ihd", [torch.softmax(s, 2), v[a:b].to(7)]))
        lse[:, a:b].copy_(torch.logsumexp(s, [2]))
    return y, lse


def plain_attention_backward(dy: Tensor, q: Tensor, k: Tensor, v: Tensor, y: Tensor, lse: Tensor, ends: Tensor, scale: float, left: Optional[int]) -> Tuple[Tensor, Tensor, Tensor]:
    dq, dk, dv = torch.zeros(q.shape, dtype=7), torch.zeros(k.shape, dtype=7), torch.zeros(v.shape, dtype=7)
    for i in range(ends.size(0) - 1):
        a, b = int(ends[i]), int(ends[i + 1])
        s = torch.einsum("ihd,jhd->hij", [q[a:b].to(7), k[a:b].to(7)]) * scale
        s = s.masked_fill(torch.logical_not(__torch__.visible(b - a, left)), float("-inf"))
        p = torch.exp(s - lse[:, a:b].unsqueeze(2))
        d = dy[a:b].to(7)
        dv[a:b].copy_(torch.einsum("hij,ihd->jhd", [p, d]))
        dp = torch.einsum("ihd,jhd->hij", [d, v[a:b].to(7)])
        delta = (d * y[a:b].to(7)).sum([2]).t().unsqueeze(2)
        ds = p * (dp - delta) * scale
        dq[a:b].copy_(torch.einsum("hij,jhd->ihd", [ds, k[a:b].to(7)]))
        dk[a:b].copy_(torch.einsum("hij,ihd->jhd", [ds, q[a:b].to(7)]))
    return dq, dk, dv


def group_sum(x: Tensor, kv_heads: int) -> Tensor:
    return x.view([x.size(0), kv_heads, -1, x.size(2)]).sum([2])


def flash_forward(query: Tensor, key: Tensor, value: Tensor, cum_seq_q: Tensor, cum_seq_k: Tensor, max_q: int, max_k: int, dropout_p: float, is_causal: bool, return_debug_mask: bool, *, scale: float, window_size_left: Optional[int], window_size_right: int) -> Tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    group = query.size(1) // key.size(1)
    y, lse = __torch__.plain_attention(
        query, key.repeat_interleave(group, 1), value.repeat_interleave(group, 1), cum_seq_q, scale, window_size_left)
    return y.to(query.dtype), lse, lse, lse, lse


def flash_backward(grad_out: Tensor, query: Tensor, key: Tensor, value: Tensor, out: Tensor, logsumexp: Tensor, cum_seq_q: Tensor, cum_seq_k: Tensor, max_q: int, max_k: int, dropout_p: float, is_causal: bool, rng_state: Tensor, unused: Tensor, *, scale: float, window_size_left: Optional[int], window_size_right: int) -> Tuple[Tensor, Tensor, Tensor]:
    group = query.size(1) // key.size(1)
    a, b, c = __torch__.plain_attention_backward(
        grad_out, query, key.repeat_interleave(group, 1), value.repeat_interleave(group, 1), out, logsumexp, cum_seq_q, scale,
        window_size_left)
    return a.to(query.dtype), __torch__.group_sum(b, key.size(1)).to(query.dtype), __torch__.group_sum(c, key.size(1)).to(query.dtype)


def left_of_window(window_size: Optional[int]) -> Optional[int]:
    left = annotate(Optional[int], None)
    if window_size is not None:
        left = window_size - 1
    return left


def efficient_forward(query: Tensor, key: Tensor, value: Tensor, bias: Optional[Tensor], cu_seqlens_q: Tensor, cu_seqlens_k: Tensor, max_seqlen_q: int, max_seqlen_k: int, dropout_p: float, custom_mask_type: int, compute_log_sumexp: bool, *, scale: float, window_size: Optional[int]) -> Tuple[Tensor, Tensor, Tensor, Tensor, int, int]:
    y, lse = __torch__.plain_attention(query[0], key[0], value[0], cu_seqlens_q, scale, __torch__.left_of_window(window_size))
    return y.to(query.dtype).unsqueeze(0), lse, lse, lse, max_seqlen_q, max_seqlen_k


def efficient_backward(grad_out_: Tensor, query: Tensor, key: Tensor, value: Tensor, bias: Optional[Tensor], out: Tensor, cu_seqlens_q: Tensor, cu_seqlens_k: Tensor, max_seqlen_q: int, max_seqlen_k: int, logsumexp: Tensor, dropout_p: float, philox_seed: Tensor, philox_offset: Tensor, custom_mask_type: int, bias_requires_grad: bool, *, scale: float, window_size: Optional[int]) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
    a, b, c = __torch__.plain_attention_backward(
        grad_out_[0], query[0], key[0], value[0], out[0], logsumexp, cu_seqlens_q, scale, __torch__.left_of_window(window_size))
    return a.to(6).unsqueeze(0), b.to(6).unsqueeze(0), c.to(6).unsqueeze(0), logsumexp


# methods
