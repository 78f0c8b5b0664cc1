  def forward_0(self, layer: int, x: Tensor, segments: Tensor, chosen: Tensor, ends: Tensor, bias: Tensor, seed: int, cos: List[Tensor], sin: List[Tensor], weights: List[Tensor], mode: int, kept: Tensor, scratch: Tensor, z: Tensor) -> List[Tensor]:
    attention_norm_weight, qkv_weight, output_weight, mlp_norm_weight, mlp_in_weight, mlp_out_weight = weights
    nothing = weights[0][:0]
    tokens = x.size(0)
    rows = tokens if chosen.numel() == 0 else chosen.size(0)
    attention_in = __torch__.rms_norm(x, attention_norm_weight, 1.0E-6, mode, __torch__.buffer(scratch, 0, tokens, 32, tokens))
    qkv = __torch__.linear(attention_in, qkv_weight, mode, __torch__.buffer(kept, 0, tokens, 64, tokens))
    heads = qkv.view([tokens, 8, 8])
    __torch__.rotate_(heads[:, :6], cos[0], sin[0], 0, False, 1.0)
    attended = __torch__.buffer(kept, 64, tokens, 32, tokens)
    segment_extras = self.attention(qkv, nothing, segments, ends, bias, 4, 2, 8, self.scales[layer], self.windows[layer], 0.0, mode, attended)
    attended_chosen = __torch__.choose(attended, chosen)
    y = __torch__.linear(attended_chosen, output_weight, mode, __torch__.buffer(kept, 96, rows, 32, tokens))
    x_chosen = __torch__.choose(x, chosen)
    y.add_(x_chosen)
    mlp_in = __torch__.rms_norm(y, mlp_norm_weight, 1.0E-6, mode, __torch__.buffer(scratch, 0, rows, 32, tokens))
    mlp_wide = __torch__.linear(mlp_in, mlp_in_weight, mode, __torch__.buffer(kept, 128, rows, 24, tokens))
    mlp_active = __torch__.gated(mlp_wide, "silu", __torch__.buffer(scratch, 0, rows, 12, tokens))
    z = __torch__.linear(mlp_active, mlp_out_weight, mode, z)
    z.add_(y)
    return [z, heads[:, 4:6], heads[:, 6:]] + segment_extras

  def any_forward(self, layer: int, x: Tensor, segments: Tensor, chosen: Tensor, ends: Tensor, bias: Tensor, seed: int, cos: List[Tensor], sin: List[Tensor], weights: List[Tensor], mode: int, kept: Tensor, scratch: Tensor, z: Tensor) -> List[Tensor]:
    return self.forward_0(layer, x, segments, chosen, ends, bias, seed, cos, sin, weights, mode, kept, scratch, z)

  def backward_0(self, layer: int, x: Tensor, dz: Tensor, segments: Tensor, chosen: Tensor, ends: Tensor, bias: Tensor, seed: int, balance: Tensor, cos: List[Tensor], sin: List[Tensor], weights: List[Tensor], gradients: List[Tensor], mode: int, beta: float, kept: Tensor, scratch: Tensor, extras: List[Tensor]) -> Tensor:
    attention_norm_weight, qkv_weight, output_weight, mlp_norm_weight, mlp_in_weight, mlp_out_weight = weights
    d_attention_norm_weight, d_qkv_weight, d_output_weight, d_mlp_norm_weight, d_mlp_in_weight, d_mlp_out_weight = gradients
    nothing = weights[0][:0]
    tokens, rows = x.size(0), dz.size(0)
    qkv = __torch__.buffer(kept, 0, tokens, 64, tokens)
    attended = __torch__.buffer(kept, 64, tokens, 32, tokens)
    y = __torch__.buffer(kept, 96, rows, 32, tokens)
    mlp_wide = __torch__.buffer(kept, 128, rows, 24, tokens)
    segment_extras = extras[0:]
    activated_mlp_active = __torch__.activated_gate(mlp_wide, "silu", __torch__.buffer(scratch, 0, rows, 12, tokens))
    mlp_active = __torch__.times_up(activated_mlp_active, mlp_wide, __torch__.buffer(scratch, 12, rows, 12, tokens))
    __torch__.add_weight_gradient(d_mlp_out_weight, dz, mlp_active, mode, beta)
    d_mlp_active = __torch__.linear_backward(dz, mlp_out_weight, mode, __torch__.buffer(scratch, 12, rows, 12, tokens))
    d_mlp_wide = __torch__.gated_backward(d_mlp_active, mlp_wide, activated_mlp_active, "silu", __torch__.buffer(scratch, 24, rows, 24, tokens))
    inverse_mlp_in = __torch__.inverse_rms(y, 1.0E-6)
    n_mlp_in = __torch__.normalize(y, inverse_mlp_in, __torch__.buffer(scratch, 48, rows, 32, tokens))
    mlp_in = torch.mul(n_mlp_in, mlp_norm_weight, out=__torch__.buffer(scratch, 80, rows, 32, tokens))
    __torch__.add_weight_gradient(d_mlp_in_weight, d_mlp_wide, mlp_in, mode, beta)
    d_mlp_in = __torch__.linear_backward(d_mlp_wide, mlp_in_weight, mode, __torch__.buffer(scratch, 80, rows, 32, tokens))
    d_y = __torch__.rms_norm_backward(d_mlp_in, n_mlp_in, inverse_mlp_in, mlp_norm_weight, d_mlp_norm_weight, beta, __torch__.buffer(scratch, 0, rows, 32, tokens))
    d_y.add_(dz)
    attended_chosen = __torch__.choose(attended, chosen)
    __torch__.add_weight_gradient(d_output_weight, d_y, attended_chosen, mode, beta)
    d_attended_chosen = __torch__.linear_backward(d_y, output_weight, mode, __torch__.buffer(scratch, 32, rows, 32, tokens))
    d_attended = __torch__.put_back(d_attended_chosen, chosen, tokens)
    d_qkv = self.attention_backward(d_attended, qkv, nothing, nothing, attended, segment_extras, segments, ends, bias, 4, 2, 8, self.scales[layer], self.windows[layer], 0.0, mode, beta, __torch__.buffer(scratch, 64, tokens, 64, tokens))
    dheads = d_qkv.view([tokens, 8, 8])
    __torch__.rotate_(dheads[:, :6], cos[0], sin[0], 0, False, -1.0)
    inverse_attention_in = __torch__.inverse_rms(x, 1.0E-6)
    n_attention_in = __torch__.normalize(x, inverse_attention_in, __torch__.buffer(scratch, 32, tokens, 32, tokens))
    attention_in = torch.mul(n_attention_in, attention_norm_weight, out=__torch__.buffer(scratch, 128, tokens, 32, tokens))
    __torch__.add_weight_gradient(d_qkv_weight, d_qkv, attention_in, mode, beta)
    d_attention_in = __torch__.linear_backward(d_qkv, qkv_weight, mode, __torch__.buffer(scratch, 128, tokens, 32, tokens))
    d_x = __torch__.rms_norm_backward(d_attention_in, n_attention_in, inverse_attention_in, attention_norm_weight, d_attention_norm_weight, beta, torch.empty_like(x))
    d_x.add_(__torch__.put_back(d_y, chosen, tokens))
    return d_x

  def any_backward(self, layer: int, x: Tensor, dz: Tensor, segments: Tensor, chosen: Tensor, ends: Tensor, bias: Tensor, seed: int, balance: Tensor, cos: List[Tensor], sin: List[Tensor], weights: List[Tensor], gradients: List[Tensor], mode: int, beta: float, kept: Tensor, scratch: Tensor, extras: List[Tensor]) -> Tensor:
    return self.backward_0(layer, x, dz, segments, chosen, ends, bias, seed, balance, cos, sin, weights, gradients, mode, beta, kept, scratch, extras)

  def step_0(self, layer: int, slot: int, x: Tensor, columns: int, column: List[Tensor], past: List[Tensor], hidden: Tensor, mask: Tensor, cos: List[Tensor], sin: List[Tensor], weights: List[Tensor], eps: Tensor, activated: Tensor) -> Tensor:
    attention_norm_weight, qkv_weight, output_weight, mlp_norm_weight, mlp_in_weight, mlp_out_weight = weights
    attention_in = __torch__.rms_norm_step(x, attention_norm_weight, eps)
    qkv = self.linear_step(attention_in, slot, qkv_weight)
    heads = qkv.view([-1, 8, 8])
    __torch__.rotate_step_(torch.narrow(heads, 1, 0, 6), cos[0], sin[0], 0, False)
    attended = self.attention_step(heads, layer, columns, column, past, hidden, mask, 4, 2, self.scales[layer], self.windows[layer], 0.0)
    attended_chosen = attended
    y = self.linear_step(attended_chosen, slot + 1, output_weight)
    x_chosen = x
    y.add_(x_chosen)
    mlp_in = __torch__.rms_norm_step(y, mlp_norm_weight, eps)
    mlp_wide = self.linear_step(mlp_in, slot + 2, mlp_in_weight)
    mlp_active = __torch__.gated(mlp_wide, "silu", activated)
    z = self.linear_step(mlp_active, slot + 3, mlp_out_weight)
    z.add_(y)
    return z

  def any_step(self, layer: int, slot: int, x: Tensor, columns: int, column: List[Tensor], past: List[Tensor], hidden: Tensor, mask: Tensor, cos: List[Tensor], sin: List[Tensor], weights: List[Tensor], eps: Tensor, activated: Tensor) -> Tensor:
    return self.step_0(layer, slot, x, columns, column, past, hidden, mask, cos, sin, weights, eps, activated)

