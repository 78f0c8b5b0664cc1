# The feed-forward block between its two products: an activation, gated (SwiGLU, GEGLU: Shazeer 2020) or plain.


def activate(x: Tensor, activation: str, out: Tensor) -> Tensor:
    """silu, gelu, gelu_tanh or relu."""
    if activation == "silu":
        return torch.silu(x, out=out)
    if activation == "gelu":
        return torch.gelu(x, approximate="none", out=out)
    if activation == "gelu_tanh":
        return torch.gelu(x, approximate="tanh", out=out)
    return torch.clamp_min(x, 0, out=out)


def activate_backward(dy: Tensor, x: Tensor, activation: str, out: Tensor) -> Tensor:
    """Gradient of activate's input."""
    if activation == "silu":
        return torch.silu_backward(dy, x, grad_input=out)
    if activation == "gelu":
        return torch.gelu_backward(dy, x, approximate="none", grad_input=out)
    if activation == "gelu_tanh":
        return torch.gelu_backward(dy, x, approximate="tanh", grad_input=out)
    return torch.threshold_backward(dy, x, 0, grad_input=out)


def gated(gate_up: Tensor, activation: str, out: Tensor) -> Tensor:
    """activation(gate) * up; gate_up [rows, 2 * width], gate first."""
    gate, up = gate_up.chunk(2, dim=1)
    return __torch__.activate(gate, activation, out).mul_(up)


def activated_gate(gate_up: Tensor, activation: str, out: Tensor) -> Tensor:
    """What the backward pass wants of the gate: activation(gate)."""
    return __torch__.activate(gate_up.chunk(2, dim=1)[0], activation, out)


def times_up(activated: Tensor, gate_up: Tensor, out: Tensor) -> Tensor:
    """The result of `gated`, from activation(gate)."""
    return torch.mul(activated, gate_up.chunk(2, dim=1)[1], out=out)


def gated_backward(dm: Tensor, gate_up: Tensor, activated: Tensor, activation: str, out: Tensor) -> Tensor:
    """Gradient of gate_up, into `out`; dm is overwritten."""
    gate, up = gate_up.chunk(2, dim=1)
    dgate, dup = out.chunk(2, dim=1)
    torch.mul(dm, activated, out=dup)
    __torch__.activate_backward(dm.mul_(up), gate, activation, dgate)
    return out


# methods
