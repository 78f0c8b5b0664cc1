# The order in which PyTorch sorts equal scores.

# methods
  def ascending(self, scores: Tensor) -> Tensor:
    torch.set_grad_enabled(False)
    return torch.sort(scores, 1, False)[1]
