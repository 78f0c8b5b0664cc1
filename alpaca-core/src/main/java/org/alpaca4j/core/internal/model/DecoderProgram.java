package org.alpaca4j.core.internal.model;

import ai.djl.Device;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.alpaca4j.core.internal.model.DecoderDescription.Dense;
import org.alpaca4j.core.internal.model.DecoderDescription.Layer;
import org.alpaca4j.core.internal.model.DecoderDescription.Norm;
import org.alpaca4j.core.internal.torch.TorchProgram;

/**
 * The torch program of a decoder: the blocks' files, and for each kind of layers the methods that its
 * recipe means. The same text serves training and generation.
 */
final class DecoderProgram {
  private static final String[] BLOCKS = {
    "linear.py", "norm.py", "positions.py", "attention.py", "mlp.py", "experts.py", "embedding.py",
    "head.py", "decoder.py"
  };

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
    constants.put("scales", decoder.layers().stream().mapToDouble(l -> l.attention().scale()).toArray());
    constants.put("windows", decoder.layers().stream().mapToLong(l -> l.attention().window()).toArray());
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

  /** Returns the methods that recipes mean, and what chooses among them. */
  String layerText() {
    StringBuilder text = new StringBuilder();
    for (int kind = 0; kind < kinds.size(); kind++) {
      text.append(kinds.get(kind).text(kind));
    }
    text.append(
        choice(
            "any_forward",
            "forward",
            "layer: int, x: Tensor, segments: Tensor, chosen: Tensor, bias: Tensor, cos: List[Tensor], sin: List[Tensor],"
                + " weights: List[Tensor], mode: int, kept: Tensor, scratch: Tensor, z: Tensor",
            "List[Tensor]"));
    text.append(
        choice(
            "any_backward",
            "backward",
            "layer: int, x: Tensor, dz: Tensor, segments: Tensor, chosen: Tensor, bias: Tensor, balance: Tensor,"
                + " cos: List[Tensor], sin: List[Tensor], weights: List[Tensor], gradients: List[Tensor], mode: int,"
                + " beta: float, kept: Tensor, scratch: Tensor, extras: List[Tensor]",
            "Tensor"));
    text.append(
        choice(
            "any_step",
            "step",
            "layer: int, slot: int, x: Tensor, columns: int, column: List[Tensor], past: List[Tensor], hidden: Tensor,"
                + " mask: Tensor, cos: List[Tensor], sin: List[Tensor], weights: List[Tensor], eps: Tensor, activated: Tensor",
            "Tensor"));
    return text.toString();
  }

  /** A method that calls that of the layer's kind. */
  private String choice(String name, String method, String parameters, String result) {
    String arguments = parameters.replaceAll(": (List\\[Tensor]|Tensor|int|float)", "");
    StringBuilder text = new StringBuilder();
    text.append("  def %s(self, %s) -> %s:\n".formatted(name, parameters, result));
    for (int kind = 0; kind < kinds.size(); kind++) {
      String call = "return self.%s_%d(%s)".formatted(method, kind, arguments);
      text.append(
          kind + 1 < kinds.size()
              ? "    if self.kinds[layer] == %d:\n      %s\n".formatted(kind, call)
              : "    " + call + "\n");
    }
    return text.append('\n').toString();
  }

  /**
   * Compiles the program.
   *
   * @param deviceConstants those that depend on the device, and the state of generation
   */
  TorchProgram load(Device device, Map<String, Object> deviceConstants, String... further) {
    Map<String, Object> all = new HashMap<>(constants);
    all.putAll(deviceConstants);
    List<String> texts = new ArrayList<>();
    for (String block : BLOCKS) {
      texts.add(TorchProgram.read(DecoderProgram.class, block));
    }
    for (String file : further) {
      texts.add(TorchProgram.read(DecoderProgram.class, file));
    }
    texts.add("# methods\n" + layerText());
    return TorchProgram.load(device, "decoder.py", all, texts);
  }
}
