package org.alpaca4j.core.internal.model;

import java.util.List;
import org.alpaca4j.core.internal.model.DecoderDescription.LowRank;
import org.alpaca4j.core.internal.model.LayerBlock.Value;

/**
 * What LoRA adds to a product, as lines of a torch program; low_rank.py. All parts of a product
 * share one pass over its input.
 *
 * @param adapter its shapes and scales
 * @param down variable of the parts' a
 * @param ups variables of their b
 * @param number of this adapter among those of the layer
 */
record LowRankCode(LowRank adapter, String down, List<String> ups, int number) {
  /** More than a layer has adapters: every one has a seed of its own. */
  private static final int SEEDS = 16;

  private static String low(Value out) {
    return "low_" + out.name();
  }

  private long ranks() {
    return UnitLayout.rows(adapter.down());
  }

  private long rows(LowRank.Part part) {
    return UnitLayout.rows(part.up());
  }

  /** The product's columns and the ranks that a part is about, as arguments. */
  private String place(LowRank.Part part) {
    return "%d, %d, %d, %d".formatted(part.firstRow(), rows(part), part.firstRank(), part.rank());
  }

  void forward(ForwardWriter code, Value in, Value out) {
    String low = low(out);
    String x = in.name();
    if (adapter.dropout() > 0) {
      x = "dropped_" + out.name();
      code.line(
          "%s = __torch__.dropped(%s, %s, %s)",
          x, in.name(), chance(), code.buffer(x, out.rows(), in.width(), in.width()));
    }
    code.line(
        "%s = __torch__.linear(%s, %s, mode, %s)",
        low, x, down, code.buffer(low, out.rows(), ranks(), ranks()));
    for (int i = 0; i < ups.size(); i++) {
      LowRank.Part part = adapter.parts().get(i);
      code.line(
          "__torch__.add_low_rank_(%s, %s, %s, %s, %s, mode)",
          out.name(), low, ups.get(i), place(part), part.scale());
    }
  }

  void backward(BackwardWriter code, Value in, Value out, String dy, String dx) {
    String low = code.keep(low(out));
    String dlow = "d_" + low;
    code.line("%s = %s", dlow, code.buffer(dlow, out.rows(), ranks()));
    for (int i = 0; i < ups.size(); i++) {
      LowRank.Part part = adapter.parts().get(i);
      code.line(
          "__torch__.add_low_rank_backward(%s, %s, %s, %s, d_%s, %s, %s, mode, beta)",
          dy, low, dlow, ups.get(i), ups.get(i), place(part), part.scale());
    }
    String x = code.read(in);
    if (adapter.dropout() == 0) {
      code.line("__torch__.add_weight_gradient(d_%s, %s, %s, mode, beta)", down, dlow, x);
      code.line("__torch__.add_product_(%s, %s, %s, mode)", dx, dlow, down);
      return;
    }
    String mask = "mask_" + out.name();
    String dropped = "dropped_" + out.name();
    code.line(
        "%s = __torch__.dropout_mask(%s, %s)",
        mask, chance(), code.buffer(mask, out.rows(), in.width()));
    code.line(
        "%s = torch.mul(%s, %s, out=%s)",
        dropped, x, mask, code.buffer(dropped, out.rows(), in.width()));
    code.line("__torch__.add_weight_gradient(d_%s, %s, %s, mode, beta)", down, dlow, dropped);
    code.line("__torch__.linear_backward(%s, %s, mode, %s)", dlow, down, dropped);
    code.line("%s.addcmul_(%s, %s)", dx, dropped, mask);
  }

  /** Share that is left out, and the seed that says which. */
  private String chance() {
    return "%s, seed, layer * %d + %d".formatted(adapter.dropout(), SEEDS, number);
  }

  void step(StepWriter code, Value in, Value out) {
    String low = low(out);
    code.line("%s = torch.linear(%s, %s)", low, in.name(), down);
    for (int i = 0; i < ups.size(); i++) {
      LowRank.Part part = adapter.parts().get(i);
      code.line(
          "__torch__.add_low_rank_(%s, %s, %s, %s, %s, 0)",
          out.name(), low, ups.get(i), place(part), part.scale());
    }
  }
}
