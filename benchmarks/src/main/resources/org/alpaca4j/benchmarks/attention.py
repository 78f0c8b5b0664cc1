# Loaded together with attention.py of a decoder: its attention of one layer alone, to be timed. `sizes` are heads,
# kv_heads, head_dim and window; `reals` are scale and softcap.

# methods
  def timed_attention(self, qkv: Tensor, segments: Tensor, bias: Tensor, sizes: Tensor, reals: Tensor, mode: Tensor, out: Tensor) -> List[Tensor]:
    """qkv [tokens, (heads + 2 * kv_heads) * head_dim]; out [tokens, heads * head_dim]."""
    torch.set_grad_enabled(False)
    return self.attention_by_segments(
        qkv, qkv[:0], segments, bias, int(sizes[0]), int(sizes[1]), int(sizes[2]), float(reals[0]), int(sizes[3]), float(reals[1]),
        int(mode), out)

  def timed_attention_backward(self, do: Tensor, qkv: Tensor, segments: Tensor, bias: Tensor, sizes: Tensor, reals: Tensor, mode: Tensor, out: Tensor, lse: List[Tensor]) -> Tensor:
    torch.set_grad_enabled(False)
    return self.attention_by_segments_backward(
        do, qkv, qkv[:0], qkv[:0], out, lse, segments, bias, int(sizes[0]), int(sizes[1]), int(sizes[2]), float(reals[0]), int(sizes[3]),
        float(reals[1]), int(mode), 0.0, torch.empty_like(qkv))
