# The three matrix products of a linear module, into memory that is there already.

# methods
  def output(self, x: Tensor, w: Tensor, y: Tensor) -> Tensor:
    """y [n, out] = x [n, in] w^T, w [out, in]."""
    torch.set_grad_enabled(False)
    return torch.mm(x, w.t(), out=y)

  def input_gradient(self, dy: Tensor, w: Tensor, dx: Tensor) -> Tensor:
    """dx [n, in] = dy w."""
    torch.set_grad_enabled(False)
    return torch.mm(dy, w, out=dx)

  def weight_gradient(self, dy: Tensor, x: Tensor, dw: Tensor) -> Tensor:
    """dw [out, in] = dy^T x."""
    torch.set_grad_enabled(False)
    return torch.mm(dy.t(), x, out=dw)
