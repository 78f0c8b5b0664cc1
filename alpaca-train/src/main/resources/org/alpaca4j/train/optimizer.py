# AdamW with decoupled weight decay (Loshchilov & Hutter 2019), and what is needed beside it, on flat tensors.

# methods
  def adamw(self, parameters: List[Tensor], gradients: List[Tensor], first: List[Tensor], second: List[Tensor], step: Tensor, settings: Tensor) -> Tensor:
    """One step in place, of all that a unit trains. Parameters and moments are fp32, gradients fp32 or bf16; settings on the
    CPU, fp64: learning rate, beta1, beta2, epsilon, weight decay, factor of the gradients, and of how many of the first
    tensors weights decay. step counts from 1."""
    torch.set_grad_enabled(False)
    for i in range(len(parameters)):
      decay = float(settings[4]) if i < int(settings[6]) else 0.0
      self.update(parameters[i], gradients[i], first[i], second[i], step, settings, decay)
    return step

  def update(self, p: Tensor, g: Tensor, m: Tensor, v: Tensor, step: Tensor, settings: Tensor, decay: float) -> Tensor:
    """One step of tensors [n], a chunk at a time."""
    factor = float(settings[5])
    start = 0
    last = p
    while start < p.size(0):
      end = min(start + self.chunk, p.size(0))
      updated = [p[start:end]]
      part = g[start:end]
      if g.dtype != p.dtype:
        part = part.to(p.dtype)
      if factor != 1.0:
        if g.dtype != p.dtype:
          part.mul_(factor)
        else:
          part = part * factor
      torch._fused_adamw_(
          updated, [part], [m[start:end]], [v[start:end]], annotate(List[Tensor], []), [step],
          lr=float(settings[0]), beta1=float(settings[1]), beta2=float(settings[2]), weight_decay=decay,
          eps=float(settings[3]), amsgrad=False, maximize=False)
      last = updated[0]  # read: TorchScript drops an operator that only writes to the elements of a fresh list
      start = end
    return last

  def sum_of_squares(self, gradients: List[Tensor]) -> Tensor:
    """Of all elements, fp64 on the CPU: one copy from the device, whatever the number of tensors."""
    torch.set_grad_enabled(False)
    total = torch.zeros([1], dtype=7, device=gradients[0].device)
    for g in gradients:
      total.add_(self.squared_norm(g))
    return total.cpu()

  def squared_norm(self, g: Tensor) -> Tensor:
    """Sum of the squares of all elements, fp64. Short rows are summed up faster and more exactly than one long one."""
    torch.set_grad_enabled(False)
    total = torch.zeros([1], dtype=7, device=g.device)
    for start in range(0, g.size(0), 8 * self.chunk):
      part = g[start:start + 8 * self.chunk]
      rows = part.size(0) // 256
      for x in [part[:256 * rows].view([rows, 256]), part[256 * rows:].view([1, -1])]:
        norms = torch.linalg_vector_norm(x, 2, [1], dtype=6).to(7)
        total.add_((norms * norms).sum())
    return total
