# The order of a checkpoint tensor's elements, compared with the decoder's memory. `order` is [0]: the same; [1]: a matrix
# [in, out] that memory has as [out, in]; or [groups, rows of the first part, of the second, ...]: the file's rows are
# groups of some rows of every part, memory has all rows of the first part first.


# methods
  def to_memory(self, target: Tensor, source: Tensor, order: Tensor) -> Tensor:
    """Copies a tensor of a file into a flat of as many elements."""
    torch.set_grad_enabled(False)
    if order.size(0) == 1:
      return target.copy_((source if int(order[0]) == 0 else source.t()).reshape([-1]))
    groups = source.reshape([int(order[0]), int(order[1:].sum()), -1])
    start, at = 0, 0
    for i in range(1, order.size(0)):
      part = groups[:, start:start + int(order[i])]
      target[at:at + part.numel()].copy_(part.reshape([-1]))
      start += part.size(1)
      at += part.numel()
    return target

  def from_memory(self, source: Tensor, shape: Tensor, order: Tensor) -> Tensor:
    """The opposite: a new tensor of the file's shape."""
    torch.set_grad_enabled(False)
    sizes = annotate(List[int], shape.tolist())
    if order.size(0) == 1:
      return source.view(sizes) if int(order[0]) == 0 else source.view([sizes[1], sizes[0]]).t().contiguous()
    result = torch.empty(sizes, dtype=source.dtype, device=source.device)
    groups = result.view([int(order[0]), int(order[1:].sum()), -1])
    start, at = 0, 0
    for i in range(1, order.size(0)):
      part = groups[:, start:start + int(order[i])]
      part.copy_(source[at:at + part.numel()].view(part.shape))
      start += part.size(1)
      at += part.numel()
    return result
