# AdamW with decoupled weight decay (Loshchilov & Hutter 2019), and what is needed beside it, on flat tensors.

# methods
  def adamw(self, p: Tensor, g: Tensor, m: Tensor, v: Tensor, step: Tensor, settings: Tensor) -> Tensor:
    """One step in place. p, m and v fp32 [n]; g fp32 or bf16 [n]; settings on the CPU, fp64: learning rate, beta1,
    beta2, epsilon, weight decay, factor of the gradient. step counts from 1."""
    torch.set_grad_enabled(False)
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
          lr=float(settings[0]), beta1=float(settings[1]), beta2=float(settings[2]), weight_decay=float(settings[4]),
          eps=float(settings[3]), amsgrad=False, maximize=False)
      last = updated[0]  # read: TorchScript drops an operator that only writes to the elements of a fresh list
      start = end
    return last

  def squared_norm(self, g: Tensor) -> Tensor:
    """Sum of the squares of all elements, fp64 on the CPU. Short rows are summed up faster and more exactly than one
    long one."""
    torch.set_grad_enabled(False)
    total = torch.zeros([1], dtype=7)
    for start in range(0, g.size(0), 8 * self.chunk):
      part = g[start:start + 8 * self.chunk]
      rows = part.size(0) // 256
      for x in [part[:256 * rows].view([rows, 256]), part[256 * rows:].view([1, -1])]:
        norms = torch.linalg_vector_norm(x, 2, [1], dtype=6).to(7)
        total.add_((norms * norms).sum().cpu())
    return total
