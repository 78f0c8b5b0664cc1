# Attention with grouped queries (Ainslie et al. 2023), over packed examples.
#
# Tokens of several examples lie one after the other ("packed"): [tokens, ...], no padding. What examples begin with
# alike is there once: `segments` [segments, 3] holds each segment's number of tokens, the segment that it continues, or -1,
# and its context: how many of its first tokens see each other in both directions (0: causal). Attention sees a segment and
# what it continues, nothing else; before all that, keys and values of a prefix which is there for every segment: `prefix`
# [2 * positions, kv_heads * head_dim], or empty. Its keys are not rotated, and its positions count for windows and biases.
#
# Settings of a layer: heads, kv_heads, head_dim; `scale` of the scores; `window`: positions that a query sees, itself
# included, or 0 for all before it; `softcap`: scores become softcap * tanh(score / softcap), unless it is 0; `bias`
# [heads, positions]: what is added to the score of the key at a position, empty for nothing.


def attention_mask(n: int, window: int, like: Tensor) -> Tensor:
    """[n, n] fp32, 0 where a query may look, -inf elsewhere: causal, and at most `window` positions back, if it is not 0."""
    mask = torch.full([n, n], float("-inf"), dtype=__torch__.wide(like.dtype), device=like.device).triu_(1)
    if window > 0 and window < n:
        mask.add_(torch.full_like(mask, float("-inf")).tril_(-window))
    return mask


def seen_by(mask: Tensor, query: int, queries: int, first: int, end: int, context: int) -> Tensor:
    """The mask of some queries for the keys from first to end; those of the context are seen by all."""
    part = mask[query:query + queries, first:end]
    if context > first:
        part = part.clone()
        part[:, :context - first].zero_()
    return part


def first_key(query: int, window: int) -> int:
    """The first position that a query looks at."""
    return max(0, query + 1 - window) if window > 0 else 0


def grouped(x: Tensor, dtype: int) -> Tensor:
    """[kv_heads, group, n, head_dim] -> [kv_heads, group * n, head_dim], a copy in the order of the new shape."""
    return x.to(dtype, copy=True, memory_format=0).view([x.size(0), x.size(1) * x.size(2), x.size(3)])


def scores(q: Tensor, k: Tensor, softcap: float) -> Tensor:
    """q k^T, capped: fp32 [kv_heads, group * n, m]; q [kv_heads, group * n, head_dim] scaled, k [kv_heads, m, head_dim]."""
    s = torch.bmm(q, k.transpose(1, 2))
    if softcap > 0.0:
        s.div_(softcap).tanh_().mul_(softcap)
    return s


def probabilities(s: Tensor, mask: Tensor, bias: Tensor) -> Tensor:
    """softmax(s + mask + bias) in place of the scores; mask [n, m], bias [heads, m] or empty."""
    by_head = s.view([s.size(0), -1, mask.size(0), mask.size(1)])
    by_head.add_(mask)
    if bias.numel() > 0:
        by_head.add_(bias.view([s.size(0), -1, 1, mask.size(1)]))
    return torch._softmax(s, 2, False, out=s)


def weighted_sum(p: Tensor, v: Tensor, part: int) -> Tensor:
    """p v of each batch, `part` keys at a time."""
    y = torch.bmm(p[:, :, :part], v[:, :part])
    for start in range(part, p.size(2), part):
        y = torch.baddbmm(y, p[:, :, start:start + part], v[:, start:start + part])
    return y


def queries_of(x: Tensor, kv_heads: int) -> Tensor:
    """[n, heads, head_dim] -> [kv_heads, group, n, head_dim]: kv heads as the batch, the group's queries as heads."""
    return x.unflatten(1, [kv_heads, x.size(1) // kv_heads]).permute([1, 2, 0, 3])


def keys_of(x: Tensor) -> Tensor:
    """[n, kv_heads, head_dim] -> [kv_heads, n, head_dim]."""
    return x.permute([1, 0, 2])


def shared_by(x: Tensor, group: int) -> Tensor:
    """[kv_heads, n, head_dim] -> [kv_heads, group, n, head_dim], shared by the group without a copy."""
    return x.unsqueeze(1).expand([x.size(0), group, x.size(1), x.size(2)])


def flash_attention(q: Tensor, k: Tensor, v: Tensor, scale: float, window: int) -> Tuple[Tensor, Tensor]:
    """Attention of one example by PyTorch's kernel for CPUs; returns output and log-sum-exp."""
    group = q.size(1)
    if window > 0 and window < q.size(2):
        mask = __torch__.attention_mask(q.size(2), window, q).to(q.dtype)
        return torch._scaled_dot_product_flash_attention_for_cpu(
            q, __torch__.shared_by(k, group), __torch__.shared_by(v, group), 0.0, False, attn_mask=mask, scale=scale)
    return torch._scaled_dot_product_flash_attention_for_cpu(
        q, __torch__.shared_by(k, group), __torch__.shared_by(v, group), 0.0, True, scale=scale)


def flash_attention_backward(do: Tensor, q: Tensor, k: Tensor, v: Tensor, o: Tensor, lse: Tensor, scale: float, window: int) -> Tuple[Tensor, Tensor, Tensor]:
    """Gradients in the shapes of q, k and v."""
    group = q.size(1)
    if window > 0 and window < q.size(2):
        mask = __torch__.attention_mask(q.size(2), window, q).to(q.dtype)
        dq, dk, dv = torch._scaled_dot_product_flash_attention_for_cpu_backward(
            do, q, __torch__.shared_by(k, group), __torch__.shared_by(v, group), o, lse, 0.0, False, attn_mask=mask, scale=scale)
    else:
        dq, dk, dv = torch._scaled_dot_product_flash_attention_for_cpu_backward(
            do, q, __torch__.shared_by(k, group), __torch__.shared_by(v, group), o, lse, 0.0, True, scale=scale)
    return dq, dk.sum([1]), dv.sum([1])


def spans_of(segments: Tensor) -> List[List[int]]:
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


def keys_seen(spans: List[int], prefix: int) -> int:
    m = prefix
    for i in range(len(spans) // 2):
        m += spans[2 * i + 1] - spans[2 * i]
    return m


def seen(x: Tensor, spans: List[int], prefix: Tensor) -> Tensor:
    """A prefix [p, kv_heads, head_dim] and the spans' rows of x [tokens, kv_heads, head_dim], as [kv_heads, p + m,
    head_dim]."""
    if len(spans) == 2 and prefix.size(0) == 0:
        return __torch__.keys_of(x[spans[0]:spans[1]])
    return __torch__.keys_of(torch.cat([prefix] + [x[spans[2 * i]:spans[2 * i + 1]] for i in range(len(spans) // 2)]))


def prefix_of(prefix: Tensor, like: Tensor) -> Tuple[Tensor, Tensor]:
    """A prefix's keys and values, each [p, kv_heads, head_dim], of like's dtype; like [tokens, kv_heads, head_dim]."""
    keys, values = prefix.to(like.dtype).view([2, prefix.size(0) // 2, like.size(1), like.size(2)]).unbind(0)
    return keys, values


def add_to_seen(x: Tensor, spans: List[int], value: Tensor) -> Tensor:
    """Adds value [kv_heads, m, head_dim] to the spans' rows of x [tokens, kv_heads, head_dim]."""
    at = 0
    for i in range(len(spans) // 2):
        rows = x[spans[2 * i]:spans[2 * i + 1]]
        __torch__.keys_of(rows).add_(value[:, at:at + rows.size(0)])
        at += rows.size(0)
    return x


# methods
  def flash(self, n: int, prefix: int, softcap: float, bias: Tensor, context: int) -> bool:
    """Whether PyTorch's CPU kernel is used for n keys: it needs no memory for the scores, but for short examples products
    are several times faster. Such examples are one segment each: the kernel wants as many queries as keys."""
    fits = softcap == 0.0 and bias.numel() == 0 and context == 0 and prefix == 0
    return self.cpu_kernel and n > self.longest_by_products and fits

  def blocks(self, n: int) -> List[int]:
    """Where n queries are cut: a block is computed with the keys that it sees, so about half is left out."""
    count = max(1, (n + self.block // 2) // self.block)
    return [n * i // count for i in range(count + 1)]

  def longest_product(self, spans: List[List[int]], prefix: int, segments: Tensor, softcap: float, bias: Tensor) -> int:
    """The most keys for which attention is computed by products."""
    longest = 0
    for i in range(len(spans)):
      m = __torch__.keys_seen(spans[i], prefix)
      if not self.flash(m, prefix, softcap, bias, int(segments[i, 2])):
        longest = max(longest, m)
    return longest

  def product_attention(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor, bias: Tensor, context: int, scale: float, window: int, softcap: float, mode: int, out: Tensor) -> Tensor:
    """Attention by matrix products, block by block: q and out [kv_heads, group, n, head_dim], k and v [kv_heads, m,
    head_dim], the queries being the last n of m positions; mask for at least m positions. Scores and their softmax are
    fp32. PyTorch, when it computes grouped queries by products, shares the scale between q and k."""
    part = k.size(1)
    wide = __torch__.wide(k.dtype)
    k6 = k.to(wide)
    if mode == 1 and k.dtype == 6:
      part = __torch__.part(part)
      scale = scale ** 0.5
      k6 = k6 * scale
    v = v.to(__torch__.products_in(v, mode))
    before = k.size(1) - q.size(2)
    cuts = self.blocks(q.size(2))
    for i in range(len(cuts) - 1):
      a, b = cuts[i], cuts[i + 1]
      s, e = __torch__.first_key(before + a, window), max(before + b, context)
      q6 = __torch__.grouped(q[:, :, a:b], wide).mul_(scale)
      seen = __torch__.seen_by(mask, before + a, b - a, s, e, context)
      p = __torch__.probabilities(__torch__.scores(q6, k6[:, s:e], softcap), seen, bias[:, s:e])
      y = __torch__.weighted_sum(p.to(v.dtype), v[:, s:e], part)
      out[:, :, a:b].copy_(y.view([q.size(0), q.size(1), b - a, q.size(3)]))
    return out

  def product_attention_backward(self, do: Tensor, q: Tensor, k: Tensor, v: Tensor, mask: Tensor, bias: Tensor, context: int, scale: float, window: int, softcap: float, mode: int, dq: Tensor) -> Tuple[Tensor, Tensor]:
    """Writes q's gradient; returns those of k and v, fp32. Probabilities are computed again."""
    wide = __torch__.wide(k.dtype)
    k6 = k.to(wide)
    dk = torch.zeros(k.shape, dtype=wide, device=k.device)
    dv = torch.zeros(v.shape, dtype=wide, device=v.device)
    dtype = __torch__.products_in(v, mode)
    k, v = k.to(dtype), v.to(dtype)
    before = k.size(1) - q.size(2)
    cuts = self.blocks(q.size(2))
    for i in range(len(cuts) - 1):
      a, b = cuts[i], cuts[i + 1]
      s, e = __torch__.first_key(before + a, window), max(before + b, context)
      q6 = __torch__.grouped(q[:, :, a:b], wide).mul_(scale)
      d = __torch__.grouped(do[:, :, a:b], dtype)
      seen = __torch__.seen_by(mask, before + a, b - a, s, e, context)
      p = __torch__.scores(q6, k6[:, s:e], softcap)
      slope = p
      if softcap > 0.0:
        slope = torch.rsub((p / softcap).pow_(2), 1.0)
      p = __torch__.probabilities(p, seen, bias[:, s:e])
      dv[:, s:e].add_(torch.bmm(p.to(dtype).transpose(1, 2), d))
      dp = torch.bmm(d, v[:, s:e].transpose(1, 2)).to(wide)
      ds = torch._softmax_backward_data(dp, p, 2, wide, grad_input=dp)
      if softcap > 0.0:
        ds.mul_(slope)
      ds = ds.to(dtype)
      dk[:, s:e].add_(torch.bmm(ds.transpose(1, 2), q6.to(dtype)))
      y = torch.bmm(ds, k[:, s:e]).mul_(scale)
      dq[:, :, a:b].copy_(y.view([q.size(0), q.size(1), b - a, q.size(3)]))
    return dk, dv

  def attention_by_segments(self, qkv: Tensor, prefix: Tensor, segments: Tensor, bias: Tensor, heads: int, kv_heads: int, head_dim: int, scale: float, window: int, softcap: float, mode: int, out: Tensor) -> List[Tensor]:
    """qkv [tokens, (heads + 2 * kv_heads) * head_dim], rotated; writes out [tokens, heads * head_dim]. Returns each
    segment's log-sum-exp, or nothing in its place where backward does not need it."""
    tokens = qkv.size(0)
    q, k, v = qkv.view([tokens, -1, head_dim]).split([heads, kv_heads, kv_heads], dim=1)
    by_head = out.view([tokens, heads, head_dim])
    spans = __torch__.spans_of(segments)
    prefix_keys, prefix_values = __torch__.prefix_of(prefix, k)
    p = prefix_keys.size(0)
    mask = __torch__.attention_mask(self.longest_product(spans, p, segments, softcap, bias), window, qkv)
    result = annotate(List[Tensor], [])
    for i in range(len(spans)):
      span, context = spans[i], int(segments[i, 2])
      context = context + p if context > 0 else 0
      start, end = span[len(span) - 2], span[len(span) - 1]
      qs = __torch__.queries_of(q[start:end], kv_heads)
      ks, vs = __torch__.seen(k, span, prefix_keys), __torch__.seen(v, span, prefix_values)
      os = __torch__.queries_of(by_head[start:end], kv_heads)
      if self.flash(ks.size(1), p, softcap, bias, context):
        dtype = __torch__.products_in(vs, mode)
        o, lse = __torch__.flash_attention(qs.to(dtype), ks.to(dtype), vs.to(dtype), scale, window)
        os.copy_(o)
        result.append(lse)
      else:
        self.product_attention(qs, ks, vs, mask, bias, context, scale, window, softcap, mode, os)
        result.append(torch.empty([0], dtype=6, device=out.device))
    return result

  def attention_by_segments_backward(self, do: Tensor, qkv: Tensor, prefix: Tensor, dprefix: Tensor, out: Tensor, lse: List[Tensor], segments: Tensor, bias: Tensor, heads: int, kv_heads: int, head_dim: int, scale: float, window: int, softcap: float, mode: int, beta: float, dqkv: Tensor) -> Tensor:
    """Gradient of the rotated qkv, into dqkv of its shape; do and out [tokens, heads * head_dim]. The prefix's goes into
    dprefix, beta times itself more."""
    tokens = qkv.size(0)
    q, k, v = qkv.view([tokens, -1, head_dim]).split([heads, kv_heads, kv_heads], dim=1)
    out = out.view([tokens, heads, head_dim])
    do = do.view([tokens, heads, head_dim])
    dq, dk, dv = dqkv.view([tokens, -1, head_dim]).split([heads, kv_heads, kv_heads], dim=1)
    prefix_keys, prefix_values = __torch__.prefix_of(prefix, k)
    p = prefix_keys.size(0)
    dk6 = torch.zeros(k.shape, dtype=__torch__.wide(k.dtype), device=k.device)
    dv6 = torch.zeros(v.shape, dtype=__torch__.wide(k.dtype), device=k.device)
    dp6 = torch.zeros([2, p, kv_heads, head_dim], dtype=__torch__.wide(k.dtype), device=k.device)
    spans = __torch__.spans_of(segments)
    mask = __torch__.attention_mask(self.longest_product(spans, p, segments, softcap, bias), window, qkv)
    for i in range(len(spans)):
      span, context = spans[i], int(segments[i, 2])
      context = context + p if context > 0 else 0
      start, end = span[len(span) - 2], span[len(span) - 1]
      qs = __torch__.queries_of(q[start:end], kv_heads)
      ks, vs = __torch__.seen(k, span, prefix_keys), __torch__.seen(v, span, prefix_values)
      gq, dos = __torch__.queries_of(dq[start:end], kv_heads), __torch__.queries_of(do[start:end], kv_heads)
      if self.flash(ks.size(1), p, softcap, bias, context):
        os = __torch__.queries_of(out[start:end], kv_heads)
        dtype = __torch__.products_in(vs, mode)
        a, b, c = __torch__.flash_attention_backward(
            dos.to(dtype), qs.to(dtype), ks.to(dtype), vs.to(dtype), os.to(dtype), lse[i], scale, window)
        gq.copy_(a)
      else:
        b, c = self.product_attention_backward(dos, qs, ks, vs, mask, bias, context, scale, window, softcap, mode, gq)
      if p > 0:
        __torch__.keys_of(dp6[0]).add_(b[:, :p])
        __torch__.keys_of(dp6[1]).add_(c[:, :p])
      __torch__.add_to_seen(dk6, span, b[:, p:])
      __torch__.add_to_seen(dv6, span, c[:, p:])
    dk.copy_(dk6)
    dv.copy_(dv6)
    if p > 0:
      __torch__.add_gradient(dprefix, dp6.view(prefix.shape), beta)
    return dqkv

  def attend_cached(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor, scale: float, softcap: float) -> Tensor:
    """q [rows, kv_heads, group, head_dim], the group's queries as if they were positions; k, v [rows, kv_heads, n, head_dim];
    mask [rows, 1 or kv_heads, 1 or group, n], or empty."""
    if self.cpu_kernel and softcap == 0.0:
      if mask.numel() > 0:
        return torch._scaled_dot_product_flash_attention_for_cpu(q, k, v, 0.0, False, attn_mask=mask, scale=scale)[0]
      return torch._scaled_dot_product_flash_attention_for_cpu(q, k, v, 0.0, False, scale=scale)[0]
    scores = torch.matmul(q, k.transpose(2, 3)).to(6).mul_(scale)
    if softcap > 0.0:
      scores.div_(softcap).tanh_().mul_(softcap)
    if mask.numel() > 0:
      scores = scores + mask
    return torch.matmul(torch.softmax(scores, -1).to(v.dtype), v)

  def attention_step(self, qkv: Tensor, layer: int, columns: int, column: List[Tensor], past: List[Tensor], hidden: Tensor, mask: Tensor, heads: int, kv_heads: int, scale: float, window: int, softcap: float) -> Tensor:
    """One token of each row: qkv [rows, heads + 2 * kv_heads, head_dim], rotated, goes into the cache's next column;
    [rows, heads * head_dim]. column and past: that column and all up to it, two for each layer; hidden: the mask's."""
    rows = qkv.size(0)
    q, k, v = qkv.split([heads, kv_heads, kv_heads], dim=1)
    column[2 * layer].copy_(k)
    column[2 * layer + 1].copy_(v)
    keys, values, seen = past[2 * layer], past[2 * layer + 1], hidden
    if window > 0 and window <= columns:
      start = columns + 1 - window
      keys, values = torch.narrow(keys, 2, start, window), torch.narrow(values, 2, start, window)
      if mask.numel() > 0:
        seen = torch.narrow(mask, 3, start, window)
    out = self.attend_cached(q.view([rows, kv_heads, heads // kv_heads, -1]), keys, values, seen, scale, softcap)
    return out.reshape([rows, -1])
