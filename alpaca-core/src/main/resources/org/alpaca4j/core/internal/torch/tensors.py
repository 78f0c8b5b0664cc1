# Making, viewing, copying and mapping tensors in dtypes that DJL's own operators do not know (bfloat16).

# methods
  def zeros(self, like: Tensor, elements: Tensor, dtype: Tensor) -> Tensor:
    """Zeros [elements] on the device of `like`."""
    torch.set_grad_enabled(False)
    return torch.zeros([int(elements)], dtype=int(dtype), device=like.device)

  def empty(self, like: Tensor, elements: Tensor, dtype: Tensor) -> Tensor:
    torch.set_grad_enabled(False)
    return torch.empty([int(elements)], dtype=int(dtype), device=like.device)

  def view(self, flat: Tensor, spec: Tensor) -> Tensor:
    """The elements of a one-dimensional tensor from spec[0] on, in the shape spec[1:]."""
    torch.set_grad_enabled(False)
    shape = annotate(List[int], [])
    elements = 1
    for i in range(1, spec.size(0)):
      shape.append(int(spec[i]))
      elements = elements * int(spec[i])
    start = int(spec[0])
    return flat[start:start + elements].view(shape)

  def interpret(self, file: Tensor, spec: Tensor) -> Tensor:
    """The bytes from spec[0] on of a mapped file as a tensor of dtype spec[2], spec[3] bytes each, in the shape
    spec[4:]; spec[1] is the number of bytes."""
    torch.set_grad_enabled(False)
    shape = annotate(List[int], [])
    for i in range(4, spec.size(0)):
      shape.append(int(spec[i]))
    start = int(spec[0])
    result = torch.empty([0], dtype=int(spec[2]))
    if start % int(spec[3]) == 0:
      result.set_(file, start // int(spec[3]), [int(spec[1]) // int(spec[3])], [1])
    else:
      result.set_(file.narrow(0, start, int(spec[1])).clone(), 0, [int(spec[1]) // int(spec[3])], [1])
    return result.view(shape)

  def bytes(self, x: Tensor, range: Tensor) -> Tensor:
    """The elements range[0] to range[1] of a contiguous tensor in dtype range[2], as bytes on the CPU."""
    torch.set_grad_enabled(False)
    part = x.view([-1])[int(range[0]):int(range[1])].to(int(range[2]), copy=True).cpu()
    return torch.empty([0], dtype=0).set_(part, 0, [part.numel() * part.element_size()], [1])

  def cast(self, x: Tensor, dtype: Tensor) -> Tensor:
    torch.set_grad_enabled(False)
    return x.to(int(dtype), copy=True)

  def copy(self, target: Tensor, source: Tensor) -> Tensor:
    """Copies with conversion of the dtype and the device."""
    torch.set_grad_enabled(False)
    return target.copy_(source)

  def copy_growing(self, target: Tensor, source: Tensor) -> Tensor:
    """Copies the rows of a matrix; the target's further rows become their mean."""
    torch.set_grad_enabled(False)
    rows = source.size(0)
    target[:rows].copy_(source)
    target[rows:].copy_(source.to(6).mean([0], keepdim=True).expand([target.size(0) - rows, target.size(1)]))
    return target

  def zero(self, x: Tensor) -> Tensor:
    torch.set_grad_enabled(False)
    return x.zero_()

  def normal(self, x: Tensor, deviation: Tensor, seed: Tensor) -> Tensor:
    """Fills with normal values of mean 0, the same for the same seed."""
    torch.set_grad_enabled(False)
    generator = torch.Generator(device=torch.device("cpu"), seed=int(seed))
    values = torch.empty(x.shape, dtype=6)
    values.normal_(0.0, float(deviation), generator=generator)
    return x.copy_(values)

  def fill(self, x: Tensor, value: Tensor) -> Tensor:
    torch.set_grad_enabled(False)
    return x.fill_(float(value))
