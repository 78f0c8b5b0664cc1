package org.alpaca4j.core.internal.model;

import ai.djl.Device;
import com.google.common.collect.ImmutableList;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.regex.Pattern;
import org.alpaca4j.core.internal.model.DecoderDescription.Dense;
import org.alpaca4j.core.internal.model.DecoderDescription.Layer;
import org.alpaca4j.core.internal.model.DecoderDescription.Norm;
import org.alpaca4j.core.internal.torch.TorchProgram;

/**
 * The torch program of a decoder: the blocks' files, and for each kind of layers the methods that
 * its recipe means. The same text serves training and generation.
 */
final class DecoderProgram {
  /** The files, in order. */
  static final List<String> BLOCKS =
      List.of(
          "linear.py",
          "low_rank.py",
          "norm.py",
          "positions.py",
          "attention.py",
          "mlp.py",
          "experts.py",
          "embedding.py",
          "head.py");

  /** What a program is for: each leaves out what it does not need, as compiling takes its time. */
  enum Purpose {
    /** Layers forward and backward, and losses. */
    TRAINING(ImmutableList.of("loss.py", "decoder.py"), true, false),
    /** Prompts and decoding steps. */
    GENERATION(ImmutableList.of("generation.py"), false, true);

    private final ImmutableList<String> files;
    private final boolean backward;
    private final boolean step;

    Purpose(ImmutableList<String> files, boolean backward, boolean step) {
      this.files = files;
      this.backward = backward;
      this.step = step;
    }
  }

  private final List<LayerRecipe> recipes = new ArrayList<>();
  private final List<LayerProgram> kinds = new ArrayList<>();
  private final long[] kindOfLayer;
  private final Map<String, Object> constants = new HashMap<>();

  DecoderProgram(DecoderDescription decoder) {
    double eps = eps(decoder);
    long width = width(decoder);
    Map<String, Integer> kindOf = new HashMap<>();
    kindOfLayer = new long[decoder.layers().size()];
    for (int i = 0; i < kindOfLayer.length; i++) {
      LayerRecipe recipe = LayerRecipe.of(decoder, decoder.layers().get(i));
      recipes.add(recipe);
      Integer kind = kindOf.putIfAbsent(recipe.kind(eps, width), kinds.size());
      if (kind == null) {
        kind = kinds.size();
        kinds.add(LayerProgram.of(recipe, eps, width));
      }
      kindOfLayer[i] = kind;
    }
    constants.put("kinds", kindOfLayer);
    constants.put("kept_widths", kinds.stream().mapToLong(LayerProgram::keptWidth).toArray());
    constants.put("scratch_widths", kinds.stream().mapToLong(LayerProgram::scratchWidth).toArray());
    constants.put("states", kinds.stream().mapToLong(LayerProgram::states).toArray());
    constants.put(
        "scales", decoder.layers().stream().mapToDouble(l -> l.attention().scale()).toArray());
    constants.put(
        "windows", decoder.layers().stream().mapToLong(l -> l.attention().window()).toArray());
    constants.put("layer_eps", eps);
    constants.put("activated_width", width);
    constants.putAll(aroundLayers(decoder));
  }

  private static double eps(DecoderDescription decoder) {
    Norm norm = decoder.layers().get(0).aroundAttention().before();
    return norm == null ? 0 : norm.eps();
  }

  private static long width(DecoderDescription decoder) {
    for (Layer layer : decoder.layers()) {
      if (layer.mlp() instanceof Dense dense) {
        return dense.width();
      }
    }
    return 0;
  }

  private static Map<String, Object> aroundLayers(DecoderDescription decoder) {
    Norm last = decoder.finalNorm();
    Norm first = decoder.embedding().norm();
    DecoderDescription.Alibi alibi = decoder.layers().get(0).attention().alibi();
    double scale = decoder.layers().get(0).attention().scale();
    Map<String, Object> constants = new HashMap<>();
    constants.put("embedding_scale", decoder.embedding().scale());
    constants.put("position_offset", (long) decoder.embedding().positionOffset());
    constants.put("embedding_eps", first == null ? 0.0 : first.eps());
    constants.put(
        "final_norm", last == null ? "none" : last.kind() == Norm.Kind.LAYER ? "layer" : "rms");
    constants.put("norm_plus_one", last != null && last.kind() == Norm.Kind.RMS_PLUS_ONE);
    constants.put("final_eps", last == null ? 0.0 : last.eps());
    constants.put("multiplier", decoder.head().multiplier());
    constants.put("logit_softcap", decoder.head().softcap());
    constants.put("normalised", decoder.head().normalisedRows());
    constants.put("alibi_rounded", alibi != null && alibi.rounded());
    constants.put("alibi_scale", alibi != null && alibi.scaled() ? scale : 1.0);
    return constants;
  }

  /** Returns the recipe of a layer. */
  LayerRecipe recipe(int layer) {
    return recipes.get(layer);
  }

  /** Returns the program of a layer's kind. */
  LayerProgram layer(int layer) {
    return kinds.get((int) kindOfLayer[layer]);
  }

  /** Returns the constants of the program, apart from those of a device. */
  Map<String, Object> constants() {
    return constants;
  }

  private static final Pattern TYPE = Pattern.compile(": (List\\[Tensor]|Tensor|int|float)");

  /**
   * Returns the methods that recipes mean, and what chooses among them.
   *
   * @param backward whether the backward passes are among them
   * @param step whether the decoding steps are
   */
  String layerText(boolean backward, boolean step) {
    StringBuilder text = new StringBuilder();
    add(text, LayerProgram.FORWARD, LayerProgram::forward);
    if (backward) {
      add(text, LayerProgram.BACKWARD, LayerProgram::backward);
    }
    if (step) {
      add(text, LayerProgram.STEP, LayerProgram::step);
    }
    return text.toString();
  }

  private void add(
      StringBuilder text, LayerProgram.Method method, Function<LayerProgram, List<String>> lines) {
    for (int kind = 0; kind < kinds.size(); kind++) {
      text.append(kinds.get(kind).text(method, kind, lines.apply(kinds.get(kind))));
    }
    String arguments = TYPE.matcher(method.parameters()).replaceAll("");
    text.append("  def any_" + method.name() + "(self, " + method.parameters() + ")");
    text.append(" -> " + method.result() + ":\n");
    for (int kind = 0; kind < kinds.size(); kind++) {
      String call = "return self." + method.name() + "_" + kind + "(" + arguments + ")\n";
      boolean last = kind + 1 == kinds.size();
      text.append(last ? "    " : "    if self.kinds[layer] == " + kind + ":\n      ").append(call);
    }
    text.append('\n');
  }

  /**
   * Compiles the program.
   *
   * @param deviceConstants those that depend on the device, and the state of generation
   */
  TorchProgram load(Device device, Purpose purpose, Map<String, Object> deviceConstants) {
    Map<String, Object> all = new HashMap<>(constants);
    all.putAll(deviceConstants);
    List<String> texts = new ArrayList<>();
    for (List<String> files :
        List.of(BLOCKS, List.of(AttentionKernels.file(device)), purpose.files)) {
      for (String file : files) {
        texts.add(TorchProgram.read(DecoderProgram.class, file));
      }
    }
    texts.add("# methods\n" + layerText(purpose.backward, purpose.step));
    String name = purpose.files.get(purpose.files.size() - 1);
    return TorchProgram.load(device, name, all, texts);
  }
}
