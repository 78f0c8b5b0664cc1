# Decoding steps of one layer, for tests: loaded together with a decoder's program.

# methods
  def steps(self, x: Tensor, sizes: Tensor, prefix: Tensor, segment: Tensor, ends: Tensor, bias: Tensor, cos: List[Tensor], sin: List[Tensor], positions: Tensor, frequencies: List[Tensor], scales: List[Tensor], kinds: Tensor, weights: List[Tensor]) -> Tensor:
    """sizes: layer, tokens of the prompt, heads of keys, width of a head. The output of the tokens behind the prompt."""
    torch.set_grad_enabled(False)
    layer, prompt, kv_heads, head_dim = int(sizes[0]), int(sizes[1]), int(sizes[2]), int(sizes[3])
    tokens, at, p = x.size(0), 2 * layer, prefix.size(0) // 2
    columns = p + tokens
    cache = torch.zeros([at + 2, 1, kv_heads, columns, head_dim], dtype=x.dtype)
    kept = torch.empty([prompt * max(self.kept_widths)], dtype=x.dtype)
    scratch = torch.empty([prompt * max(self.scratch_widths)], dtype=x.dtype)
    results = self.any_forward(
        layer, x[:prompt], segment, torch.empty([0], dtype=4), ends, bias, -1, [c[:prompt] for c in cos], [s[:prompt] for s in sin],
        weights, 0, kept, scratch, torch.empty_like(x[:prompt]))
    keys, values = __torch__.prefix_of(prefix, results[1])
    cache[at, 0, :, :p + prompt].copy_(torch.cat([keys, results[1]]).permute([1, 0, 2]))
    cache[at + 1, 0, :, :p + prompt].copy_(torch.cat([values, results[2]]).permute([1, 0, 2]))
    mask = torch.empty([0], dtype=x.dtype)
    if bias.numel() > 0:
      mask = bias[:, :columns].to(x.dtype).view([1, kv_heads, -1, columns])
    eps = torch.full([1], self.layer_eps, dtype=6)
    y = torch.empty_like(x[prompt:])
    for i in range(prompt, tokens):
      c = annotate(List[Tensor], [])
      s = annotate(List[Tensor], [])
      for j in range(len(frequencies)):
        a, b = __torch__.rotary_step(positions[int(kinds[j]), i:i + 1], frequencies[j], scales[j], x)
        c.append(a)
        s.append(b)
      hidden = mask
      if mask.numel() > 0:
        hidden = mask[:, :, :, :p + i + 1]
      activated = torch.empty([1, self.activated_width], dtype=x.dtype)
      column = torch.select(cache, 3, p + i).unbind(0)
      past = torch.narrow(cache, 3, 0, p + i + 1).unbind(0)
      y[i - prompt:i - prompt + 1].copy_(self.any_step(
          layer, 0, x[i:i + 1].clone(), p + i, column, past, hidden, mask, c, s, weights, eps, activated))
    return y
