# Attention of packed examples on CUDA: one call of a kernel for all examples, with no scores in memory and nothing read back
# from the device. For 16 bits it is FlashAttention (Dao 2023), for fp32 xFormers' memory-efficient attention, as they are in
# PyTorch. `ends` [examples + 1] int32 on the device: where each example ends, after a 0; empty: go segment by segment, which
# is also done for what the kernels do not know (attention.py). Examples share no beginnings here. AttentionKernels.java
# tries both ways on a device before `ends` are given.


def kernel_takes(qkv: Tensor, prefix: Tensor, ends: Tensor, bias: Tensor, head_dim: int, softcap: float) -> bool:
    """Whether a kernel computes it; its rows are read in pieces of 16 bytes."""
    multiple = 4 if qkv.dtype == 6 else 8
    plain = prefix.numel() == 0 and bias.numel() == 0 and softcap == 0.0
    return ends.numel() > 0 and plain and qkv.dtype != 7 and head_dim % multiple == 0 and head_dim <= 256


def left_of(window: int) -> Optional[int]:
    """How many tokens before itself a query of FlashAttention sees; None: all."""
    return window - 1 if window > 0 else None


def per_query_head(x: Tensor, heads: int) -> Tensor:
    """[tokens, kv_heads, head_dim] -> [1, tokens, heads, head_dim]; the memory-efficient kernel groups no queries."""
    group = heads // x.size(1)
    shape = [x.size(0), x.size(1), group, x.size(2)]
    return x.unsqueeze(2).expand(shape).reshape([1, x.size(0), heads, x.size(2)])


def per_kv_head(x: Tensor, kv_heads: int) -> Tensor:
    """The opposite for gradients: sums over the queries of a group."""
    return x.view([x.size(1), kv_heads, x.size(2) // kv_heads, x.size(3)]).sum([2])


# methods
  def attention(self, qkv: Tensor, prefix: Tensor, segments: Tensor, ends: Tensor, bias: Tensor, heads: int, kv_heads: int, head_dim: int, scale: float, window: int, softcap: float, mode: int, out: Tensor) -> List[Tensor]:
    """As attention_by_segments; returns what the kernel's backward pass wants."""
    if not __torch__.kernel_takes(qkv, prefix, ends, bias, head_dim, softcap):
      return self.attention_by_segments(
          qkv, prefix, segments, bias, heads, kv_heads, head_dim, scale, window, softcap, mode, out)
    tokens, longest = qkv.size(0), int(segments[:, 0].max())
    q, k, v = qkv.view([tokens, -1, head_dim]).split([heads, kv_heads, kv_heads], dim=1)
    if qkv.dtype == 6:
      y, lse, seed, offset, _, _ = torch._efficient_attention_forward(
          q.unsqueeze(0), __torch__.per_query_head(k, heads), __torch__.per_query_head(v, heads), None, ends, ends, longest,
          longest, 0.0, 1, True, scale=scale, window_size=window if window > 0 else None)
    else:
      y, lse, seed, offset, _ = torch._flash_attention_forward(
          q, k, v, ends, ends, longest, longest, 0.0, True, False, scale=scale,
          window_size_left=__torch__.left_of(window), window_size_right=0)
    out.view([tokens, heads, head_dim]).copy_(y.view([tokens, heads, head_dim]))
    return [lse, seed, offset]

  def attention_backward(self, do: Tensor, qkv: Tensor, prefix: Tensor, dprefix: Tensor, out: Tensor, extras: List[Tensor], segments: Tensor, ends: Tensor, bias: Tensor, heads: int, kv_heads: int, head_dim: int, scale: float, window: int, softcap: float, mode: int, beta: float, dqkv: Tensor) -> Tensor:
    """As attention_by_segments_backward."""
    if not __torch__.kernel_takes(qkv, prefix, ends, bias, head_dim, softcap):
      return self.attention_by_segments_backward(
          do, qkv, prefix, dprefix, out, extras, segments, bias, heads, kv_heads, head_dim, scale, window, softcap, mode, beta, dqkv)
    tokens, longest = qkv.size(0), int(segments[:, 0].max())
    q, k, v = qkv.view([tokens, -1, head_dim]).split([heads, kv_heads, kv_heads], dim=1)
    y, dy = out.view([tokens, heads, head_dim]), do.view([tokens, heads, head_dim])
    lse, seed, offset = extras
    if qkv.dtype == 6:
      a, b, c, _ = torch._efficient_attention_backward(
          dy.unsqueeze(0), q.unsqueeze(0), __torch__.per_query_head(k, heads), __torch__.per_query_head(v, heads), None,
          y.unsqueeze(0), ends, ends, longest, longest, lse, 0.0, seed, offset, 1, False, scale=scale,
          window_size=window if window > 0 else None)
      a, b, c = a.view([tokens, heads, head_dim]), __torch__.per_kv_head(b, kv_heads), __torch__.per_kv_head(c, kv_heads)
    else:
      a, b, c = torch._flash_attention_backward(
          dy, q, k, v, y, lse, ends, ends, longest, longest, 0.0, True, seed, offset, scale=scale,
          window_size_left=__torch__.left_of(window), window_size_right=0)
    dq, dk, dv = dqkv.view([tokens, -1, head_dim]).split([heads, kv_heads, kv_heads], dim=1)
    dq.copy_(a)
    dk.copy_(b)
    dv.copy_(c)
    return dqkv

  def kernels_difference(self, like: Tensor, sizes: Tensor, scale: Tensor) -> Tensor:
    """The largest relative difference between the kernels and products in fp32 of the same numbers, output and gradient, for
    a few random examples of like's dtype; sizes: heads, kv_heads, head_dim, window."""
    torch.set_grad_enabled(False)
    heads, kv_heads, head_dim, window = int(sizes[0]), int(sizes[1]), int(sizes[2]), int(sizes[3])
    segments = torch.tensor([[33, -1, 0], [1, -1, 0], [70, -1, 0], [25, -1, 0]])
    tokens = int(segments[:, 0].sum())
    ends = torch.cat([torch.zeros([1], dtype=3), torch.cumsum(segments[:, 0], 0).to(3)]).to(like.device)
    none = like[:0].view([0, 0])
    qkv = torch.randn([tokens, (heads + 2 * kv_heads) * head_dim], dtype=6, device=like.device).to(like.dtype)
    dy = torch.randn([tokens, heads * head_dim], dtype=6, device=like.device).to(like.dtype)
    out, dqkv = torch.empty_like(dy), torch.empty_like(qkv)
    extras = self.attention(qkv, none, segments, ends, none, heads, kv_heads, head_dim, float(scale), window, 0.0, 0, out)
    self.attention_backward(
        dy, qkv, none, none, out, extras, segments, ends, none, heads, kv_heads, head_dim, float(scale), window, 0.0, 0, 0.0, dqkv)
    qkv6, dy6 = qkv.to(6), dy.to(6)
    out6, dqkv6 = torch.empty_like(dy6), torch.empty_like(qkv6)
    extras = self.attention_by_segments(qkv6, none, segments, none, heads, kv_heads, head_dim, float(scale), window, 0.0, 0, out6)
    self.attention_by_segments_backward(
        dy6, qkv6, none, none, out6, extras, segments, none, heads, kv_heads, head_dim, float(scale), window, 0.0, 0, 0.0, dqkv6)
    a = (out.to(6) - out6).norm() / out6.norm()
    b = (dqkv.to(6) - dqkv6).norm() / dqkv6.norm()
    return torch.maximum(a, b)
