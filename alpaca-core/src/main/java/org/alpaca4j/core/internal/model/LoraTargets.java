package org.alpaca4j.core.internal.model;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.alpaca4j.core.LoraConfig;
import org.alpaca4j.core.internal.Names;
import org.alpaca4j.core.internal.model.DecoderDescription.Attention;
import org.alpaca4j.core.internal.model.DecoderDescription.Dense;
import org.alpaca4j.core.internal.model.DecoderDescription.Experts;
import org.alpaca4j.core.internal.model.DecoderDescription.FileTensor;
import org.alpaca4j.core.internal.model.DecoderDescription.Layer;
import org.alpaca4j.core.internal.model.DecoderDescription.Linear;
import org.alpaca4j.core.internal.model.DecoderDescription.LowRank;
import org.alpaca4j.core.internal.model.DecoderDescription.Mlp;
import org.alpaca4j.core.internal.model.DecoderDescription.Order;
import org.alpaca4j.core.internal.model.DecoderDescription.Weight;
import org.jspecify.annotations.Nullable;

/** Adds LoRA to the products of a decoder's layers that a configuration targets. */
final class LoraTargets {
  private static final String WEIGHT = ".weight";

  private final LoraConfig config;
  private final Set<String> modules = new LinkedHashSet<>();
  private final Set<String> adapted = new LinkedHashSet<>();

  private LoraTargets(LoraConfig config) {
    this.config = config;
  }

  /**
   * Returns the decoder with adapters.
   *
   * @throws IllegalArgumentException if a name or pattern of the configuration fits no module
   */
  static DecoderDescription adapt(DecoderDescription decoder, LoraConfig config) {
    LoraTargets targets = new LoraTargets(config);
    List<Layer> layers = decoder.layers().stream().map(targets::layer).toList();
    targets.requireUse(decoder.layers().size());
    return new DecoderDescription(
        decoder.family(),
        decoder.vocabSize(),
        decoder.hiddenSize(),
        decoder.maxPositions(),
        decoder.positions(),
        decoder.embedding(),
        decoder.rotaries(),
        layers,
        decoder.finalNorm(),
        decoder.head());
  }

  private Layer layer(Layer layer) {
    Attention a = layer.attention();
    return new Layer(
        new Attention(
            a.heads(),
            a.kvHeads(),
            a.headDim(),
            a.scale(),
            a.window(),
            a.softcap(),
            linear(a.queryKeyValue()),
            linear(a.output()),
            a.headNorm(),
            a.rotaries(),
            a.alibi(),
            a.prefix()),
        layer.aroundAttention(),
        mlp(layer.mlp()),
        layer.aroundMlp(),
        layer.parallel());
  }

  private Mlp mlp(Mlp mlp) {
    if (mlp instanceof Dense dense) {
      return dense(dense);
    }
    Experts e = (Experts) mlp;
    return new Experts(
        e.count(),
        e.perToken(),
        e.renormalised(),
        e.activation(),
        e.width(),
        e.router(),
        e.in(),
        e.out(),
        e.shared() == null ? null : dense(e.shared()),
        e.sharedGate(),
        e.auxiliaryLoss());
  }

  private Dense dense(Dense dense) {
    return new Dense(
        dense.gated(), dense.activation(), dense.width(), linear(dense.in()), linear(dense.out()));
  }

  private Linear linear(Linear linear) {
    return new Linear(linear.weight(), linear.bias(), lowRank(linear.weight()));
  }

  private @Nullable LowRank lowRank(Weight weight) {
    List<Weight> downs = new ArrayList<>();
    List<LowRank.Part> parts = new ArrayList<>();
    long row = 0;
    long firstRank = 0;
    for (FileTensor tensor : weight.tensors()) {
      List<Long> shape = UnitLayout.shapeInMemory(tensor);
      String module = module(tensor.name());
      modules.add(module);
      if (config.targets(module)) {
        adapted.add(module);
        int rank = config.rankOf(module);
        String name = LoraAdapter.PREFIX + module;
        Order order = tensor.order() instanceof Order.Grouped grouped ? grouped : new Order.Same();
        downs.add(Weight.of(name + LoraAdapter.DOWN, rank, shape.get(1)));
        Weight up = Weight.of(name + LoraAdapter.UP, order, shape.get(0), rank);
        parts.add(new LowRank.Part(up, row, firstRank, rank, config.scaleOf(module)));
        firstRank += rank;
      }
      row += shape.get(0);
    }
    return parts.isEmpty()
        ? null
        : new LowRank(Weight.stacked(downs), List.copyOf(parts), config.dropout());
  }

  private static String module(String tensor) {
    return tensor.endsWith(WEIGHT)
        ? tensor.substring(0, tensor.length() - WEIGHT.length())
        : tensor;
  }

  /** Whatever a configuration names has to be there: nobody means a name that fits nothing. */
  private void requireUse(int layers) {
    config
        .targetModules()
        .ifPresent(names -> names.forEach(name -> requireFit("targetModules", name)));
    config.layersToTransform().stream()
        .flatMap(List::stream)
        .filter(layer -> layer < 0 || layer >= layers)
        .findFirst()
        .ifPresent(
            layer -> {
              throw new IllegalArgumentException(
                  "layersToTransform has " + layer + ", but the model has " + layers + " layers");
            });
    if (adapted.isEmpty()) {
      throw new IllegalArgumentException(
          "no module of the model is adapted"
              + config.targetPattern().map(regex -> ": targetPattern '" + regex + "'").orElse("")
              + "; "
              + known());
    }
    requirePatterns("rankPattern", config.rankPattern().keySet());
    requirePatterns("alphaPattern", config.alphaPattern().keySet());
  }

  private void requireFit(String option, String name) {
    if (modules.stream().noneMatch(m -> m.equals(name) || m.endsWith("." + name))) {
      throw new IllegalArgumentException(
          option + " has '" + name + "', which is no linear module of the model; " + known());
    }
  }

  private void requirePatterns(String option, Set<String> patterns) {
    for (String pattern : patterns) {
      if (adapted.stream().noneMatch(m -> m.matches("(?s)(?:.*\\.)?(?:" + pattern + ")"))) {
        throw new IllegalArgumentException(
            option + " '" + pattern + "' fits no adapted module; " + known());
      }
    }
  }

  private String known() {
    Set<String> ends =
        modules.stream()
            .map(module -> module.substring(module.lastIndexOf('.') + 1))
            .collect(Collectors.toCollection(TreeSet::new));
    return "its linear modules end in " + Names.abbreviate(ends);
  }
}
