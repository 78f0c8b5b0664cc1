# The first layer's input: rows of the token embedding, scaled, projected, with learned positions, normalised, whatever a
# family has of it. What it has not is an empty tensor.


# methods
  def embedded(self, ids: Tensor, tokens: Tensor, dtype: int) -> Tensor:
    x = torch.embedding(tokens, ids).to(dtype)
    if self.embedding_scale != 1.0:
      x.mul_(torch.tensor(self.embedding_scale, dtype=x.dtype, device=x.device))
    return x

  def summed(self, ids: Tensor, places: Tensor, tokens: Tensor, projection: Tensor, positions: Tensor, dtype: int) -> Tensor:
    x = self.embedded(ids, tokens, dtype)
    if projection.numel() > 0:
      x = __torch__.linear(x, projection, 1, torch.empty([x.size(0), projection.size(0)], dtype=x.dtype, device=x.device))
    if positions.numel() > 0:
      x.add_(torch.embedding(positions, places + self.position_offset))
    return x

  def embed(self, ids: Tensor, places: Tensor, like: Tensor, tokens: Tensor, projection: Tensor, positions: Tensor, norm: Tensor, bias: Tensor) -> Tensor:
    """[tokens] -> [tokens, hidden] in `like`'s dtype; places are positions in the examples."""
    torch.set_grad_enabled(False)
    x = self.summed(ids, places, tokens, projection, positions, like.dtype)
    if norm.numel() > 0:
      __torch__.layer_norm(x, norm, bias, self.embedding_eps, x)
    return x

  def embed_backward(self, ids: Tensor, places: Tensor, dx: Tensor, beta: Tensor, tied: Tensor, tokens: Tensor, projection: Tensor, positions: Tensor, norm: Tensor, bias: Tensor, dtokens: Tensor, dprojection: Tensor, dpositions: Tensor, dnorm: Tensor, dbias: Tensor) -> Tensor:
    """Adds the rows of dx to the rows of dtokens [vocabulary, width], which holds the head's gradient already if that is
    `tied`; all other gradients become beta times themselves more."""
    torch.set_grad_enabled(False)
    b = float(beta)
    if norm.numel() > 0:
      x = self.summed(ids, places, tokens, projection, positions, dx.dtype)
      mean, inverse = __torch__.layer_norm(x, norm, bias, self.embedding_eps, torch.empty_like(x))
      dx = __torch__.layer_norm_backward(dx, x, mean, inverse, norm, bias, dnorm, dbias, b, torch.empty_like(x))
    if dpositions.numel() > 0:
      if b == 0.0:
        dpositions.zero_()
      dpositions.index_add_(0, places + self.position_offset, dx.to(dpositions.dtype))
    if projection.numel() > 0:
      __torch__.add_weight_gradient(dprojection, dx, self.embedded(ids, tokens, dx.dtype), 0, b)
      dx = __torch__.linear_backward(dx, projection, 0, torch.empty([dx.size(0), projection.size(1)], dtype=dx.dtype, device=dx.device))
    if dtokens.numel() == 0:
      return dtokens
    if b == 0.0 and float(tied) == 0.0:
      dtokens.zero_()
    if self.embedding_scale != 1.0:
      dx = dx * torch.tensor(self.embedding_scale, dtype=dx.dtype, device=dx.device)
    return dtokens.index_add_(0, ids, dx.to(dtokens.dtype))
