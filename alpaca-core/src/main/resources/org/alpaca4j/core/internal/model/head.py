# The head: final norm and logits. What a family has not is an empty tensor.
#
# Logits are softcap * tanh(l / softcap) of l = multiplier * (h matrix^T + bias); `normalised`: each row of the matrix is
# divided by its length first, which is done to the logits.


# methods
  def head_input(self, x: Tensor, norm: Tensor, norm_bias: Tensor, projection: Tensor, mode: int) -> Tensor:
    """What the matrix is multiplied with: the last layer's output, normed and projected."""
    h = x
    if self.final_norm == "rms":
      h = __torch__.rms_norm(x, __torch__.plus_one(norm) if self.norm_plus_one else norm, self.final_eps, mode, torch.empty_like(x))
    if self.final_norm == "layer":
      h = torch.empty_like(x)
      __torch__.layer_norm(x, norm, norm_bias, self.final_eps, h)
    if projection.numel() > 0:
      h = __torch__.linear(h, projection, mode, torch.empty([h.size(0), projection.size(0)], dtype=h.dtype, device=h.device))
    return h

  def final_hidden(self, x: Tensor, norm: Tensor, norm_bias: Tensor, projection: Tensor) -> Tensor:
    torch.set_grad_enabled(False)
    return self.head_input(x, norm, norm_bias, projection, 1)

  def inverse_lengths(self, matrix: Tensor) -> Tensor:
    """1 / length of each row of the matrix, fp32 [vocabulary]; empty where rows are not normalised."""
    if not self.normalised:
      return torch.empty([0], dtype=6, device=matrix.device)
    return torch.linalg_vector_norm(matrix, 2, [1], dtype=__torch__.wide(matrix.dtype)).clamp_min_(1e-12).reciprocal_()

  def shape_logits_(self, y: Tensor, inverse: Tensor, bias: Tensor) -> Tensor:
    """From products to logits, in place."""
    if inverse.numel() > 0:
      y.mul_(inverse)
    if bias.numel() > 0:
      y.add_(bias)
    if self.multiplier != 1.0:
      y.mul_(self.multiplier)
    if self.logit_softcap > 0.0:
      y.div_(self.logit_softcap).tanh_().mul_(self.logit_softcap)
    return y

  def logits(self, h: Tensor, mode: Tensor, matrix: Tensor, bias: Tensor) -> Tensor:
    """fp32 logits [tokens, vocabulary] of final hidden states."""
    torch.set_grad_enabled(False)
    products = torch.empty([h.size(0), matrix.size(0)], dtype=h.dtype, device=h.device)
    y = __torch__.linear(h, matrix, int(mode), products).to(6)
    return self.shape_logits_(y, self.inverse_lengths(matrix), bias)
