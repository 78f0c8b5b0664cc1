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

  def views(self, flats: List[Tensor], spec: Tensor) -> List[Tensor]:
    """Views of some of the flats; per view its flat, first element, rows and columns (0: one dimension)."""
    torch.set_grad_enabled(False)
    result = annotate(List[Tensor], [])
    for i in range(0, spec.size(0), 4):
      start, rows, columns = int(spec[i + 1]), int(spec[i + 2]), int(spec[i + 3])
      elements = rows * max(columns, 1)
      part = flats[int(spec[i])][start:start + elements]
      result.append(part if columns == 0 else part.view([rows, columns]))
    return result

  def read(self, flats: List[Tensor], files: List[Tensor], spec: Tensor) -> Tensor:
    """Copies parts of mapped files into flats; per part its flat, first element there, number of elements, file, first
    byte there, bytes, dtype, and bytes per element."""
    torch.set_grad_enabled(False)
    for i in range(0, spec.size(0), 8):
      start, elements = int(spec[i + 1]), int(spec[i + 2])
      file, offset, size = files[int(spec[i + 3])], int(spec[i + 4]), int(spec[i + 7])
      source = torch.empty([0], dtype=int(spec[i + 6]))
      if offset % size != 0:
        file = file[offset:offset + int(spec[i + 5])].clone()
        offset = 0
      source.set_(file, offset // size, [elements], [1])
      flats[int(spec[i])][start:start + elements].copy_(source)
    return torch.empty([0])

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
    """Copies the rows of a matrix, or the elements of a vector; the target's further ones become their mean."""
    torch.set_grad_enabled(False)
    rows = source.size(0)
    target[:rows].copy_(source)
    target[rows:].copy_(source.to(6).mean([0], keepdim=True))
    return target

  def is_finite(self, x: Tensor) -> Tensor:
    """1 if all elements [n] are finite, else 0; 4 M of them at once."""
    torch.set_grad_enabled(False)
    for start in range(0, x.size(0), 4194304):
      if not bool(torch.isfinite(x[start:start + 4194304]).all()):
        return torch.zeros([1])
    return torch.ones([1])

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
