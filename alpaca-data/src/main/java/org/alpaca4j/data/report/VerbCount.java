package org.alpaca4j.data.report;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import org.alpaca4j.data.InstructionRecord;

/**
 * How often a verb opens an instruction, and with which nouns.
 *
 * @param verb in lower case
 * @param count instructions that open with it
 * @param nouns its nouns, most frequent first, ties in alphabetical order; the empty one is missing
 */
public record VerbCount(String verb, int count, List<NounCount> nouns) {
  /** Copies the nouns. */
  public VerbCount {
    nouns = List.copyOf(nouns);
  }

  /**
   * How often a noun stands with a verb.
   *
   * @param noun in lower case
   * @param count instructions with this verb and this noun
   */
  public record NounCount(String noun, int count) {}

  /** Returns the verbs of instructions, most frequent first, ties in alphabetical order. */
  public static List<VerbCount> of(List<InstructionRecord> records) {
    Objects.requireNonNull(records, "records is null");
    Map<String, Map<String, Integer>> counts = new TreeMap<>();
    for (InstructionRecord record : records) {
      VerbAndNoun.of(record.instruction())
          .ifPresent(
              found ->
                  counts
                      .computeIfAbsent(found.verb(), verb -> new TreeMap<>())
                      .merge(found.noun(), 1, Integer::sum));
    }
    List<VerbCount> verbs = new ArrayList<>();
    counts.forEach(
        (verb, nouns) -> {
          int count = nouns.values().stream().mapToInt(Integer::intValue).sum();
          List<NounCount> sorted =
              nouns.entrySet().stream()
                  .filter(entry -> !entry.getKey().isEmpty())
                  .map(entry -> new NounCount(entry.getKey(), entry.getValue()))
                  .sorted(Comparator.comparingInt(NounCount::count).reversed())
                  .toList();
          verbs.add(new VerbCount(verb, count, sorted));
        });
    verbs.sort(Comparator.comparingInt(VerbCount::count).reversed());
    return List.copyOf(verbs);
  }
}
