# Normalisations over the last dimension, of rows [rows, width]: RMSNorm (Zhang & Sennrich 2019), LayerNorm (Ba et al. 2016).
# Statistics are fp32. A layer keeps a norm's input and computes its output again in the backward pass.


def inverse_rms(x: Tensor, eps: float) -> Tensor:
    """1 / sqrt(mean(x^2) + eps), [rows, 1]; fp32."""
    norm = torch.linalg_vector_norm(x, 2, [-1], True, dtype=__torch__.wide(x.dtype))
    return torch.rsqrt(norm * norm / x.size(-1) + eps)


def normalize(x: Tensor, inverse: Tensor, out: Tensor) -> Tensor:
    """x * inverse in x's dtype."""
    return torch.mul(x, inverse.to(x.dtype), out=out)


def rms_norm(x: Tensor, weight: Tensor, eps: float, mode: int, out: Tensor) -> Tensor:
    """x / rms(x) * weight."""
    if mode == 1:
        inverse = torch.rsqrt(x.to(__torch__.wide(x.dtype)).pow(2).mean([-1], True) + eps)
    else:
        inverse = __torch__.inverse_rms(x, eps)
    return __torch__.normalize(x, inverse, out).mul_(weight)


def rms_norm_backward(dh: Tensor, n: Tensor, inverse: Tensor, weight: Tensor, dweight: Tensor, beta: float, out: Tensor) -> Tensor:
    """For h = n * weight with n = x * inverse: adds to dweight, returns dx in `out`. Rows over the last dimension, 2-D."""
    dn = torch.mul(dh, n, out=out)
    __torch__.add_bias_gradient(dweight, dn, beta)
    mean = torch.mm(dn, weight.unsqueeze(1)) / n.size(1)
    dx = torch.mul(dh, weight, out=out).addcmul_(n, mean, value=-1)
    return dx.mul_(inverse.to(dx.dtype))


def rms_norm_step(x: Tensor, weight: Tensor, eps: Tensor) -> Tensor:
    """As rms_norm, in fewer operators: in a step of one row, calling them is a good part of the time."""
    norm = torch.linalg_vector_norm(x, 2, [-1], True, dtype=6)
    inverse = torch.addcmul(eps, norm, norm, value=1.0 / x.size(-1)).rsqrt_()
    return torch.mul(x, inverse.to(x.dtype)).mul_(weight)


def plus_one(weight: Tensor) -> Tensor:
    """Gemma's weights say by how much they differ from 1."""
    return (weight.to(__torch__.wide(weight.dtype)) + 1.0).to(weight.dtype)


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float, out: Tensor) -> Tuple[Tensor, Tensor]:
    """(x - mean) / std * weight + bias, into `out`; returns mean and 1 / std, [rows, 1]. An empty weight is 1, an empty
    bias 0."""
    y, mean, inverse = torch.native_layer_norm(x, [x.size(-1)], __torch__.some(weight), __torch__.some(bias), eps)
    out.copy_(y)
    return mean, inverse


def layer_norm_backward(dh: Tensor, x: Tensor, mean: Tensor, inverse: Tensor, weight: Tensor, bias: Tensor, dweight: Tensor, dbias: Tensor, beta: float, out: Tensor) -> Tensor:
    """Adds to dweight and dbias, returns dx in `out`."""
    dx, dw, db = torch.native_layer_norm_backward(
        dh, x, [x.size(-1)], mean, inverse, __torch__.some(weight), __torch__.some(bias),
        [True, dweight.numel() > 0, dbias.numel() > 0])
    if dweight.numel() > 0:
        __torch__.add_gradient(dweight, dw, beta)
    if dbias.numel() > 0:
        __torch__.add_gradient(dbias, db, beta)
    return out.copy_(dx)


def layer_norm_step(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    return torch.layer_norm(x, [x.size(-1)], __torch__.some(weight), __torch__.some(bias), eps)


def some(x: Tensor) -> Optional[Tensor]:
    """None where there are no elements."""
    if x.numel() == 0:
        return None
    return x


def norm_heads(x: Tensor, weight: Tensor, bias: Tensor, eps: float, centred: bool, whole: bool) -> Tensor:
    """Normalises each head of [tokens, heads, head_dim] in place (`whole`: all heads of a token together); `centred` is
    LayerNorm. Weights are [head_dim], [heads, head_dim], or for `whole` [heads * head_dim]."""
    if not centred and not whole:
        return x.mul_(__torch__.inverse_rms(x, eps).to(x.dtype)).mul_(weight)
    rows = x.reshape([x.size(0), 1, -1]) if whole else x
    if centred:
        wide = rows.to(__torch__.wide(x.dtype))
        wide = wide - wide.mean([-1], True)
        inverse = torch.rsqrt(wide.pow(2).mean([-1], True) + eps)
        n = (wide * inverse).to(x.dtype)
    else:
        n = rows * __torch__.inverse_rms(rows, eps).to(x.dtype)
    n = n * weight if weight.numel() > 0 else n
    n = n + bias if bias.numel() > 0 else n
    return x.copy_(n.view(x.shape))


def norm_heads_backward(dx: Tensor, before: Tensor, weight: Tensor, dweight: Tensor, dbias: Tensor, eps: float, centred: bool, whole: bool, beta: float) -> Tensor:
    """Turns the gradient dx of norm_heads' result into that of its input, in place; `before` is what was normalised."""
    rows, d = before, dx
    if whole:
        rows, d = before.reshape([before.size(0), 1, -1]), dx.reshape([dx.size(0), 1, -1])
    rows = rows.to(__torch__.wide(dx.dtype))
    d = d.to(rows.dtype)
    if centred:
        rows = rows - rows.mean([-1], True)
    inverse = torch.rsqrt(rows.pow(2).mean([-1], True) + eps)
    n = rows * inverse
    if dweight.numel() > 0:
        products = d * n
        summed = products.sum([0]) if dweight.dim() == 2 else products.sum([0, 1])
        __torch__.add_gradient(dweight, summed.view(dweight.shape), beta)
    if dbias.numel() > 0:
        summed = d.sum([0]) if dbias.dim() == 2 else d.sum([0, 1])
        __torch__.add_gradient(dbias, summed.view(dbias.shape), beta)
    if weight.numel() > 0:
        d = d * weight
    result = d - n * (d * n).mean([-1], True)
    if centred:
        result = result - d.mean([-1], True)
    return dx.copy_((result * inverse).view(dx.shape))


# methods
