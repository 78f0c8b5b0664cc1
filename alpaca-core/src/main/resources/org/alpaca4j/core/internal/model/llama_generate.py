# Generation with a Llama-like decoder: all layers in one call, keys and values of earlier tokens kept. Read together
# with llama.py.
#
# Rows are sequences of one batch. Their tokens end in the same column of the cache: shorter prompts have `pads` unused
# columns before them, which no query sees. Positions count from a row's first token.
#
#   cache  [2 * layers, rows, kv_heads, capacity, head_dim]   keys of layer i at 2 i, rotated; values at 2 i + 1
#   mask   [rows, 1, 1, capacity]   0, or -inf at pads; empty when no row has any
#
# self.weights: embedding, then each layer's list as in llama.py, final norm, and the head's matrix unless tied.
# self.packed: the matrices in the order of use, in fp16 as FBGEMM wants them; empty, or all of them. Products then have
# fp32 inputs, sums and results; the halved weights are what makes one row fast, where reading them is all the work.


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
  def bind(self, weights: List[Tensor]) -> Tensor:
    torch.set_grad_enabled(False)
    self.weights = weights
    return torch.empty([0])

  def head_matrix(self) -> Tensor:
    return self.weights[0] if self.tied else self.weights[len(self.weights) - 1]

  def matrices(self) -> List[Tensor]:
    result = annotate(List[Tensor], [])
    for i in range(self.layers):
      at = 1 + i * self.per_layer
      result.append(self.weights[at + 1])
      result.append(self.weights[at + 2])
      result.append(self.weights[at + 4])
      result.append(self.weights[at + 5])
    result.append(self.head_matrix())
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

  def product(self, h: Tensor, slot: int, w: Tensor) -> Tensor:
    """h w^T; slot is the matrix's place in self.packed."""
    if h.dtype == 6 and len(self.packed) > 0:
      return ops.quantized.linear_dynamic_fp16(h, self.packed[slot])
    return torch.linear(h, w)

  def norm(self, x: Tensor, w: Tensor, eps: Tensor) -> Tensor:
    """As in llama.py, in fewer operators: in a step of one row, calling them is a good part of the time."""
    norm = torch.linalg_vector_norm(x, 2, [-1], True, dtype=6)
    inverse = torch.addcmul(eps, norm, norm, value=1.0 / x.size(-1)).rsqrt_()
    return torch.mul(x, inverse.to(x.dtype)).mul_(w)

  def result(self, x: Tensor) -> Tuple[Tensor, Tensor]:
    """The most likely next token [rows] and the fp32 logits [rows, vocabulary] of the last layer's output."""
    eps = torch.full([1], self.eps, dtype=6, device=x.device)
    h = self.norm(x, self.weights[1 + self.layers * self.per_layer], eps)
    logits = self.product(h, 4 * self.layers, self.head_matrix()).to(6)
    return torch.argmax(logits, 1), logits

  def prefill(self, ids: Tensor, cos: Tensor, sin: Tensor, segments: Tensor, wanted: Tensor, places: Tensor, rows: Tensor, ends: Tensor, cache: Tensor) -> Tuple[Tensor, Tensor]:
    """Reads packed prompts; fills the cache up to the longest one's length. places [prompts]: where the last of each
    stands among the wanted; rows [tokens of all prompts]: where each stands among the ids; ends [prompts] on the CPU:
    where each prompt ends in rows."""
    torch.set_grad_enabled(False)
    x = torch.embedding(self.weights[0], ids)
    prompts = annotate(List[Tensor], [])
    start = 0
    for i in range(ends.size(0)):
      end = int(ends[i])
      prompts.append(rows[start:end])
      start = end
    longest = max([prompt.size(0) for prompt in prompts])
    layers = cache.unbind(0)
    room = self.room(x)
    scratch = self.forward_scratch(x)
    for i in range(self.layers):
      at = 1 + i * self.per_layer
      read = wanted if i == self.layers - 1 else wanted[:0]
      z = self.layer(x, cos, sin, segments, read, self.windows[i], self.weights[at:at + self.per_layer], room, scratch, False)[0]
      room[0] = x
      x = z
      heads = room[1].view([-1, self.heads + 2 * self.kv_heads, self.head_dim])
      q, k, v = heads.split([self.heads, self.kv_heads, self.kv_heads], dim=1)
      row = 0
      for prompt in prompts:
        first = longest - prompt.size(0)
        layers[2 * i][row, :, first:longest].copy_(k.index_select(0, prompt).permute([1, 0, 2]))
        layers[2 * i + 1][row, :, first:longest].copy_(v.index_select(0, prompt).permute([1, 0, 2]))
        row += 1
    return self.result(x.index_select(0, places).to(cache.dtype))

  def step(self, ids: Tensor, columns: Tensor, pads: Tensor, frequencies: Tensor, scale: Tensor, mask: Tensor, cache: Tensor) -> Tuple[Tensor, Tensor]:
    """Appends one token per row. ids [rows]; columns [1] in use; pads [rows] fp32."""
    torch.set_grad_enabled(False)
    n = int(columns)
    x = torch.embedding(self.weights[0], ids).to(cache.dtype)
    rows = x.size(0)
    angles = torch.rsub(pads, n).unsqueeze(1) * frequencies
    cos = angles.cos().mul_(scale).to(x.dtype)
    sin = angles.sin().mul_(scale).to(x.dtype)
    cos = torch.cat([cos, cos], 1).unsqueeze(1)
    sin = torch.cat([-sin, sin], 1).unsqueeze(1)
    rotated = self.heads + self.kv_heads
    half = self.head_dim // 2
    eps = torch.full([1], self.eps, dtype=6, device=x.device)
    activated = torch.empty([rows, self.intermediate], dtype=x.dtype, device=x.device)
    column = torch.select(cache, 3, n).unbind(0)
    past = torch.narrow(cache, 3, 0, n + 1).unbind(0)
    hidden = mask
    if mask.numel() > 0:
      hidden = torch.narrow(mask, 3, 0, n + 1)
    for i in range(self.layers):
      at = 1 + i * self.per_layer
      w = self.weights[at:at + self.per_layer]
      qkv = self.product(self.norm(x, w[0], eps), 4 * i, w[1])
      if self.at_qkv_bias >= 0:
        qkv.add_(w[self.at_qkv_bias])
      qkv = qkv.view([rows, self.heads + 2 * self.kv_heads, self.head_dim])
      if self.at_head_norms >= 0:
        self.normalize_heads(qkv, w)
      qk = torch.narrow(qkv, 1, 0, rotated)
      turned = torch.roll(qk, [half], [2])
      qk.mul_(cos).addcmul_(turned, sin)
      q, k, v = qkv.split([self.heads, self.kv_heads, self.kv_heads], dim=1)
      column[2 * i].copy_(k)
      column[2 * i + 1].copy_(v)
      keys, values, seen = past[2 * i], past[2 * i + 1], hidden
      if self.windows[i] > 0 and self.windows[i] <= n:
        start, length = n + 1 - self.windows[i], self.windows[i]
        keys, values = torch.narrow(keys, 2, start, length), torch.narrow(values, 2, start, length)
        if mask.numel() > 0:
          seen = torch.narrow(mask, 3, start, length)
      out = self.attend_cached(q.view([rows, self.kv_heads, self.group, self.head_dim]), keys, values, seen)
      x.add_(self.product(out.reshape([rows, -1]), 4 * i + 1, w[2]))
      if self.at_o_bias >= 0:
        x.add_(w[self.at_o_bias])
      gate_up = self.product(self.norm(x, w[3], eps), 4 * i + 2, w[4])
      if self.at_gate_up_bias >= 0:
        gate_up.add_(w[self.at_gate_up_bias])
      x.add_(self.product(self.swiglu(gate_up, activated), 4 * i + 3, w[5]))
      if self.at_down_bias >= 0:
        x.add_(w[self.at_down_bias])
    return self.result(x)

  def attend_cached(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    """q [rows, kv_heads, group, head_dim], the group's queries as if they were positions; k, v [rows, kv_heads, n, head_dim]."""
    if self.cpu_kernel:
      if mask.numel() > 0:
        return torch._scaled_dot_product_flash_attention_for_cpu(q, k, v, 0.0, False, attn_mask=mask)[0]
      return torch._scaled_dot_product_flash_attention_for_cpu(q, k, v, 0.0, False)[0]
    scores = torch.matmul(q, k.transpose(2, 3)).to(6) / (q.size(3) ** 0.5)
    if mask.numel() > 0:
      scores = scores + mask
    return torch.matmul(torch.softmax(scores, -1).to(v.dtype), v)

  def select_rows(self, source: Tensor, target: Tensor, rows: Tensor, length: Tensor) -> Tensor:
    """Copies the first `length` columns of some rows of one cache to another, which may be the same or of other capacity."""
    torch.set_grad_enabled(False)
    n = int(length)
    for i in range(2 * self.layers):
      target[i, :, :, :n].copy_(source[i, :, :, :n].index_select(0, rows))
    return torch.empty([0])

  def log_softmax(self, logits: Tensor) -> Tensor:
    torch.set_grad_enabled(False)
    return torch.log_softmax(logits, 1)
