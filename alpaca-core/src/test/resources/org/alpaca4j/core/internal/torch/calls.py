# Takes and returns tensors in every form.

def twice(x: Tensor) -> Tensor:
    return x * 2.0

# methods
  def doubled(self, x: Tensor) -> Tensor:
    torch.set_grad_enabled(False)
    return __torch__.twice(x)

  def same(self, x: Tensor) -> Tensor:
    torch.set_grad_enabled(False)
    return x

  def weighted(self, first: List[Tensor], x: Tensor, second: List[Tensor]) -> Tensor:
    """The sum of first[i] * second[i], plus x."""
    torch.set_grad_enabled(False)
    result = x.clone()
    for i in range(len(first)):
      result.add_(first[i] * second[i])
    return result

  def listed(self, x: Tensor) -> List[Tensor]:
    torch.set_grad_enabled(False)
    return [x, x + 1.0, x + 2.0]

  def paired(self, x: Tensor) -> Tuple[Tensor, Tensor]:
    torch.set_grad_enabled(False)
    return x + 1.0, x + 2.0

  def joined(self, x: Tensor, y: Tensor) -> Tensor:
    torch.set_grad_enabled(False)
    return torch.mm(x, y)

  def lengths(self, a: List[Tensor], b: List[Tensor], c: List[Tensor]) -> Tensor:
    return torch.tensor([len(a), len(b), len(c)])

  def sum_of_ten(self, a: List[Tensor], b: List[Tensor], c: List[Tensor], d: List[Tensor], e: List[Tensor], f: List[Tensor], g: List[Tensor], h: List[Tensor], i: List[Tensor], x: Tensor, j: List[Tensor]) -> Tensor:
    torch.set_grad_enabled(False)
    for y in a + b + c + d + e + f + g + h + i + j:
      x = x + y
    return x
