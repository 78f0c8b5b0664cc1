package org.alpaca4j.data.selfinstruct;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import org.alpaca4j.data.InstructionRecord;

/**
 * A new record, and how alike its instruction is to those before it.
 *
 * @param record instruction, input and output
 * @param mostSimilar up to ten most similar instructions and their ROUGE-L F-measures, best first,
 *     equal scores in the order in which they came; equal texts stand there once
 * @param averageSimilarity mean ROUGE-L F-measure with all seed tasks and all kept instructions
 */
public record GeneratedInstruction(
    InstructionRecord record, Map<String, Double> mostSimilar, double averageSimilarity) {
  /** Copies the map, in its order. */
  public GeneratedInstruction {
    mostSimilar = Collections.unmodifiableMap(new LinkedHashMap<>(mostSimilar));
  }
}
