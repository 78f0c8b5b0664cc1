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
