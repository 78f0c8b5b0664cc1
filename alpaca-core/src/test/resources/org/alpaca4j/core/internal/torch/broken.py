# Does not compile.

# methods
  def wrong(self, x: Tensor) -> Tensor:
    return torch.no_such_operator(x)
