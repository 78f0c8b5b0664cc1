# Generation: all layers in one call, the cache of earlier tokens kept. Read together with decoder.py.
#
# Rows are sequences of one batch. Their tokens end in the same column of the cache: shorter prompts have unused columns
# before them, which no query sees.
#
#   cache      [2 * layers, rows, kv_heads, capacity, head_dim]   keys of layer i at 2 i, rotated; values at 2 i + 1
#   mask       [rows, 1, 1, capacity], or [rows, kv_heads, group, capacity] with biases of positions: what is added to
#              scores, -inf at unused columns; empty when there is nothing to add
#   positions  [2, rows] fp32: each row's next position, and its block position
#
# self.weights: the embedding's arguments, then each layer's, then the head's. self.packed: matrices in the order of use, in
# fp16 as FBGEMM wants them; empty, or all of them. Products then have fp32 inputs, sums and results; the halved weights are
# what makes one row fast, where reading them is all the work.


def fits_fp16(w: Tensor) -> bool:
    """Whether rounding to fp16 changes no weight by more than fp32's resolution of the largest, as of bf16 values."""
    largest = w.abs().max().to(6)
    limit = float(largest) / 4194304.0
    step = 1 + 1048576 // w.size(1)
    start = 0
    while start < w.size(0):
        part = w[start:start + step]
        error = float(torch.sub(part.to(6), part.to(5)).abs_().max())
        if not (error <= limit):
            return False
        start += step
    return True


def pack(w: Tensor) -> __torch__.torch.classes.quantized.LinearPackedParamsBase:
    return ops.quantized.linear_prepack_fp16(w.to(6), None)


# methods
  def bind(self, weights: List[Tensor], around: List[Tensor]) -> Tensor:
    """weights: see above. around: embedding's tokens, projection, positions, norm and its bias; final norm and its bias,
    projection, matrix and bias of the head; empty where there is none."""
    torch.set_grad_enabled(False)
    self.weights = weights
    self.around = around
    return torch.empty([0])

  def matrices(self) -> List[Tensor]:
    result = [self.weights[i] for i in self.matrix_places]
    result.append(self.around[8])
    return result

  def packable(self, like: Tensor) -> Tensor:
    """1 if fp16 holds all matrices as well as fp32 does."""
    torch.set_grad_enabled(False)
    for w in self.matrices():
      if not __torch__.fits_fp16(w[:1]):
        return torch.zeros([1])
    for w in self.matrices():
      if not __torch__.fits_fp16(w):
        return torch.zeros([1])
    return torch.ones([1])

  def pack_matrices(self, like: Tensor) -> Tensor:
    torch.set_grad_enabled(False)
    tasks = annotate(List[Future[__torch__.torch.classes.quantized.LinearPackedParamsBase]], [])
    for w in self.matrices():
      tasks.append(fork(__torch__.pack, w))
    packed = annotate(List[__torch__.torch.classes.quantized.LinearPackedParamsBase], [])
    for task in tasks:
      packed.append(torch.wait(task))
    self.packed = packed
    return torch.empty([0])

  def unpack(self, like: Tensor) -> Tensor:
    self.packed = annotate(List[__torch__.torch.classes.quantized.LinearPackedParamsBase], [])
    return torch.empty([0])

  def versions(self, like: Tensor) -> Tensor:
    """How often weights were written to: changes when any of them does."""
    sum = 0
    for w in self.weights:
      sum += torch._version(w)
    return torch.tensor([sum])

  def row_lengths(self, like: Tensor) -> Tensor:
    """1 / length of each row of the head's matrix, if they are normalised; else empty."""
    torch.set_grad_enabled(False)
    return self.inverse_lengths(self.around[8])

  def result(self, x: Tensor, lengths: Tensor) -> Tuple[Tensor, Tensor]:
    """The most likely next token [rows] and the fp32 logits [rows, vocabulary] of the last layer's output."""
    norm, norm_bias, projection, matrix, bias = self.around[5], self.around[6], self.around[7], self.around[8], self.around[9]
    h = x
    if self.final_norm == "rms":
      eps = torch.full([1], self.final_eps, dtype=6, device=x.device)
      h = __torch__.rms_norm_step(x, __torch__.plus_one(norm) if self.norm_plus_one else norm, eps)
    if self.final_norm == "layer":
      h = __torch__.layer_norm_step(x, norm, norm_bias, self.final_eps)
    if projection.numel() > 0:
      h = torch.linear(h, projection.to(h.dtype))
    y = self.linear_step(h, len(self.matrix_places), matrix).to(6)
    logits = self.shape_logits_(y, lengths, bias)
    return torch.argmax(logits, 1), logits

  def prefill(self, like: Tensor, ids: Tensor, positions: Tensor, segments: Tensor, ends_of_examples: Tensor, bias: Tensor, output_tokens: Tensor, output_rows: Tensor, cos: List[Tensor], sin: List[Tensor], mode: Tensor, token_of: Tensor, ends: Tensor, lengths: Tensor, cache: Tensor) -> Tuple[Tensor, Tensor]:
    """Reads packed prompts; fills the cache up to the longest one's length. output_rows [prompts]: where the last token of
    each stands among output_tokens; token_of [tokens of all prompts]: where each stands among the ids; ends [prompts] on
    the CPU: where each prompt ends in token_of."""
    torch.set_grad_enabled(False)
    a = self.around
    x = self.embed(ids, positions, like, a[0], a[1], a[2], a[3], a[4])
    tokens = x.size(0)
    prompts = annotate(List[Tensor], [])
    start = 0
    for i in range(ends.size(0)):
      end = int(ends[i])
      prompts.append(token_of[start:end])
      start = end
    longest = max([prompt.size(0) for prompt in prompts]) + self.prefix_length
    caches = cache.unbind(0)
    kept = torch.empty([tokens * (max(self.kept_widths) - x.size(1))], dtype=x.dtype, device=x.device)
    scratch = torch.empty([tokens * max(self.scratch_widths)], dtype=x.dtype, device=x.device)
    z = torch.empty_like(x)
    at = self.embedding_arguments
    for i in range(len(self.kinds)):
      weights = self.weights[at:at + self.argument_counts[i]]
      at += self.argument_counts[i]
      chosen = output_tokens if i == len(self.kinds) - 1 else output_tokens[:0]
      results = self.any_forward(i, x, segments, chosen, ends_of_examples, bias, -1, cos, sin, weights, int(mode), kept, scratch, z[:chosen.size(0)] if chosen.numel() > 0 else z)
      z = x
      x = results[0]
      k, v = results[1], results[2]
      row = 0
      for prompt in prompts:
        first = longest - prompt.size(0)
        if self.prefix_length > 0:
          keys, values = __torch__.prefix_of(weights[self.prefix_places[i]], k)
          caches[2 * i][row, :, first - keys.size(0):first].copy_(__torch__.keys_of(keys))
          caches[2 * i + 1][row, :, first - keys.size(0):first].copy_(__torch__.keys_of(values))
        caches[2 * i][row, :, first:longest].copy_(k.index_select(0, prompt).permute([1, 0, 2]))
        caches[2 * i + 1][row, :, first:longest].copy_(v.index_select(0, prompt).permute([1, 0, 2]))
        row += 1
    return self.result(x.index_select(0, output_rows).to(cache.dtype), lengths)

  def step(self, ids: Tensor, used: Tensor, positions: Tensor, frequencies: List[Tensor], rotary_scales: List[Tensor], mask: Tensor, lengths: Tensor, cache: Tensor) -> Tuple[Tensor, Tensor]:
    """Appends one token per row. ids [rows]; used [1] on the CPU: columns in use."""
    torch.set_grad_enabled(False)
    columns = int(used)
    a = self.around
    places = ids
    if a[2].numel() > 0:
      places = positions[0].to(4)
    x = self.embed(ids, places, cache[:0], a[0], a[1], a[2], a[3], a[4])
    cos = annotate(List[Tensor], [])
    sin = annotate(List[Tensor], [])
    for i in range(len(frequencies)):
      c, s = __torch__.rotary_step(positions[self.position_kinds[i]], frequencies[i], rotary_scales[i], x)
      cos.append(c)
      sin.append(s)
    eps = torch.full([1], self.layer_eps, dtype=6, device=x.device)
    activated = torch.empty([x.size(0), self.activated_width], dtype=x.dtype, device=x.device)
    column = torch.select(cache, 3, columns).unbind(0)
    past = torch.narrow(cache, 3, 0, columns + 1).unbind(0)
    hidden = mask
    if mask.numel() > 0:
      hidden = torch.narrow(mask, 3, 0, columns + 1)
    at = self.embedding_arguments
    for i in range(len(self.kinds)):
      weights = self.weights[at:at + self.argument_counts[i]]
      at += self.argument_counts[i]
      x = self.any_step(i, self.slots[i], x, columns, column, past, hidden, mask, cos, sin, weights, eps, activated)
    return self.result(x, lengths)

  def select_rows(self, source: Tensor, target: Tensor, rows: Tensor, length: Tensor) -> Tensor:
    """Copies the first `length` columns of some rows of one cache to another, which may be the same or of other capacity."""
    torch.set_grad_enabled(False)
    n = int(length)
    for i in range(source.size(0)):
      target[i, :, :, :n].copy_(source[i, :, :, :n].index_select(0, rows))
    return torch.empty([0])

  def log_softmax(self, logits: Tensor) -> Tensor:
    torch.set_grad_enabled(False)
    return torch.log_softmax(logits, 1)

  def biased_mask(self, mask: Tensor, biases: Tensor, kv_heads: Tensor) -> Tensor:
    """The mask [rows, 1, 1, capacity] with biases of the keys' positions [rows, heads, capacity]."""
    torch.set_grad_enabled(False)
    return (mask + biases.unflatten(1, [int(kv_heads), -1])).to(mask.dtype)
