# What is computed once for packed examples, before the first layer. Loaded with positions.py.


# methods
  def rotary_tables(self, positions: Tensor, frequencies: Tensor, scale: Tensor, like: Tensor) -> Tuple[Tensor, Tensor]:
    """As the function of positions.py."""
    torch.set_grad_enabled(False)
    return __torch__.rotary(positions, frequencies, scale, like)

  def alibi_biases(self, slopes: Tensor, positions: Tensor) -> Tensor:
    """As the function of positions.py."""
    torch.set_grad_enabled(False)
    return __torch__.alibi(slopes, positions, self.alibi_rounded, self.alibi_scale)
