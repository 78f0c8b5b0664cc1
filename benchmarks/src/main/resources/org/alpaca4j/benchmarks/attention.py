# Loaded together with llama.py: its attention of one layer alone, to be timed.

# methods
  def timed_attention(self, qkv: Tensor, segments: Tensor, window: Tensor, out: Tensor) -> List[Tensor]:
    """qkv [tokens, heads + 2 * kv_heads, head_dim]; out [tokens, heads * head_dim]."""
    torch.set_grad_enabled(False)
    return self.attention(qkv, segments, int(window), False, out)

  def timed_attention_backward(self, do: Tensor, qkv: Tensor, segments: Tensor, window: Tensor, out: Tensor, lse: List[Tensor]) -> Tensor:
    torch.set_grad_enabled(False)
    return self.attention_backward(do, qkv, out, lse, segments, int(window), torch.empty_like(qkv))
