package org.alpaca4j.data.selfinstruct;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.alpaca4j.data.InstructionRecord;
import org.alpaca4j.data.similarity.RougeTokens;
import org.alpaca4j.data.similarity.Similarities;
import org.alpaca4j.data.similarity.Similarity;
import org.alpaca4j.data.similarity.SimilarityIndex;

/** All instructions that there are, seed tasks first, and the rule by which new ones join them. */
final class InstructionPool {
  private static final int MOST_SIMILAR = 10;

  private final List<String> instructions = new ArrayList<>();
  private final SimilarityIndex index;
  private final double threshold;

  /**
   * Makes an empty pool.
   *
   * @param threshold what a new instruction's highest similarity may reach, but not exceed
   * @param anyScript whether words of scripts other than Latin count
   */
  InstructionPool(double threshold, boolean anyScript) {
    this.threshold = threshold;
    index = new SimilarityIndex(anyScript ? RougeTokens::tokenizeUnicode : RougeTokens::tokenize);
  }

  /** Adds an instruction without looking at it. */
  void add(String instruction) {
    instructions.add(instruction);
    index.add(instruction);
  }

  /** Adds a record and returns it, unless it is too similar to another one. */
  Optional<GeneratedInstruction> offer(InstructionRecord record) {
    Similarities similarities = index.query(record.instruction(), MOST_SIMILAR);
    if (similarities.max() > threshold) {
      return Optional.empty();
    }
    Map<String, Double> mostSimilar = new LinkedHashMap<>();
    for (Similarity similar : similarities.mostSimilar()) {
      mostSimilar.put(instructions.get(similar.index()), similar.score());
    }
    add(record.instruction());
    return Optional.of(new GeneratedInstruction(record, mostSimilar, similarities.average()));
  }
}
