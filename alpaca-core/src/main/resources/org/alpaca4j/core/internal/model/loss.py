# Cross entropy of the head's logits and its gradient. Read together with head.py.


# methods
  def chunk_losses(self, h: Tensor, targets: Tensor, scales: Tensor, matrix: Tensor, inverse: Tensor, bias: Tensor, mode: int, logits: Tensor, along: Tensor) -> Tensor:
    """-log p of the targets [n, 1], fp32. If there are `scales` [n, 1], the logits [n, vocabulary], of h's dtype, become
    the gradient of the sum of `scales` * that, with respect to the products; and `along` [vocabulary] grows by the sum
    of gradient times product, for normalised rows. A few rows at once in fp32, so that they stay in the processor's
    cache.

    The sum of exponentials is taken by an ordinary (pairwise) sum: PyTorch's own fp32 softmax on the CPU adds them
    up one after the other, which leaves the loss 8e-6 low for large vocabularies."""
    __torch__.linear(h, matrix, mode, logits)
    wide = __torch__.wide(h.dtype)
    losses = torch.empty(targets.shape, dtype=wide, device=h.device)
    for start in range(0, h.size(0), self.loss_rows):
      end = min(start + self.loss_rows, h.size(0))
      at = targets[start:end]
      y = logits[start:end].to(wide)  # the same memory if it is fp32
      products = y
      if along.numel() > 0:
        products = y.clone()
      self.shape_logits_(y, inverse, bias)
      slope = y
      if self.logit_softcap > 0.0:
        slope = torch.rsub((y / self.logit_softcap).pow_(2), 1.0)
      target = y.gather(1, at)
      largest = y.amax([1], keepdim=True)
      total = y.sub_(largest).exp_().sum([1], keepdim=True)
      losses[start:end].copy_(largest + total.log() - target)
      if scales.numel() > 0:
        scale = scales[start:end].to(wide)
        y.mul_(total.reciprocal() * scale).scatter_add_(1, at, -scale)
        if self.logit_softcap > 0.0:
          y.mul_(slope)
        if self.multiplier != 1.0:
          y.mul_(self.multiplier)
        if inverse.numel() > 0:
          y.mul_(inverse)
        if along.numel() > 0:
          along.add_((y * products).sum([0]))
        logits[start:end].copy_(y)
    return losses

  def head_loss(self, x: Tensor, rows: Tensor, targets: Tensor, mode: Tensor, logits_buffer: Tensor, norm: Tensor, norm_bias: Tensor, projection: Tensor, matrix: Tensor, bias: Tensor) -> Tensor:
    """Cross entropy [n] of the targets [n, 1] at the given rows of the last layer's output; fp32. In chunks of the rows
    of `logits_buffer`, logits [chunk, vocabulary] in x's dtype."""
    torch.set_grad_enabled(False)
    h = self.head_input(x.index_select(0, rows), norm, norm_bias, projection, max(int(mode), 1))
    inverse = self.inverse_lengths(matrix)
    losses = torch.empty(targets.shape, dtype=__torch__.wide(x.dtype), device=x.device)
    for start in range(0, h.size(0), logits_buffer.size(0)):
      end = min(start + logits_buffer.size(0), h.size(0))
      losses[start:end].copy_(self.chunk_losses(
          h[start:end], targets[start:end], inverse[:0], matrix, inverse, bias, int(mode), logits_buffer[:end - start], inverse[:0]))
    return losses.squeeze(1)

  def head_backward(self, x: Tensor, rows: Tensor, targets: Tensor, scales: Tensor, beta: Tensor, mode: Tensor, logits_buffer: Tensor, norm: Tensor, norm_bias: Tensor, projection: Tensor, matrix: Tensor, bias: Tensor, dnorm: Tensor, dnorm_bias: Tensor, dprojection: Tensor, dmatrix: Tensor, dbias: Tensor) -> Tuple[Tensor, Tensor]:
    """Losses [n] at the supervised rows, and the gradient of the sum of `scales` [n, 1] * them with respect to x; the
    weights' gradients go into those given. `logits_buffer` is as for head_loss."""
    torch.set_grad_enabled(False)
    factor, how = float(beta), int(mode)
    xs = x.index_select(0, rows)
    n, h = xs, xs
    mean, spread = xs, xs
    weight = __torch__.plus_one(norm) if self.norm_plus_one else norm
    if self.final_norm == "rms":
      spread = __torch__.inverse_rms(xs, self.final_eps)
      n = __torch__.normalize(xs, spread, torch.empty_like(xs))
      h = n * weight
    if self.final_norm == "layer":
      h = torch.empty_like(xs)
      mean, spread = __torch__.layer_norm(xs, norm, norm_bias, self.final_eps, h)
    normed = h
    if projection.numel() > 0:
      h = __torch__.linear(normed, projection, how, torch.empty([h.size(0), projection.size(0)], dtype=h.dtype, device=h.device))
    inverse = self.inverse_lengths(matrix)
    along = torch.zeros_like(inverse)
    dh = torch.empty_like(h)
    losses = torch.empty(targets.shape, dtype=__torch__.wide(x.dtype), device=x.device)
    b = factor
    for start in range(0, h.size(0), logits_buffer.size(0)):
      end = min(start + logits_buffer.size(0), h.size(0))
      logits = logits_buffer[:end - start]
      losses[start:end].copy_(self.chunk_losses(
          h[start:end], targets[start:end], scales[start:end], matrix, inverse, bias, how, logits, along))
      __torch__.linear_backward(logits, matrix, how, dh[start:end])
      __torch__.add_weight_gradient(dmatrix, logits, h[start:end], how, b)
      if bias.numel() > 0:
        __torch__.add_bias_gradient(dbias, logits, b)
      b = 1.0
    if along.numel() > 0 and dmatrix.numel() > 0:
      dmatrix.addcmul_(matrix, (along * inverse * inverse).unsqueeze(1), value=-1.0)
    if projection.numel() > 0:
      __torch__.add_weight_gradient(dprojection, dh, normed, how, factor)
      dh = __torch__.linear_backward(dh, projection, how, torch.empty_like(normed))
    dxs = dh
    if self.final_norm == "rms":
      dxs = __torch__.rms_norm_backward(dh, n, spread, weight, dnorm, factor, normed)
    if self.final_norm == "layer":
      dxs = __torch__.layer_norm_backward(dh, xs, mean, spread, norm, norm_bias, dnorm, dnorm_bias, factor, torch.empty_like(xs))
    dx = torch.zeros_like(x).index_add_(0, rows, dxs)  # examples may share a row
    return losses.squeeze(1), dx
