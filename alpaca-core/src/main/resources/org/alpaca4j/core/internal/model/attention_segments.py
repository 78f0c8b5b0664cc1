# Attention of packed examples where libtorch has no kernels for them: segment by segment (attention.py). The same methods,
# with kernels, are in attention_cuda.py.


# methods
  def attention(self, qkv: Tensor, prefix: Tensor, segments: Tensor, ends: Tensor, bias: Tensor, heads: int, kv_heads: int, head_dim: int, scale: float, window: int, softcap: float, mode: int, out: Tensor) -> List[Tensor]:
    return self.attention_by_segments(qkv, prefix, segments, bias, heads, kv_heads, head_dim, scale, window, softcap, mode, out)

  def attention_backward(self, do: Tensor, qkv: Tensor, prefix: Tensor, dprefix: Tensor, out: Tensor, extras: List[Tensor], segments: Tensor, ends: Tensor, bias: Tensor, heads: int, kv_heads: int, head_dim: int, scale: float, window: int, softcap: float, mode: int, beta: float, dqkv: Tensor) -> Tensor:
    return self.attention_by_segments_backward(
        do, qkv, prefix, dprefix, out, extras, segments, bias, heads, kv_heads, head_dim, scale, window, softcap, mode, beta, dqkv)
