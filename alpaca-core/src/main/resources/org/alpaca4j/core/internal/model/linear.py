# Products with weights: the one place that touches a weight matrix.
#
# `mode` is how they are computed: 0 as fast as possible; 1 (EXACT) rounded as transformers does with PyTorch and MKL on a
# CPU, a few percent slower; 2 (WIDE) in fp32 from operands of 16 bits, for processors that only emulate products of 16
# bits. A matrix of another dtype than its input (16-bit storage beside fp32 activations) is always widened.
# dtype 5 is float16, 6 float32, 7 float64, 15 bfloat16.


def wide(dtype: int) -> int:
    """The dtype of statistics, scores and sums: fp32, or fp64 for fp64."""
    return 7 if dtype == 7 else 6


def buffer(slab: Tensor, offset: int, rows: int, width: int, all_rows: int) -> Tensor:
    """[rows, width] in a one-dimensional slab, which is laid out for all_rows rows."""
    return slab[offset * all_rows:offset * all_rows + rows * width].view([rows, width])


def part(depth: int) -> int:
    """How many products MKL adds up one after the other, before it adds the sum to that of those before."""
    if depth <= 192:
        return depth
    return depth // 2 if depth < 384 else 192


def widens(x: Tensor, weight: Tensor, mode: int) -> bool:
    """Whether a product is computed in fp32 from something narrower."""
    return x.dtype != weight.dtype or (mode == 2 and x.dtype != 6 and x.dtype != 7)


def products_in(x: Tensor, mode: int) -> int:
    """The dtype in which products of x are computed, where it is no weight's."""
    return 6 if mode == 2 and x.dtype != 7 else x.dtype


def wide_rows(weight: Tensor) -> int:
    """Rows of a matrix that are widened at once: 2 M elements; fewer make smaller, slower products."""
    return max(1, 2097152 // weight.size(1))


def products(x: Tensor, weight: Tensor, exact: bool, out: Tensor) -> Tensor:
    """out = x weight^T of one dtype. oneDNN adds up all of a row's products one after the other, which loses more of fp32. In
    parts (`exact`) its results are MKL's."""
    depth = x.size(1)
    step = __torch__.part(depth) if exact and x.dtype == 6 else depth
    torch.mm(x[:, :step], weight[:, :step].t(), out=out)
    for start in range(step, depth, step):
        end = min(start + step, depth)
        torch.addmm(out, x[:, start:end], weight[:, start:end].t(), out=out)
    return out


def linear(x: Tensor, weight: Tensor, mode: int, out: Tensor) -> Tensor:
    """out = x weight^T."""
    if not __torch__.widens(x, weight, mode):
        return __torch__.products(x, weight, mode == 1, out)
    x6 = x.to(6)
    rows = __torch__.wide_rows(weight)
    for start in range(0, weight.size(0), rows):
        part = weight[start:start + rows].to(6)
        y = torch.empty([x.size(0), part.size(0)], dtype=6, device=x.device)
        out[:, start:start + rows].copy_(__torch__.products(x6, part, mode == 1, y))
    return out


def linear_backward(dy: Tensor, weight: Tensor, mode: int, out: Tensor) -> Tensor:
    """Gradient of the input: out = dy weight."""
    if __torch__.widens(dy, weight, mode):
        sum = torch.zeros(out.shape, dtype=6, device=out.device)
        rows = __torch__.wide_rows(weight)
        for start in range(0, weight.size(0), rows):
            sum.addmm_(dy[:, start:start + rows].to(6), weight[start:start + rows].to(6))
        return out.copy_(sum)
    return torch.mm(dy, weight, out=out)


def add_gradient(gradient: Tensor, value: Tensor, beta: float) -> Tensor:
    """gradient = beta * gradient + value; nothing if there is no gradient, of what is not trained."""
    if gradient.numel() == 0:
        return gradient
    if beta == 0.0:
        return gradient.copy_(value)
    return gradient.add_(value)


def add_weight_gradient(gradient: Tensor, dy: Tensor, x: Tensor, mode: int, beta: float) -> Tensor:
    """gradient [out, in] = beta * gradient + dy^T x; nothing if there is no gradient. Where the gradient is kept in another
    dtype, a product of at most 4 M elements is in memory at once."""
    if gradient.numel() == 0:
        return gradient
    widens = mode == 2 and x.dtype != 6 and x.dtype != 7
    if gradient.dtype == dy.dtype and not widens:
        return torch.addmm(gradient, dy.t(), x, beta=beta, out=gradient)
    if widens:
        x = x.to(6)
    rows = __torch__.wide_rows(x) if widens else max(1, 4194304 // x.size(1))
    start = 0
    while start < dy.size(1):
        end = min(start + rows, dy.size(1))
        __torch__.add_gradient(gradient[start:end], torch.mm(dy[:, start:end].to(x.dtype).t(), x), beta)
        start = end
    return gradient


def add_bias_gradient(gradient: Tensor, dy: Tensor, beta: float) -> Tensor:
    """gradient [out] = beta * gradient + the sum of dy's rows; nothing if there is no gradient."""
    if gradient.numel() == 0:
        return gradient
    return __torch__.add_gradient(gradient, dy.sum([0], dtype=__torch__.wide(dy.dtype)), beta)


def choose(x: Tensor, chosen: Tensor) -> Tensor:
    """The chosen rows of x; all of them where none is named."""
    return x if chosen.numel() == 0 else x.index_select(0, chosen)


def put_back(x: Tensor, chosen: Tensor, tokens: int) -> Tensor:
    """The opposite: x in the chosen of so many rows, 0 elsewhere."""
    if chosen.numel() == 0:
        return x
    return torch.zeros([tokens, x.size(1)], dtype=x.dtype, device=x.device).index_copy_(0, chosen, x)


# methods
  def linear_step(self, h: Tensor, slot: int, weight: Tensor) -> Tensor:
    """h weight^T for a few rows; `slot` is the matrix's place among those packed for decoding, if they are."""
    if h.dtype == 6 and len(self.packed) > 0:
      return ops.quantized.linear_dynamic_fp16(h, self.packed[slot])
    if h.dtype != weight.dtype:
      return __torch__.linear(h, weight, 0, torch.empty([h.size(0), weight.size(0)], dtype=h.dtype, device=h.device))
    return torch.linear(h, weight)
