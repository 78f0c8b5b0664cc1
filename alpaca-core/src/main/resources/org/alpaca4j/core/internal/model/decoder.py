# What Java calls for a layer. `layer` and `mode` are numbers on the CPU; `batch` is what attention needs to know of the
# packed examples: segments, chosen tokens (those whose output somebody reads, in the last layer those of the head; empty:
# all), ends of examples for kernels, biases of positions, and the seed of dropout (-1: none); `cos` and `sin` are one for each rotary embedding. A layer's own methods, forward_KIND,
# backward_KIND and step_KIND, follow from its recipe (LayerRecipe.java).


# methods
  def forward_results(self, x: Tensor, i: int, mode: int, batch: List[Tensor], cos: List[Tensor], sin: List[Tensor], weights: List[Tensor]) -> List[Tensor]:
    tokens = x.size(0)
    segments, chosen, ends, bias, seed = batch
    kept = torch.empty([tokens * (self.kept_widths[self.kinds[i]] - x.size(1))], dtype=x.dtype, device=x.device)
    scratch = torch.empty([tokens * self.scratch_widths[self.kinds[i]]], dtype=x.dtype, device=x.device)
    z = torch.empty([chosen.size(0) if chosen.numel() > 0 else tokens, x.size(1)], dtype=x.dtype, device=x.device)
    return self.any_forward(i, x, segments, chosen, ends, bias, int(seed), cos, sin, weights, mode, kept, scratch, z)

  def forward(self, x: Tensor, layer: Tensor, mode: Tensor, batch: List[Tensor], cos: List[Tensor], sin: List[Tensor], weights: List[Tensor]) -> Tensor:
    """One layer; nothing is kept for a backward pass."""
    torch.set_grad_enabled(False)
    return self.forward_results(x, int(layer), int(mode), batch, cos, sin, weights)[0]

  def forward_routing(self, x: Tensor, layer: Tensor, mode: Tensor, batch: List[Tensor], cos: List[Tensor], sin: List[Tensor], weights: List[Tensor]) -> List[Tensor]:
    """As `forward`, with what a layer of experts' `route` returned behind the output."""
    torch.set_grad_enabled(False)
    i = int(layer)
    results = self.forward_results(x, i, int(mode), batch, cos, sin, weights)
    first = 1 + self.states[self.kinds[i]]
    return results[:1] + results[first:first + 2]

  def forward_keeping(self, x: Tensor, layer: Tensor, mode: Tensor, batch: List[Tensor], cos: List[Tensor], sin: List[Tensor], weights: List[Tensor], kept: Tensor, scratch: Tensor) -> List[Tensor]:
    """One layer. Writes what the backward pass wants into `kept`; returns the output, which lies in there, and what else
    it wants, which is small."""
    torch.set_grad_enabled(False)
    segments, chosen, ends, bias, seed = batch
    tokens, hidden = x.size(0), x.size(1)
    z = __torch__.buffer(kept, 0, chosen.size(0) if chosen.numel() > 0 else tokens, hidden, tokens)
    i = int(layer)
    results = self.any_forward(i, x, segments, chosen, ends, bias, int(seed), cos, sin, weights, int(mode), kept[tokens * hidden:], scratch, z)
    return results[:1] + results[1 + self.states[self.kinds[i]]:]

  def backward(self, x: Tensor, dz: Tensor, layer: Tensor, mode: Tensor, beta: Tensor, balance: Tensor, batch: List[Tensor], cos: List[Tensor], sin: List[Tensor], weights: List[Tensor], gradients: List[Tensor], kept: Tensor, scratch: Tensor, extras: List[Tensor]) -> Tensor:
    """Gradient of the layer's input; the weights' gradients, beta times themselves more, go into `gradients`; an empty one
    is not computed. `kept` and `extras` are what forward_keeping wrote and returned behind the output. dz is not changed.
    `balance`: see experts_backward."""
    torch.set_grad_enabled(False)
    segments, chosen, ends, bias, seed = batch
    return self.any_backward(
        int(layer), x, dz, segments, chosen, ends, bias, int(seed), balance, cos, sin, weights, gradients, int(mode), float(beta),
        kept[x.size(0) * x.size(1):], scratch, extras)

  def backward_recomputing(self, x: Tensor, dz: Tensor, layer: Tensor, mode: Tensor, beta: Tensor, balance: Tensor, batch: List[Tensor], cos: List[Tensor], sin: List[Tensor], weights: List[Tensor], gradients: List[Tensor], kept: Tensor, scratch: Tensor) -> Tensor:
    """As `backward`, from the layer's input alone; `kept` is overwritten."""
    extras = self.forward_keeping(x, layer, mode, batch, cos, sin, weights, kept, scratch)[1:]
    return self.backward(x, dz, layer, mode, beta, balance, batch, cos, sin, weights, gradients, kept, scratch, extras)
