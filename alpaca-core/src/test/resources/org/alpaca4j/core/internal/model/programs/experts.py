  def forward_0(self, layer: int, x: Tensor, segments: Tensor, chosen: Tensor, ends: Tensor, bias: Tensor, seed: int, cos: List[Tensor], sin: List[Tensor], weights: List[Tensor], mode: int, kept: Tensor, scratch: Tensor, z: Tensor) -> List[Tensor]:
    attention_norm_weight, attention_norm_bias, qkv_weight, qkv_bias, query_norm_weight, query_norm_bias, key_norm_weight, key_norm_bias, output_weight, output_bias, router, expert_in_weight, expert_out_weight, shared_in_weight, shared_in_bias, shared_out_weight, shared_out_bias, shared_gate = weights
    nothing = weights[0][:0]
    tokens = x.size(0)
    rows = tokens if chosen.numel() == 0 else chosen.size(0)
    attention_in = __torch__.buffer(scratch, 0, tokens, 8, tokens)
    __torch__.layer_norm(x, attention_norm_weight, attention_norm_bias, 0.001, attention_in)
    qkv = __torch__.linear(attention_in, qkv_weight, mode, __torch__.buffer(kept, 0, tokens, 64, tokens))
    qkv.add_(qkv_bias)
    heads = qkv.view([tokens, 8, 8])
    __torch__.rotate_(heads[:, :6], cos[0], sin[0], 0, True, 1.0)
    __torch__.rotate_(heads[:, :6], cos[1], sin[1], 2, False, 1.0)
    unnormed = __torch__.buffer(kept, 64, tokens, 48, tokens)
    unnormed.copy_(qkv[:, :48])
    __torch__.norm_heads(heads[:, :4], query_norm_weight, query_norm_bias, 0.001, True, True)
    __torch__.norm_heads(heads[:, 4:6], key_norm_weight, key_norm_bias, 0.001, True, True)
    attended = __torch__.buffer(kept, 112, tokens, 32, tokens)
    segment_extras = self.attention(qkv, nothing, segments, ends, bias, 4, 2, 8, self.scales[layer], self.windows[layer], 30.0, mode, attended)
    attended_chosen = __torch__.choose(attended, chosen)
    projected = __torch__.linear(attended_chosen, output_weight, mode, __torch__.buffer(scratch, 8, rows, 8, tokens))
    projected.add_(output_bias)
    attention_in_chosen = __torch__.choose(attention_in, chosen)
    p, experts = __torch__.route(attention_in_chosen, router, 2, mode)
    expert_in = __torch__.buffer(kept, 144, rows * 2, 22, tokens)
    routed = __torch__.experts(attention_in_chosen, p, experts, expert_in_weight, expert_out_weight, True, "gelu_tanh", mode, expert_in, __torch__.buffer(scratch, 16, rows, 8, tokens))
    shared_wide = __torch__.linear(attention_in_chosen, shared_in_weight, mode, __torch__.buffer(kept, 188, rows, 22, tokens))
    shared_wide.add_(shared_in_bias)
    shared_active = __torch__.gated(shared_wide, "gelu_tanh", __torch__.buffer(scratch, 24, rows, 11, tokens))
    shared_out = __torch__.linear(shared_active, shared_out_weight, mode, __torch__.buffer(kept, 210, rows, 8, tokens))
    shared_out.add_(shared_out_bias)
    z = __torch__.open_gate(shared_out, attention_in_chosen, shared_gate, z)
    z.add_(routed)
    z.mul_(0.5)
    z.add_(projected, alpha=0.5)
    x_chosen = __torch__.choose(x, chosen)
    z.add_(x_chosen, alpha=2.0)
    return [z, heads[:, 4:6], heads[:, 6:], p, experts] + segment_extras

  def any_forward(self, layer: int, x: Tensor, segments: Tensor, chosen: Tensor, ends: Tensor, bias: Tensor, seed: int, cos: List[Tensor], sin: List[Tensor], weights: List[Tensor], mode: int, kept: Tensor, scratch: Tensor, z: Tensor) -> List[Tensor]:
    return self.forward_0(layer, x, segments, chosen, ends, bias, seed, cos, sin, weights, mode, kept, scratch, z)

  def backward_0(self, layer: int, x: Tensor, dz: Tensor, segments: Tensor, chosen: Tensor, ends: Tensor, bias: Tensor, seed: int, balance: Tensor, cos: List[Tensor], sin: List[Tensor], weights: List[Tensor], gradients: List[Tensor], mode: int, beta: float, kept: Tensor, scratch: Tensor, extras: List[Tensor]) -> Tensor:
    attention_norm_weight, attention_norm_bias, qkv_weight, qkv_bias, query_norm_weight, query_norm_bias, key_norm_weight, key_norm_bias, output_weight, output_bias, router, expert_in_weight, expert_out_weight, shared_in_weight, shared_in_bias, shared_out_weight, shared_out_bias, shared_gate = weights
    d_attention_norm_weight, d_attention_norm_bias, d_qkv_weight, d_qkv_bias, d_query_norm_weight, d_query_norm_bias, d_key_norm_weight, d_key_norm_bias, d_output_weight, d_output_bias, d_router, d_expert_in_weight, d_expert_out_weight, d_shared_in_weight, d_shared_in_bias, d_shared_out_weight, d_shared_out_bias, d_shared_gate = gradients
    nothing = weights[0][:0]
    tokens, rows = x.size(0), dz.size(0)
    qkv = __torch__.buffer(kept, 0, tokens, 64, tokens)
    unnormed = __torch__.buffer(kept, 64, tokens, 48, tokens)
    attended = __torch__.buffer(kept, 112, tokens, 32, tokens)
    expert_in = __torch__.buffer(kept, 144, rows * 2, 22, tokens)
    shared_wide = __torch__.buffer(kept, 188, rows, 22, tokens)
    shared_out = __torch__.buffer(kept, 210, rows, 8, tokens)
    p = extras[0]
    experts = extras[1]
    segment_extras = extras[2:]
    d_x_chosen = torch.mul(dz, 2.0, out=__torch__.buffer(scratch, 0, rows, 8, tokens))
    d_z = torch.mul(dz, 0.5, out=__torch__.buffer(scratch, 8, rows, 8, tokens))
    d_shared_out = __torch__.buffer(scratch, 16, rows, 8, tokens)
    d_attention_in_chosen = __torch__.buffer(scratch, 24, rows, 8, tokens)
    attention_in = __torch__.buffer(scratch, 32, tokens, 8, tokens)
    mean_attention_in, inverse_attention_in = __torch__.layer_norm(x, attention_norm_weight, attention_norm_bias, 0.001, attention_in)
    attention_in_chosen = __torch__.choose(attention_in, chosen)
    __torch__.open_gate_backward(d_z, shared_out, attention_in_chosen, shared_gate, d_shared_gate, beta, d_shared_out, d_attention_in_chosen)
    activated_shared_active = __torch__.activated_gate(shared_wide, "gelu_tanh", __torch__.buffer(scratch, 40, rows, 11, tokens))
    shared_active = __torch__.times_up(activated_shared_active, shared_wide, __torch__.buffer(scratch, 51, rows, 11, tokens))
    __torch__.add_weight_gradient(d_shared_out_weight, d_shared_out, shared_active, mode, beta)
    __torch__.add_bias_gradient(d_shared_out_bias, d_shared_out, beta)
    d_shared_active = __torch__.linear_backward(d_shared_out, shared_out_weight, mode, __torch__.buffer(scratch, 51, rows, 11, tokens))
    d_shared_wide = __torch__.gated_backward(d_shared_active, shared_wide, activated_shared_active, "gelu_tanh", __torch__.buffer(scratch, 62, rows, 22, tokens))
    __torch__.add_weight_gradient(d_shared_in_weight, d_shared_wide, attention_in_chosen, mode, beta)
    __torch__.add_bias_gradient(d_shared_in_bias, d_shared_wide, beta)
    d_attention_in_chosen_2 = __torch__.linear_backward(d_shared_wide, shared_in_weight, mode, __torch__.buffer(scratch, 16, rows, 8, tokens))
    d_attention_in_chosen.add_(d_attention_in_chosen_2)
    d_attention_in_chosen_3 = __torch__.experts_backward(d_z, attention_in_chosen, p, experts, balance, expert_in, router, expert_in_weight, expert_out_weight, True, "gelu_tanh", mode, d_router, d_expert_in_weight, d_expert_out_weight, beta, __torch__.buffer(scratch, 16, rows, 8, tokens))
    d_attention_in_chosen.add_(d_attention_in_chosen_3)
    d_projected = torch.mul(dz, 0.5, out=__torch__.buffer(scratch, 8, rows, 8, tokens))
    attended_chosen = __torch__.choose(attended, chosen)
    __torch__.add_weight_gradient(d_output_weight, d_projected, attended_chosen, mode, beta)
    __torch__.add_bias_gradient(d_output_bias, d_projected, beta)
    d_attended_chosen = __torch__.linear_backward(d_projected, output_weight, mode, __torch__.buffer(scratch, 40, rows, 32, tokens))
    d_attended = __torch__.put_back(d_attended_chosen, chosen, tokens)
    d_qkv = self.attention_backward(d_attended, qkv, nothing, nothing, attended, segment_extras, segments, ends, bias, 4, 2, 8, self.scales[layer], self.windows[layer], 30.0, mode, beta, __torch__.buffer(scratch, 72, tokens, 64, tokens))
    dheads = d_qkv.view([tokens, 8, 8])
    before = unnormed.view([tokens, 6, 8])
    __torch__.norm_heads_backward(dheads[:, :4], before[:, :4], query_norm_weight, d_query_norm_weight, d_query_norm_bias, 0.001, True, True, beta)
    __torch__.norm_heads_backward(dheads[:, 4:6], before[:, 4:6], key_norm_weight, d_key_norm_weight, d_key_norm_bias, 0.001, True, True, beta)
    __torch__.rotate_(dheads[:, :6], cos[0], sin[0], 0, True, -1.0)
    __torch__.rotate_(dheads[:, :6], cos[1], sin[1], 2, False, -1.0)
    __torch__.add_weight_gradient(d_qkv_weight, d_qkv, attention_in, mode, beta)
    __torch__.add_bias_gradient(d_qkv_bias, d_qkv, beta)
    d_attention_in = __torch__.linear_backward(d_qkv, qkv_weight, mode, __torch__.buffer(scratch, 8, tokens, 8, tokens))
    d_attention_in.add_(__torch__.put_back(d_attention_in_chosen, chosen, tokens))
    d_x = __torch__.layer_norm_backward(d_attention_in, x, mean_attention_in, inverse_attention_in, attention_norm_weight, attention_norm_bias, d_attention_norm_weight, d_attention_norm_bias, beta, torch.empty_like(x))
    d_x.add_(__torch__.put_back(d_x_chosen, chosen, tokens))
    return d_x

  def any_backward(self, layer: int, x: Tensor, dz: Tensor, segments: Tensor, chosen: Tensor, ends: Tensor, bias: Tensor, seed: int, balance: Tensor, cos: List[Tensor], sin: List[Tensor], weights: List[Tensor], gradients: List[Tensor], mode: int, beta: float, kept: Tensor, scratch: Tensor, extras: List[Tensor]) -> Tensor:
    return self.backward_0(layer, x, dz, segments, chosen, ends, bias, seed, balance, cos, sin, weights, gradients, mode, beta, kept, scratch, extras)

  def step_0(self, layer: int, slot: int, x: Tensor, columns: int, column: List[Tensor], past: List[Tensor], hidden: Tensor, mask: Tensor, cos: List[Tensor], sin: List[Tensor], weights: List[Tensor], eps: Tensor, activated: Tensor) -> Tensor:
    attention_norm_weight, attention_norm_bias, qkv_weight, qkv_bias, query_norm_weight, query_norm_bias, key_norm_weight, key_norm_bias, output_weight, output_bias, router, expert_in_weight, expert_out_weight, shared_in_weight, shared_in_bias, shared_out_weight, shared_out_bias, shared_gate = weights
    attention_in = __torch__.layer_norm_step(x, attention_norm_weight, attention_norm_bias, 0.001)
    qkv = self.linear_step(attention_in, slot, qkv_weight)
    qkv.add_(qkv_bias)
    heads = qkv.view([-1, 8, 8])
    __torch__.rotate_step_(torch.narrow(heads, 1, 0, 6), cos[0], sin[0], 0, True)
    __torch__.rotate_step_(torch.narrow(heads, 1, 0, 6), cos[1], sin[1], 2, False)
    __torch__.norm_heads(heads[:, :4], query_norm_weight, query_norm_bias, 0.001, True, True)
    __torch__.norm_heads(heads[:, 4:6], key_norm_weight, key_norm_bias, 0.001, True, True)
    attended = self.attention_step(heads, layer, columns, column, past, hidden, mask, 4, 2, self.scales[layer], self.windows[layer], 30.0)
    attended_chosen = attended
    projected = self.linear_step(attended_chosen, slot + 1, output_weight)
    projected.add_(output_bias)
    attention_in_chosen = attention_in
    routed = __torch__.experts_step(attention_in_chosen, router, expert_in_weight, expert_out_weight, 2, True, "gelu_tanh")
    shared_wide = self.linear_step(attention_in_chosen, slot + 2, shared_in_weight)
    shared_wide.add_(shared_in_bias)
    shared_active = __torch__.gated(shared_wide, "gelu_tanh", torch.empty([shared_wide.size(0), 11], dtype=x.dtype, device=x.device))
    shared_out = self.linear_step(shared_active, slot + 3, shared_out_weight)
    shared_out.add_(shared_out_bias)
    z = __torch__.open_gate(shared_out, attention_in_chosen, shared_gate, torch.empty_like(shared_out))
    z.add_(routed)
    z.mul_(0.5)
    z.add_(projected, alpha=0.5)
    x_chosen = x
    z.add_(x_chosen, alpha=2.0)
    return z

  def any_step(self, layer: int, slot: int, x: Tensor, columns: int, column: List[Tensor], past: List[Tensor], hidden: Tensor, mask: Tensor, cos: List[Tensor], sin: List[Tensor], weights: List[Tensor], eps: Tensor, activated: Tensor) -> Tensor:
    return self.step_0(layer, slot, x, columns, column, past, hidden, mask, cos, sin, weights, eps, activated)

