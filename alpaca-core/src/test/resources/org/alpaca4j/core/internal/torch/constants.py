# Hands the program's constants back as tensors.

# methods
  def whole(self, like: Tensor) -> Tensor:
    return torch.tensor(self.a_whole, dtype=4)

  def real(self, like: Tensor) -> Tensor:
    return torch.full([1], self.a_real, dtype=7)

  def truth(self, like: Tensor) -> Tensor:
    return torch.tensor(self.a_truth, dtype=4)

  def utf8(self, like: Tensor) -> Tensor:
    codes = annotate(List[int], [])
    for i in range(len(self.a_text)):
      codes.append(ord(self.a_text[i]))
    return torch.tensor(codes, dtype=4)

  def wholes(self, like: Tensor) -> Tensor:
    return torch.tensor(self.a_list, dtype=4)

  def reals(self, like: Tensor) -> Tensor:
    result = torch.empty([len(self.a_real_list)], dtype=7)  # torch.tensor would round to fp32
    for i in range(len(self.a_real_list)):
      result[i].fill_(self.a_real_list[i])
    return result

  def keep(self, x: Tensor) -> Tensor:
    torch.set_grad_enabled(False)
    self.kept.append(x)
    return x

  def sum_kept(self, like: Tensor) -> Tensor:
    torch.set_grad_enabled(False)
    result = torch.zeros_like(like)
    for x in self.kept:
      result.add_(x)
    return result
