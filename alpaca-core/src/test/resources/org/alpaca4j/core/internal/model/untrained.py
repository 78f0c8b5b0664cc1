# Gradients of weights and biases, with operands from Java.

# methods
  def weight(self, gradient: Tensor, dy: Tensor, x: Tensor) -> Tensor:
    torch.set_grad_enabled(False)
    return __torch__.add_weight_gradient(gradient, dy, x, 0, 0.0)

  def bias(self, gradient: Tensor, dy: Tensor) -> Tensor:
    torch.set_grad_enabled(False)
    return __torch__.add_bias_gradient(gradient, dy, 0.0)
