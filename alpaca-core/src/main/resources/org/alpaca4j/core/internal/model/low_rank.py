# LoRA (Hu et al. 2021): y += scale (x a^T) b^T, for columns of y. `low` [n, ranks] is x a^T of all parts of a product, side by
# side; the forward pass multiplies it by the scale in place, so that b's gradient finds it so.


def add_low_rank_(y: Tensor, low: Tensor, b: Tensor, first: int, rows: int, first_rank: int, rank: int, scale: float, mode: int) -> Tensor:
    """Adds a part to its columns of y [n, all rows]."""
    part = low[:, first_rank:first_rank + rank].mul_(scale)
    out = y[:, first:first + rows]
    if __torch__.widens(part, b, mode):
        return out.add_(torch.mm(part.to(6), b.to(6).t()))
    return torch.addmm(out, part, b.t(), out=out)


def add_low_rank_backward(dy: Tensor, low: Tensor, dlow: Tensor, b: Tensor, db: Tensor, first: int, rows: int, first_rank: int, rank: int, scale: float, mode: int, beta: float) -> Tensor:
    """Writes a part's columns of dlow, the gradient of x a^T; the gradient of b goes into db."""
    d = dy[:, first:first + rows]
    __torch__.add_weight_gradient(db, d, low[:, first_rank:first_rank + rank], mode, beta)
    part = dlow[:, first_rank:first_rank + rank]
    return __torch__.linear_backward(d, b, mode, part).mul_(scale)


def add_product_(out: Tensor, x: Tensor, weight: Tensor, mode: int) -> Tensor:
    """out += x weight."""
    if __torch__.widens(x, weight, mode):
        return out.add_(torch.mm(x.to(6), weight.to(6)))
    return torch.addmm(out, x, weight, out=out)


def dropout_mask(p: float, seed: int, number: int, out: Tensor) -> Tensor:
    """0 with chance p, else 1 / (1 - p); the same again for the same seed and number. Without a seed (-1) there is no
    dropout, and all are 1."""
    if seed < 0:
        return out.fill_(1.0)
    generator = torch.Generator(device=out.device, seed=seed + number)
    return torch.bernoulli_(out, 1.0 - p, generator=generator).mul_(1.0 / (1.0 - p))


def dropped(x: Tensor, p: float, seed: int, number: int, out: Tensor) -> Tensor:
    """x times dropout_mask; x itself where there is no dropout."""
    if seed < 0:
        return x
    return __torch__.dropout_mask(p, seed, number, out).mul_(x)


# methods
