package org.alpaca4j.core.internal.model;

import java.util.ArrayList;
import java.util.List;
import org.alpaca4j.core.internal.model.DecoderDescription.Embedding;
import org.alpaca4j.core.internal.model.DecoderDescription.Head;
import org.alpaca4j.core.internal.model.DecoderDescription.Linear;
import org.alpaca4j.core.internal.model.DecoderDescription.Norm;
import org.jspecify.annotations.Nullable;

/** The parameters of a decoder as units: names, shapes, and their order in the torch programs. */
final class DecoderLayout {
  /** The matrix of the embedding, and that of a head of its own. */
  static final String TOKENS = "tokens";

  static final String POSITIONS = "positions";
  static final String PROJECTION = "projection";
  static final String NORM = "norm";
  static final String NORM_BIAS = "norm_bias";
  static final String BIAS = "bias";

  private DecoderLayout() {}

  /** Returns the units in order: embedding, decoder layers, head. */
  static List<UnitLayout> units(DecoderDescription decoder, DecoderProgram program) {
    List<UnitLayout> units = new ArrayList<>();
    units.add(embedding(decoder.embedding()));
    for (int i = 0; i < decoder.layers().size(); i++) {
      UnitLayout.Builder layer = new UnitLayout.Builder("layer " + i);
      for (LayerRecipe.Argument argument : program.recipe(i).arguments()) {
        layer.add(argument.name(), argument.weight(), argument.flat());
      }
      units.add(layer.build());
    }
    units.add(head(decoder.finalNorm(), decoder.head()));
    return List.copyOf(units);
  }

  private static UnitLayout embedding(Embedding embedding) {
    UnitLayout.Builder unit = new UnitLayout.Builder("embedding");
    unit.add(TOKENS, embedding.tokens(), UnitLayout.DECAYED);
    addProjection(unit, embedding.projection());
    if (embedding.positions() != null) {
      unit.add(POSITIONS, embedding.positions(), UnitLayout.DECAYED);
    }
    addNorm(unit, embedding.norm());
    return unit.build();
  }

  private static UnitLayout head(@Nullable Norm finalNorm, Head head) {
    UnitLayout.Builder unit = new UnitLayout.Builder("head");
    addNorm(unit, finalNorm);
    addProjection(unit, head.projection());
    if (head.weight() != null) {
      unit.add(TOKENS, head.weight(), UnitLayout.DECAYED);
    }
    if (head.bias() != null) {
      unit.add(BIAS, head.bias(), UnitLayout.PLAIN);
    }
    return unit.build();
  }

  private static void addNorm(UnitLayout.Builder unit, @Nullable Norm norm) {
    if (norm != null && norm.weight() != null) {
      unit.add(NORM, norm.weight(), UnitLayout.PLAIN);
    }
    if (norm != null && norm.bias() != null) {
      unit.add(NORM_BIAS, norm.bias(), UnitLayout.PLAIN);
    }
  }

  private static void addProjection(UnitLayout.Builder unit, @Nullable Linear projection) {
    if (projection != null) {
      unit.add(PROJECTION, projection.weight(), UnitLayout.DECAYED);
    }
  }
}
