# Mixture of experts (Shazeer et al. 2017; Jiang et al. 2024): each token goes to the few experts that a router rates best.
#
# Pairs of token and expert lie sorted by expert: [tokens * chosen per token, ...].


def route(h: Tensor, router: Tensor, per_token: int, mode: int) -> Tuple[Tensor, Tensor]:
    """Probabilities of the experts [tokens, experts] fp32, and the chosen ones [tokens, per_token] int64."""
    logits = __torch__.linear(h, router, mode, torch.empty([h.size(0), router.size(0)], dtype=h.dtype, device=h.device))
    p = torch.softmax(logits.to(__torch__.wide(h.dtype)), 1)
    return p, torch.topk(p, per_token, 1)[1]


def expert_weights(p: Tensor, chosen: Tensor, renormalised: bool) -> Tensor:
    """What the chosen experts' outputs are multiplied by, [tokens, per_token]."""
    weights = p.gather(1, chosen)
    if renormalised:
        weights = weights / weights.sum([1], True)
    return weights


def pairs_by_expert(chosen: Tensor, experts: int) -> Tuple[Tensor, List[int]]:
    """The order of pairs, as indices into `chosen` flattened, and where each expert's end."""
    flat = chosen.reshape([-1])
    order = torch.argsort(flat, stable=True, dim=0, descending=False)
    ends = torch.cumsum(torch.bincount(flat, minlength=experts), 0)
    return order, annotate(List[int], ends.tolist())


def experts(h: Tensor, p: Tensor, chosen: Tensor, w_in: Tensor, w_out: Tensor, renormalised: bool, activation: str, mode: int, gate_up: Tensor, out: Tensor) -> Tensor:
    """Writes gate_up [pairs, 2 * width], which the backward pass wants, and out [tokens, hidden]."""
    count = p.size(1)
    order, ends = __torch__.pairs_by_expert(chosen, count)
    tokens = order // chosen.size(1)
    weights = __torch__.expert_weights(p, chosen, renormalised).reshape([-1]).index_select(0, order).unsqueeze(1).to(h.dtype)
    out.zero_()
    rows = h.index_select(0, tokens)
    wide, width, hidden = gate_up.size(1), gate_up.size(1) // 2, h.size(1)
    start = 0
    for e in range(count):
        end = ends[e]
        if end > start:
            part = __torch__.linear(rows[start:end], w_in[e * wide:(e + 1) * wide], mode, gate_up[start:end])
            m = __torch__.gated(part, activation, torch.empty([end - start, width], dtype=h.dtype, device=h.device))
            y = __torch__.linear(m, w_out[e * hidden:(e + 1) * hidden], mode, torch.empty_like(rows[start:end]))
            out.index_add_(0, tokens[start:end], y.mul_(weights[start:end]))
        start = end
    return out


def part_of(gradient: Tensor, start: int, end: int) -> Tensor:
    """Some rows of a gradient; an empty one stays so."""
    return gradient if gradient.numel() == 0 else gradient[start:end]


def experts_backward(dy: Tensor, h: Tensor, p: Tensor, chosen: Tensor, balance: Tensor, gate_up: Tensor, router: Tensor, w_in: Tensor, w_out: Tensor, renormalised: bool, activation: str, mode: int, drouter: Tensor, dw_in: Tensor, dw_out: Tensor, beta: float, out: Tensor) -> Tensor:
    """Gradient of h, into `out`; adds to the weights' gradients. `balance` is the gradient of the auxiliary loss with
    respect to the probabilities, [tokens, experts], or empty."""
    count = p.size(1)
    order, ends = __torch__.pairs_by_expert(chosen, count)
    tokens = order // chosen.size(1)
    weights = __torch__.expert_weights(p, chosen, renormalised)
    sorted = weights.reshape([-1]).index_select(0, order).unsqueeze(1).to(h.dtype)
    rows, drows = h.index_select(0, tokens), dy.index_select(0, tokens)
    dweights = torch.empty([order.size(0)], dtype=p.dtype, device=p.device)
    dh = torch.zeros(h.shape, dtype=h.dtype, device=h.device)
    wide, width, hidden = gate_up.size(1), gate_up.size(1) // 2, h.size(1)
    start = 0
    for e in range(count):
        end = ends[e]
        of_in, of_out = __torch__.part_of(dw_in, e * wide, (e + 1) * wide), __torch__.part_of(dw_out, e * hidden, (e + 1) * hidden)
        if end > start:
            part, d = gate_up[start:end], drows[start:end]
            room = torch.empty([end - start, width], dtype=h.dtype, device=h.device)
            activated = __torch__.activated_gate(part, activation, room)
            m = __torch__.times_up(activated, part, torch.empty_like(activated))
            dm = __torch__.linear_backward(d, w_out[e * hidden:(e + 1) * hidden], mode, torch.empty_like(activated))
            dweights[start:end].copy_((dm.to(p.dtype) * m).sum([1]))
            __torch__.add_weight_gradient(of_out, d * sorted[start:end], m, mode, beta)
            dpart = __torch__.gated_backward(dm.mul_(sorted[start:end]), part, activated, activation, torch.empty_like(part))
            __torch__.add_weight_gradient(of_in, dpart, rows[start:end], mode, beta)
            dh.index_add_(0, tokens[start:end], __torch__.linear_backward(dpart, w_in[e * wide:(e + 1) * wide], mode, torch.empty_like(d)))
        elif beta == 0.0:
            of_in.zero_()
            of_out.zero_()
        start = end
    by_token = torch.empty_like(dweights).index_copy_(0, order, dweights).view(chosen.shape)
    if renormalised:
        total = p.gather(1, chosen).sum([1], True)
        by_token = (by_token - (by_token * weights).sum([1], True)) / total
    dp = torch.zeros_like(p).scatter_(1, chosen, by_token)
    if balance.numel() > 0:
        dp.add_(balance)
    dlogits = torch._softmax_backward_data(dp, p, 1, p.dtype).to(h.dtype)
    __torch__.add_weight_gradient(drouter, dlogits, h, mode, beta)
    return torch.add(dh, __torch__.linear_backward(dlogits, router, mode, torch.empty_like(dh)), out=out)


def experts_step(h: Tensor, router: Tensor, w_in: Tensor, w_out: Tensor, per_token: int, renormalised: bool, activation: str) -> Tensor:
    p, chosen = __torch__.route(h, router, per_token, 0)
    width = w_out.size(1)
    gate_up = torch.empty([h.size(0) * per_token, 2 * width], dtype=h.dtype, device=h.device)
    return __torch__.experts(h, p, chosen, w_in, w_out, renormalised, activation, 0, gate_up, torch.empty_like(h))


def open_gate(y: Tensor, h: Tensor, gate: Tensor, out: Tensor) -> Tensor:
    """y * sigmoid(h gate^T); gate [1, hidden]."""
    return torch.mul(y, torch.sigmoid(torch.mm(h, gate.to(h.dtype).t())), out=out)


def open_gate_backward(dout: Tensor, y: Tensor, h: Tensor, gate: Tensor, dgate: Tensor, beta: float, dy: Tensor, dh: Tensor) -> Tensor:
    """Writes the gradients of y and of h; adds to the gate's."""
    g = torch.sigmoid(torch.mm(h, gate.to(h.dtype).t()))
    d = (dout * y).sum([1], True) * g * (1 - g)
    __torch__.add_weight_gradient(dgate, d, h, 0, beta)
    torch.mul(dout, g, out=dy)
    return torch.mul(d, gate.to(h.dtype), out=dh)


# methods
  def balance(self, counts: Tensor, factor: Tensor, p: List[Tensor], chosen: List[Tensor]) -> Tuple[Tensor, Tensor]:
    """The auxiliary loss that spreads tokens over experts (Shazeer et al. 2017; Fedus et al. 2021), as transformers has it:
    experts * sum_e f_e P_e, with f_e the choices of expert e and P_e its probabilities, both per token and over all layers
    together; and `factor` times its gradient with respect to any layer's p [tokens, experts]. counts [tokens]: how many
    tokens of the examples each stands for."""
    torch.set_grad_enabled(False)
    experts, n = p[0].size(1), counts.to(7)
    f = torch.zeros([experts], dtype=7, device=counts.device)
    mean = torch.zeros_like(f)
    for i in range(len(p)):
      f.index_add_(0, chosen[i].reshape([-1]), n.unsqueeze(1).expand(chosen[i].shape).reshape([-1]))
      mean.add_((p[i] * n.unsqueeze(1)).sum([0]))
    total = n.sum() * len(p)
    loss = (f * mean).sum([0], True) * experts / (total * total)
    return loss, (n.unsqueeze(1) * f * (factor * experts / (total * total))).to(p[0].dtype)
