# The Llama-like decoder layer, its loss head and its embedding: forward, and backward written out by hand.
#
# Tokens of several examples lie one after the other ("packed"): [tokens, ...], no padding. What examples begin with
# alike is there once: `segments` [segments, 2] holds each segment's number of tokens and the segment that it continues,
# or -1. Attention sees a segment and what it continues, nothing else. `cos` and `sin` are [tokens, 1, head_dim / 2].
# `wanted` are the tokens whose output somebody reads, in the last layer those of the head; empty: all. A layer does for
# the others what attention needs, and its output has the wanted rows only.
#
# A layer's weights come as one list: input norm, qkv, o, post-attention norm, gate_up, down, then what the
# configuration adds, at the places given by the constants at_*:
#   qkv      [(heads + 2 * kv_heads) * head_dim, hidden]     q rows, then k rows, then v rows
#   gate_up  [2 * intermediate, hidden]                      gate rows, then up rows
#   o, down  [hidden, heads * head_dim], [hidden, intermediate]
# Gradients are written into a list of the same layout; `beta` is 0 to overwrite what is there, 1 to add to it.
#
# `exact` asks for fp32 rounded as transformers does with PyTorch and MKL on a CPU, a few percent slower.
#
# Sources: RMSNorm (Zhang & Sennrich 2019), rotary positions (Su et al. 2021), SwiGLU (Shazeer 2020),
# grouped-query attention (Ainslie et al. 2023); layer as in Touvron et al. 2023. dtype 6 is float32, 15 bfloat16.


def inverse_rms(x: Tensor, eps: float) -> Tensor:
    """1 / sqrt(mean(x^2) + eps) over the last dimension, kept; in fp32."""
    norm = torch.linalg_vector_norm(x, 2, [-1], True, dtype=6)
    return torch.rsqrt(norm * norm / x.size(-1) + eps)


def normalize(x: Tensor, inverse: Tensor, out: Tensor) -> Tensor:
    """x * inverse in x's dtype."""
    return torch.mul(x, inverse.to(x.dtype), out=out)


def rms_norm(x: Tensor, weight: Tensor, eps: float, exact: bool, out: Tensor) -> Tensor:
    """x / rms(x) * weight."""
    if exact:
        inverse = torch.rsqrt(x.to(6).pow(2).mean([-1], True) + eps)
    else:
        inverse = __torch__.inverse_rms(x, eps)
    return __torch__.normalize(x, inverse, out).mul_(weight)


def normalize_backward(dh: Tensor, n: Tensor, inverse: Tensor, weight: Tensor, dweight: Tensor, beta: float, out: Tensor) -> Tensor:
    """For h = n * weight with n = x * inverse: adds to dweight, returns dx in `out`. Rows over the last dimension, 2-D."""
    dn = torch.mul(dh, n, out=out)
    __torch__.add_gradient(dweight, dn.sum([0], dtype=6), beta)
    mean = torch.mm(dn, weight.unsqueeze(1)) / n.size(1)
    dx = torch.mul(dh, weight, out=out).addcmul_(n, mean, value=-1)
    return dx.mul_(inverse.to(dx.dtype))


def add_gradient(gradient: Tensor, value: Tensor, beta: float) -> Tensor:
    """gradient = beta * gradient + value."""
    if beta == 0.0:
        return gradient.copy_(value)
    return gradient.add_(value)


def add_weight_gradient(gradient: Tensor, dy: Tensor, x: Tensor, beta: float) -> Tensor:
    """gradient [out, in] = beta * gradient + dy^T x. Where the gradient is kept in another dtype, a product of at most
    4 M elements is in memory at once."""
    if gradient.dtype == dy.dtype:
        return torch.addmm(gradient, dy.t(), x, beta=beta, out=gradient)
    rows = max(1, 4194304 // x.size(1))
    start = 0
    while start < dy.size(1):
        end = min(start + rows, dy.size(1))
        __torch__.add_gradient(gradient[start:end], torch.mm(dy[:, start:end].t(), x), beta)
        start = end
    return gradient


def part(depth: int) -> int:
    """How many products MKL adds up one after the other, before it adds the sum to that of those before."""
    if depth <= 192:
        return depth
    return depth // 2 if depth < 384 else 192


def product(x: Tensor, weight: Tensor, exact: bool, out: Tensor) -> Tensor:
    """out = x weight^T. oneDNN adds up all of a row's products one after the other, which loses more of fp32. In parts
    (`exact`) its results are MKL's."""
    depth = x.size(1)
    step = __torch__.part(depth) if exact and x.dtype == 6 else depth
    torch.mm(x[:, :step], weight[:, :step].t(), out=out)
    for start in range(step, depth, step):
        end = min(start + step, depth)
        torch.addmm(out, x[:, start:end], weight[:, start:end].t(), out=out)
    return out


def rotate_(x: Tensor, cos: Tensor, sin: Tensor, direction: float) -> Tensor:
    """Rotary positions in place on [tokens, heads, head_dim]: halves (a, b) become (a cos - b sin, b cos + a sin)."""
    half = x.size(2) // 2
    a = x[:, :, :half]
    b = x[:, :, half:]
    a_sin, b_sin = a * sin, b * sin  # each product rounded, as in transformers: addcmul_ would not
    a.mul_(cos).sub_(b_sin, alpha=direction)
    b.mul_(cos).add_(a_sin, alpha=direction)
    return x


def attention_mask(n: int, window: int, like: Tensor) -> Tensor:
    """[n, n] fp32, 0 where a query may look, -inf elsewhere: causal, and at most `window` positions back, if it is not 0."""
    mask = torch.full([n, n], float("-inf"), dtype=6, device=like.device).triu_(1)
    if window > 0 and window < n:
        mask.add_(torch.full_like(mask, float("-inf")).tril_(-window))
    return mask


def first_key(query: int, window: int) -> int:
    """The first position that a query looks at."""
    return max(0, query + 1 - window) if window > 0 else 0


def rows(x: Tensor, wanted: Tensor) -> Tensor:
    """The wanted rows of x."""
    return x if wanted.numel() == 0 else x.index_select(0, wanted)


def in_rows(x: Tensor, wanted: Tensor, like: Tensor) -> Tensor:
    """The opposite: x in the wanted rows of a tensor like another, 0 elsewhere."""
    return x if wanted.numel() == 0 else torch.zeros_like(like).index_copy_(0, wanted, x)


def grouped(x: Tensor, dtype: int) -> Tensor:
    """[kv_heads, group, n, head_dim] -> [kv_heads, group * n, head_dim], a copy in the order of the new shape."""
    return x.to(dtype, copy=True, memory_format=0).view([x.size(0), x.size(1) * x.size(2), x.size(3)])


def probabilities(q: Tensor, k: Tensor, mask: Tensor) -> Tensor:
    """softmax(q k^T + mask), fp32 [kv_heads, group * n, m]: q [kv_heads, group * n, head_dim] scaled, k [kv_heads, m,
    head_dim], mask [n, m]."""
    p = torch.bmm(q, k.transpose(1, 2))
    p.view([p.size(0), -1, mask.size(0), mask.size(1)]).add_(mask)
    return torch._softmax(p, 2, False, out=p)


def weighted_sum(p: Tensor, v: Tensor, part: int) -> Tensor:
    """p v of each batch, `part` keys at a time."""
    y = torch.bmm(p[:, :, :part], v[:, :part])
    for start in range(part, p.size(2), part):
        y = torch.baddbmm(y, p[:, :, start:start + part], v[:, start:start + part])
    return y


# methods
  def queries(self, x: Tensor) -> Tensor:
    """[n, heads, head_dim] -> [kv_heads, group, n, head_dim]: kv heads as the batch, the group's queries as heads."""
    return x.unflatten(1, [self.kv_heads, self.group]).permute([1, 2, 0, 3])

  def keys(self, x: Tensor) -> Tensor:
    """[n, kv_heads, head_dim] -> [kv_heads, n, head_dim]."""
    return x.permute([1, 0, 2])

  def shared(self, x: Tensor) -> Tensor:
    """[kv_heads, n, head_dim] -> [kv_heads, group, n, head_dim], shared by the group without a copy."""
    return x.unsqueeze(1).expand([self.kv_heads, self.group, x.size(1), self.head_dim])

  def flash(self, n: int) -> bool:
    """Whether PyTorch's CPU kernel is used for n keys: it needs no memory for the scores, but for short examples products
    are several times faster. Such examples are one segment each: the kernel wants as many queries as keys."""
    return self.cpu_kernel and n > self.longest_by_products

  def blocks(self, n: int) -> List[int]:
    """Where n queries are cut: a block is computed with the keys that it sees, so about half is left out."""
    count = max(1, (n + self.block // 2) // self.block)
    return [n * i // count for i in range(count + 1)]

  def product_attention(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor, window: int, exact: bool, out: Tensor) -> Tensor:
    """Attention by matrix products, block by block: q and out [kv_heads, group, n, head_dim], k and v [kv_heads, m,
    head_dim], the queries being the last n of m positions; mask for at least m positions. Scores and their softmax are
    fp32. PyTorch, when it computes grouped queries by products, shares the scale between q and k."""
    part = k.size(1)
    scale = self.scale
    k6 = k.to(6)
    if exact and k.dtype == 6:
      part = __torch__.part(part)
      scale = self.scale ** 0.5
      k6 = k6 * scale
    before = k.size(1) - q.size(2)
    cuts = self.blocks(q.size(2))
    for i in range(len(cuts) - 1):
      a, b = cuts[i], cuts[i + 1]
      s, e = __torch__.first_key(before + a, window), before + b
      q6 = __torch__.grouped(q[:, :, a:b], 6).mul_(scale)
      p = __torch__.probabilities(q6, k6[:, s:e], mask[before + a:e, s:e])
      out[:, :, a:b].copy_(__torch__.weighted_sum(p.to(v.dtype), v[:, s:e], part).view([self.kv_heads, self.group, b - a, self.head_dim]))
    return out

  def product_attention_backward(self, do: Tensor, q: Tensor, k: Tensor, v: Tensor, mask: Tensor, window: int, dq: Tensor) -> Tuple[Tensor, Tensor]:
    """Writes q's gradient; returns those of k and v, fp32. Probabilities are computed again."""
    k6 = k.to(6)
    dk = torch.zeros(k.shape, dtype=6, device=k.device)
    dv = torch.zeros(v.shape, dtype=6, device=v.device)
    before = k.size(1) - q.size(2)
    cuts = self.blocks(q.size(2))
    for i in range(len(cuts) - 1):
      a, b = cuts[i], cuts[i + 1]
      s, e = __torch__.first_key(before + a, window), before + b
      q6 = __torch__.grouped(q[:, :, a:b], 6).mul_(self.scale)
      d = __torch__.grouped(do[:, :, a:b], do.dtype)
      p = __torch__.probabilities(q6, k6[:, s:e], mask[before + a:e, s:e])
      dv[:, s:e].add_(torch.bmm(p.to(v.dtype).transpose(1, 2), d))
      dp = torch.bmm(d, v[:, s:e].transpose(1, 2)).to(6)
      ds = torch._softmax_backward_data(dp, p, 2, 6, grad_input=dp).to(k.dtype)
      dk[:, s:e].add_(torch.bmm(ds.transpose(1, 2), q6.to(k.dtype)))
      dq[:, :, a:b].copy_(torch.bmm(ds, k[:, s:e]).mul_(self.scale).view([self.kv_heads, self.group, b - a, self.head_dim]))
    return dk, dv

  def flash_attention(self, q: Tensor, k: Tensor, v: Tensor, window: int) -> Tuple[Tensor, Tensor]:
    """Attention of one example, as product_attention; returns output and log-sum-exp."""
    if window > 0 and window < q.size(2):
      mask = __torch__.attention_mask(q.size(2), window, q).to(q.dtype)
      return torch._scaled_dot_product_flash_attention_for_cpu(q, self.shared(k), self.shared(v), 0.0, False, attn_mask=mask)
    return torch._scaled_dot_product_flash_attention_for_cpu(q, self.shared(k), self.shared(v), 0.0, True)

  def flash_attention_backward(self, do: Tensor, q: Tensor, k: Tensor, v: Tensor, o: Tensor, lse: Tensor, window: int) -> Tuple[Tensor, Tensor, Tensor]:
    """Gradients in the shapes of q, k and v."""
    if window > 0 and window < q.size(2):
      mask = __torch__.attention_mask(q.size(2), window, q).to(q.dtype)
      dq, dk, dv = torch._scaled_dot_product_flash_attention_for_cpu_backward(
          do, q, self.shared(k), self.shared(v), o, lse, 0.0, False, attn_mask=mask)
    else:
      dq, dk, dv = torch._scaled_dot_product_flash_attention_for_cpu_backward(
          do, q, self.shared(k), self.shared(v), o, lse, 0.0, True)
    return dq, dk.sum([1]), dv.sum([1])

  def spans(self, segments: Tensor) -> List[List[int]]:
    """For each segment the spans of tokens that its last one sees: start and end, start and end, ...; its own last."""
    spans = annotate(List[List[int]], [])
    start = 0
    for i in range(segments.size(0)):
      end = start + int(segments[i, 0])
      parent = int(segments[i, 1])
      own = [start, end]
      spans.append(own if parent < 0 else spans[parent] + own)
      start = end
    return spans

  def keys_seen(self, spans: List[int]) -> int:
    m = 0
    for i in range(len(spans) // 2):
      m += spans[2 * i + 1] - spans[2 * i]
    return m

  def longest_product(self, spans: List[List[int]]) -> int:
    """The most keys for which attention is computed by products."""
    longest = 0
    for segment in spans:
      m = self.keys_seen(segment)
      if not self.flash(m):
        longest = max(longest, m)
    return longest

  def seen(self, x: Tensor, spans: List[int]) -> Tensor:
    """The spans' rows of x [tokens, kv_heads, head_dim] as [kv_heads, m, head_dim]."""
    if len(spans) == 2:
      return self.keys(x[spans[0]:spans[1]])
    return self.keys(torch.cat([x[spans[2 * i]:spans[2 * i + 1]] for i in range(len(spans) // 2)]))

  def add_to_seen(self, x: Tensor, spans: List[int], value: Tensor) -> Tensor:
    """Adds value [kv_heads, m, head_dim] to the spans' rows of x [tokens, kv_heads, head_dim]."""
    at = 0
    for i in range(len(spans) // 2):
      rows = x[spans[2 * i]:spans[2 * i + 1]]
      self.keys(rows).add_(value[:, at:at + rows.size(0)])
      at += rows.size(0)
    return x

  def attention(self, qkv: Tensor, segments: Tensor, window: int, exact: bool, out: Tensor) -> List[Tensor]:
    """qkv [tokens, heads + 2 * kv_heads, head_dim], rotated; writes out [tokens, heads * head_dim]. Returns each
    segment's log-sum-exp, or nothing in its place where backward does not need it."""
    q, k, v = qkv.split([self.heads, self.kv_heads, self.kv_heads], dim=1)
    heads = out.view([qkv.size(0), self.heads, self.head_dim])
    spans = self.spans(segments)
    mask = __torch__.attention_mask(self.longest_product(spans), window, qkv)
    result = annotate(List[Tensor], [])
    for span in spans:
      start, end = span[len(span) - 2], span[len(span) - 1]
      qs, ks, vs = self.queries(q[start:end]), self.seen(k, span), self.seen(v, span)
      if self.flash(ks.size(1)):
        o, lse = self.flash_attention(qs, ks, vs, window)
        self.queries(heads[start:end]).copy_(o)
        result.append(lse)
      else:
        self.product_attention(qs, ks, vs, mask, window, exact, self.queries(heads[start:end]))
        result.append(torch.empty([0], dtype=6, device=out.device))
    return result

  def attention_backward(self, do: Tensor, qkv: Tensor, out: Tensor, lse: List[Tensor], segments: Tensor, window: int, dqkv: Tensor) -> Tensor:
    """Gradient of the rotated qkv, into dqkv of its shape; do and out [tokens, heads * head_dim]."""
    tokens = qkv.size(0)
    q, k, v = qkv.split([self.heads, self.kv_heads, self.kv_heads], dim=1)
    out = out.view([tokens, self.heads, self.head_dim])
    do = do.view([tokens, self.heads, self.head_dim])
    dq, dk, dv = dqkv.split([self.heads, self.kv_heads, self.kv_heads], dim=1)
    dk6 = torch.zeros(k.shape, dtype=6, device=k.device)
    dv6 = torch.zeros(v.shape, dtype=6, device=v.device)
    spans = self.spans(segments)
    mask = __torch__.attention_mask(self.longest_product(spans), window, qkv)
    for i in range(len(spans)):
      span = spans[i]
      start, end = span[len(span) - 2], span[len(span) - 1]
      qs, ks, vs = self.queries(q[start:end]), self.seen(k, span), self.seen(v, span)
      gq, dos = self.queries(dq[start:end]), self.queries(do[start:end])
      if self.flash(ks.size(1)):
        a, b, c = self.flash_attention_backward(dos, qs, ks, vs, self.queries(out[start:end]), lse[i], window)
        gq.copy_(a)
      else:
        b, c = self.product_attention_backward(dos, qs, ks, vs, mask, window, gq)
      self.add_to_seen(dk6, span, b)
      self.add_to_seen(dv6, span, c)
    dk.copy_(dk6)
    dv.copy_(dv6)
    return dqkv

  def project(self, x: Tensor, weight: Tensor, weights: List[Tensor], at_bias: int, exact: bool, out: Tensor) -> Tensor:
    """out = x weight^T (+ bias)."""
    y = __torch__.product(x, weight, exact, out)
    if at_bias >= 0:
      y.add_(weights[at_bias])
    return y

  def add_bias_gradient(self, gradients: List[Tensor], at: int, dy: Tensor, beta: float) -> int:
    if at >= 0:
      __torch__.add_gradient(gradients[at], dy.sum([0], dtype=6), beta)
    return at

  def normalize_heads(self, qkv: Tensor, weights: List[Tensor]) -> List[Tensor]:
    """Qwen3's RMSNorm of each query and key head, in place. Returns what its backward needs: the heads before, q and k."""
    q, k, v = qkv.split([self.heads, self.kv_heads, self.kv_heads], dim=1)
    before = [q.clone(), k.clone()]
    q.mul_(__torch__.inverse_rms(q, self.eps).to(q.dtype)).mul_(weights[self.at_head_norms])
    k.mul_(__torch__.inverse_rms(k, self.eps).to(k.dtype)).mul_(weights[self.at_head_norms + 1])
    return before

  def normalize_heads_backward(self, dqkv: Tensor, before: List[Tensor], weights: List[Tensor], gradients: List[Tensor], beta: float) -> int:
    """In place on dqkv."""
    dq, dk, dv = dqkv.split([self.heads, self.kv_heads, self.kv_heads], dim=1)
    for i in range(2):
      x = before[i].reshape([-1, self.head_dim])
      d = dq if i == 0 else dk
      inverse = __torch__.inverse_rms(x, self.eps)
      at = self.at_head_norms + i
      n = __torch__.normalize(x, inverse, torch.empty_like(x))
      dx = __torch__.normalize_backward(
          d.reshape([-1, self.head_dim]), n, inverse, weights[at], gradients[at], beta, torch.empty_like(x))
      d.copy_(dx.view(d.shape))
    return 0

  def swiglu(self, gate_up: Tensor, out: Tensor) -> Tensor:
    gate, up = gate_up.split([self.intermediate, self.intermediate], dim=1)
    return torch.silu(gate, out=out).mul_(up)

  def room(self, x: Tensor) -> List[Tensor]:
    """Where `layer` puts its results: output, qkv, attention's output, the MLP's residual input, gate_up."""
    heads = self.heads * self.head_dim
    keys_and_values = 2 * self.kv_heads * self.head_dim
    return self.rows_of(x, [x.size(1), heads + keys_and_values, heads, x.size(1), 2 * self.intermediate])

  def forward_scratch(self, x: Tensor) -> List[Tensor]:
    """What `layer` uses of its scratch."""
    return self.rows_of(x, [self.intermediate, x.size(1)])

  def rows_of(self, x: Tensor, widths: List[int]) -> List[Tensor]:
    return [torch.empty([x.size(0), width], dtype=x.dtype, device=x.device) for width in widths]

  def layer(self, x: Tensor, cos: Tensor, sin: Tensor, segments: Tensor, wanted: Tensor, window: int, weights: List[Tensor], room: List[Tensor], scratch: List[Tensor], exact: bool) -> List[Tensor]:
    """Writes into `room`; returns the output, which lies in there, and what else `backward` wants: (q, k before their
    norms,) each segment's lse."""
    qkv, out = room[1], room[2]
    h = __torch__.rms_norm(x, weights[0], self.eps, exact, scratch[1])
    self.project(h, weights[1], weights, self.at_qkv_bias, exact, qkv)
    heads = qkv.view([-1, self.heads + 2 * self.kv_heads, self.head_dim])
    before = annotate(List[Tensor], [])
    if self.at_head_norms >= 0:
      before = self.normalize_heads(heads, weights)
    __torch__.rotate_(heads[:, :self.heads + self.kv_heads], cos, sin, 1.0)
    lse = self.attention(heads, segments, window, exact, out)
    x, out = __torch__.rows(x, wanted), __torch__.rows(out, wanted)
    z, y, gate_up = room[0][:x.size(0)], room[3][:x.size(0)], room[4][:x.size(0)]
    s, a = scratch[0][:x.size(0)], scratch[1][:x.size(0)]
    self.project(out, weights[2], weights, self.at_o_bias, exact, y).add_(x)
    h = __torch__.rms_norm(y, weights[3], self.eps, exact, a)
    self.project(h, weights[4], weights, self.at_gate_up_bias, exact, gate_up)
    self.project(self.swiglu(gate_up, s), weights[5], weights, self.at_down_bias, exact, z).add_(y)
    return [z] + before + lse

  def forward(self, x: Tensor, cos: Tensor, sin: Tensor, segments: Tensor, wanted: Tensor, window: Tensor, exact: Tensor, weights: List[Tensor]) -> Tensor:
    """One layer; nothing is kept for a backward pass. `exact` is 0 if backward_recomputing follows, which is not."""
    torch.set_grad_enabled(False)
    return self.layer(x, cos, sin, segments, wanted, int(window), weights, self.room(x), self.forward_scratch(x), bool(exact))[0]

  def forward_keeping(self, x: Tensor, cos: Tensor, sin: Tensor, segments: Tensor, wanted: Tensor, window: Tensor, weights: List[Tensor], room: List[Tensor], scratch: List[Tensor]) -> List[Tensor]:
    """One layer, as `layer`."""
    torch.set_grad_enabled(False)
    return self.layer(x, cos, sin, segments, wanted, int(window), weights, room, scratch, False)

  def backward_recomputing(self, x: Tensor, dz: Tensor, cos: Tensor, sin: Tensor, segments: Tensor, wanted: Tensor, window: Tensor, beta: Tensor, weights: List[Tensor], gradients: List[Tensor], room: List[Tensor], scratch: List[Tensor]) -> Tensor:
    """As `backward`, from the layer's input alone; `room` is overwritten."""
    torch.set_grad_enabled(False)
    more = self.layer(x, cos, sin, segments, wanted, int(window), weights, room, scratch, False)[1:]
    return self.backward(x, dz, cos, sin, segments, wanted, window, beta, weights, gradients, room, scratch, more)

  def backward(self, x: Tensor, dz: Tensor, cos: Tensor, sin: Tensor, segments: Tensor, wanted: Tensor, window: Tensor, beta: Tensor, weights: List[Tensor], gradients: List[Tensor], room: List[Tensor], scratch: List[Tensor], more: List[Tensor]) -> Tensor:
    """Gradient of the layer's input; the weights' gradients go into `gradients`. `room` and `more` are what `layer`
    filled and returned behind the output. dz is not changed. `scratch` is memory for what lives no longer than this call."""
    torch.set_grad_enabled(False)
    factor = float(beta)
    qkv, out = room[1].view([x.size(0), -1, self.head_dim]), room[2]
    y, gate_up = room[3][:dz.size(0)], room[4][:dz.size(0)]
    lse = more[len(more) - segments.size(0):]
    s, a, b, m, c, do, dqkv, dgate_up = [t[:dz.size(0)] for t in scratch]

    # MLP: z = y + down(silu(gate) * up), gate and up from h = norm(y)
    gate, up = gate_up.split([self.intermediate, self.intermediate], dim=1)
    torch.silu(gate, out=s)
    torch.mul(s, up, out=m)
    __torch__.add_weight_gradient(gradients[5], dz, m, factor)
    self.add_bias_gradient(gradients, self.at_down_bias, dz, factor)
    dm = torch.mm(dz, weights[5], out=m)
    dgate, dup = dgate_up.split([self.intermediate, self.intermediate], dim=1)
    torch.mul(dm, s, out=dup)
    torch.silu_backward(dm.mul_(up), gate, grad_input=dgate)
    inverse = __torch__.inverse_rms(y, self.eps)
    n = __torch__.normalize(y, inverse, b)
    __torch__.add_weight_gradient(gradients[4], dgate_up, torch.mul(n, weights[3], out=c), factor)
    self.add_bias_gradient(gradients, self.at_gate_up_bias, dgate_up, factor)
    dh = torch.mm(dgate_up, weights[4], out=c)
    dy = __torch__.normalize_backward(dh, n, inverse, weights[3], gradients[3], factor, a).add_(dz)

    # Attention: y = x + o(attention(rotate(qkv(norm(x)))))
    __torch__.add_weight_gradient(gradients[2], dy, __torch__.rows(out, wanted), factor)
    self.add_bias_gradient(gradients, self.at_o_bias, dy, factor)
    do = __torch__.in_rows(torch.mm(dy, weights[2], out=do), wanted, out)
    b, c, dqkv = scratch[2], scratch[4], scratch[6]
    dheads = self.attention_backward(do, qkv, out, lse, segments, int(window), dqkv.view(qkv.shape))
    __torch__.rotate_(dheads[:, :self.heads + self.kv_heads], cos, sin, -1.0)
    if self.at_head_norms >= 0:
      self.normalize_heads_backward(dheads, more[:2], weights, gradients, factor)
    inverse = __torch__.inverse_rms(x, self.eps)
    n = __torch__.normalize(x, inverse, b)
    __torch__.add_weight_gradient(gradients[1], dqkv, torch.mul(n, weights[0], out=c), factor)
    self.add_bias_gradient(gradients, self.at_qkv_bias, dqkv, factor)
    dh = torch.mm(dqkv, weights[1], out=c)
    return __torch__.normalize_backward(dh, n, inverse, weights[0], gradients[0], factor, torch.empty_like(x)).add_(__torch__.in_rows(dy, wanted, x))

  def embed(self, ids: Tensor, embedding: Tensor) -> Tensor:
    """[tokens] -> [tokens, hidden]."""
    torch.set_grad_enabled(False)
    return torch.embedding(embedding, ids)

  def embed_backward(self, ids: Tensor, dx: Tensor, gradient: Tensor) -> Tensor:
    """Adds the rows of dx to the rows of the gradient [vocabulary, hidden]."""
    torch.set_grad_enabled(False)
    return gradient.index_add_(0, ids, dx.to(gradient.dtype))

  def rotary(self, positions: Tensor, frequencies: Tensor, scale: Tensor, like: Tensor) -> Tuple[Tensor, Tensor]:
    """cos and sin [tokens, 1, head_dim / 2] in `like`'s dtype; positions [tokens], frequencies [head_dim / 2] fp32."""
    torch.set_grad_enabled(False)
    angles = (positions.to(6).unsqueeze(1) * frequencies).unsqueeze(1)
    return (angles.cos() * scale).to(like.dtype), (angles.sin() * scale).to(like.dtype)

  def final_norm(self, x: Tensor, norm: Tensor) -> Tensor:
    torch.set_grad_enabled(False)
    return __torch__.rms_norm(x, norm, self.eps, True, torch.empty_like(x))

  def logits(self, h: Tensor, head: Tensor) -> Tensor:
    """fp32 logits [tokens, vocabulary] of normed hidden states."""
    torch.set_grad_enabled(False)
    room = torch.empty([h.size(0), head.size(0)], dtype=h.dtype, device=h.device)
    return __torch__.product(h, head, True, room).to(6)

  def chunk_losses(self, h: Tensor, targets: Tensor, scale: float, head: Tensor, logits: Tensor) -> Tensor:
    """-log p of the targets [n, 1], fp32. If `scale` is not 0, the logits [n, vocabulary], of h's dtype, become the
    gradient of `scale` * the sum of that. A few rows at once in fp32, so that they stay in the processor's cache.

    The sum of exponentials is taken by an ordinary (pairwise) sum: PyTorch's own fp32 softmax on the CPU adds them
    up one after the other, which leaves the loss 8e-6 low for large vocabularies."""
    torch.mm(h, head.t(), out=logits)
    losses = torch.empty(targets.shape, dtype=6, device=h.device)
    for start in range(0, h.size(0), self.loss_rows):
      end = min(start + self.loss_rows, h.size(0))
      at = targets[start:end]
      y = logits[start:end].to(6)  # the same memory if it is fp32
      target = y.gather(1, at)
      largest = y.amax([1], keepdim=True)
      total = y.sub_(largest).exp_().sum([1], keepdim=True)
      losses[start:end].copy_(largest + total.log() - target)
      if scale != 0.0:
        y.mul_(scale / total).scatter_add_(1, at, torch.full_like(target, -scale))
        logits[start:end].copy_(y)
    return losses

  def head_loss(self, x: Tensor, rows: Tensor, targets: Tensor, room: Tensor, norm: Tensor, head: Tensor) -> Tensor:
    """Cross entropy [n] of the targets [n, 1] at the given rows of the last layer's output; fp32. In chunks of the rows
    of `room`, logits [chunk, vocabulary] in x's dtype."""
    torch.set_grad_enabled(False)
    h = self.final_norm(x.index_select(0, rows), norm)
    losses = torch.empty(targets.shape, dtype=6, device=x.device)
    for start in range(0, h.size(0), room.size(0)):
      end = min(start + room.size(0), h.size(0))
      losses[start:end].copy_(self.chunk_losses(h[start:end], targets[start:end], 0.0, head, room[:end - start]))
    return losses.squeeze(1)

  def head_backward(self, x: Tensor, rows: Tensor, targets: Tensor, scale: Tensor, beta: Tensor, room: Tensor, norm: Tensor, head: Tensor, dnorm: Tensor, dhead: Tensor) -> Tuple[Tensor, Tensor]:
    """Losses [n] at the supervised rows, and the gradient of `scale` * their sum with respect to x; the weights'
    gradients go into dnorm and dhead. `room` is as for head_loss."""
    torch.set_grad_enabled(False)
    b = float(beta)
    xs = x.index_select(0, rows)
    inverse = __torch__.inverse_rms(xs, self.eps)
    n = __torch__.normalize(xs, inverse, torch.empty_like(xs))
    h = n * norm
    dh = torch.empty_like(h)
    losses = torch.empty(targets.shape, dtype=6, device=x.device)
    for start in range(0, h.size(0), room.size(0)):
      end = min(start + room.size(0), h.size(0))
      logits = room[:end - start]
      losses[start:end].copy_(self.chunk_losses(h[start:end], targets[start:end], float(scale), head, logits))
      torch.mm(logits, head, out=dh[start:end])
      __torch__.add_weight_gradient(dhead, logits, h[start:end], b)
      b = 1.0
    dxs = __torch__.normalize_backward(dh, n, inverse, norm, dnorm, float(beta), h)
    dx = torch.zeros_like(x).index_add_(0, rows, dxs)  # examples may share a row
    return losses.squeeze(1), dx
