# Positions: rotary (Su et al. 2021), attention with linear biases (Press et al. 2022).


def rotary(positions: Tensor, frequencies: Tensor, scale: Tensor, like: Tensor) -> Tuple[Tensor, Tensor]:
    """cos and sin [tokens, 1, pairs] in `like`'s dtype; positions [tokens], frequencies [pairs] or [tokens, pairs] fp32."""
    angles = (positions.to(6).unsqueeze(1) * frequencies).unsqueeze(1)
    return (angles.cos() * scale).to(like.dtype), (angles.sin() * scale).to(like.dtype)


def rotate_(x: Tensor, cos: Tensor, sin: Tensor, first: int, interleaved: bool, direction: float) -> Tensor:
    """Turns pairs of dimensions in place, from `first` on, of [tokens, heads, head_dim]: (a, b) become (a cos - b sin,
    b cos + a sin). A pair are neighbours, or equal places of two halves; there are as many as cos has columns. With
    `direction` -1 it turns back, as the backward pass does."""
    pairs = cos.size(2)
    if interleaved:
        a, b = x[:, :, first:first + 2 * pairs:2], x[:, :, first + 1:first + 2 * pairs:2]
    else:
        a, b = x[:, :, first:first + pairs], x[:, :, first + pairs:first + 2 * pairs]
    a_sin, b_sin = a * sin, b * sin  # each product rounded, as in transformers: addcmul_ would not
    a.mul_(cos).sub_(b_sin, alpha=direction)
    b.mul_(cos).add_(a_sin, alpha=direction)
    return x


def rotary_step(positions: Tensor, frequencies: Tensor, scale: Tensor, like: Tensor) -> Tuple[Tensor, Tensor]:
    """As `rotary` for one token of each row: cos and sin [rows, 1, 2 * pairs], sin with the sign of rotate_halves_step."""
    angles = positions.unsqueeze(1) * frequencies
    cos, sin = angles.cos().mul_(scale).to(like.dtype), angles.sin().mul_(scale).to(like.dtype)
    return torch.cat([cos, cos], 1).unsqueeze(1), torch.cat([-sin, sin], 1).unsqueeze(1)


def rotate_step_(x: Tensor, cos: Tensor, sin: Tensor, first: int, interleaved: bool) -> Tensor:
    """rotate_ with the tables of rotary_step; halves are swapped by one roll, which is fewer operators."""
    dims = cos.size(2)
    if interleaved:
        pairs = dims // 2
        return __torch__.rotate_(x, cos[:, :, :pairs], sin[:, :, pairs:], first, True, 1.0)
    part = x if dims == x.size(2) else torch.narrow(x, 2, first, dims)
    turned = torch.roll(part, [dims // 2], [2])
    part.mul_(cos).addcmul_(turned, sin)
    return x


def alibi(slopes: Tensor, positions: Tensor, rounded: bool, scale: float) -> Tensor:
    """Biases [..., heads, keys] fp32 of slopes [heads] and the keys' positions [..., keys] fp32. `rounded`: slopes and
    their products are bfloat16."""
    if rounded:
        return (slopes.to(15).unsqueeze(1) * positions.unsqueeze(-2).to(15)).to(6).mul_(scale)
    return (slopes.unsqueeze(1) * positions.unsqueeze(-2)).mul_(scale)


# methods
