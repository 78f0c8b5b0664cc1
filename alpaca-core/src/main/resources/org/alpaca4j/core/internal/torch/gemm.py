# Products of matrices to time and check back ends with.

# methods
  def multiply(self, x: Tensor, w: Tensor) -> Tensor:
    torch.set_grad_enabled(False)
    return torch.mm(x, w.t())

  def multiply_wide(self, x: Tensor, w: Tensor) -> Tensor:
    """As multiply, in fp32 from operands of 16 bits."""
    torch.set_grad_enabled(False)
    return torch.mm(x.to(6), w.to(6).t()).to(x.dtype)

  def error(self, x: Tensor, w: Tensor) -> Tensor:
    """Largest absolute error in the first rows of x w^T against fp64."""
    torch.set_grad_enabled(False)
    exact = torch.mm(x[:16].to(7), w.to(7).t())
    return torch.sub(torch.mm(x, w.t())[:16].to(7), exact).abs().max().to(6)
