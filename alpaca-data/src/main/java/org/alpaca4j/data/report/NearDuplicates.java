package org.alpaca4j.data.report;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.alpaca4j.data.InstructionRecord;
import org.alpaca4j.data.similarity.Deduplication;
import org.alpaca4j.data.similarity.Deduplicator;
import org.alpaca4j.data.similarity.Duplicate;
import org.alpaca4j.data.similarity.RougeTokens;

/**
 * Records that ask almost what an earlier one asks: those that {@link Deduplicator} would drop.
 * Instruction and input are compared together, by ROUGE-L over tokens of any script. What asks
 * exactly the same counts once here; {@link DataProfile#duplicates} and {@link
 * DataProfile#duplicateInstructions} have it.
 *
 * @param compared records compared, the first ones
 * @param records records that there are
 * @param threshold score above which two questions are near duplicates
 * @param count questions that are too like an earlier one
 * @param examples the most alike, at most 20, best first
 */
public record NearDuplicates(
    int compared, int records, double threshold, int count, List<Example> examples) {
  private static final int EXAMPLES = 20;
  private static final int CHARACTERS = 200;

  /**
   * A question and the earlier one that it is like; both cut at 200 characters.
   *
   * @param record index of the record
   * @param earlier index of the earlier record
   * @param score ROUGE-L F-measure of the two
   * @param question the record's instruction and input
   * @param earlierQuestion those of the earlier record
   */
  public record Example(
      int record, int earlier, double score, String question, String earlierQuestion) {}

  /** Copies the examples. */
  public NearDuplicates {
    examples = List.copyOf(examples);
  }

  /**
   * Looks for near duplicates, on all processors. Memory grows with the tokens compared, time
   * faster than that.
   *
   * @param records the records
   * @param limit how many to compare at most, from the first on
   * @param threshold score above which two questions are near duplicates, from 0 to 1;
   *     Self-Instruct has 0.7
   */
  public static NearDuplicates of(List<InstructionRecord> records, int limit, double threshold) {
    Objects.requireNonNull(records, "records is null");
    if (limit < 1) {
      throw new IllegalArgumentException("limit must be at least 1, found " + limit);
    }
    int compared = Math.min(limit, records.size());
    Map<String, Integer> asked = new LinkedHashMap<>();
    for (int i = 0; i < compared; i++) {
      asked.putIfAbsent(question(records.get(i)), i);
    }
    List<String> questions = new ArrayList<>(asked.keySet());
    List<Integer> indexes = new ArrayList<>(asked.values());
    Deduplication found =
        Deduplicator.builder()
            .threshold(threshold)
            .tokenizer(RougeTokens::tokenizeUnicode)
            .build()
            .deduplicate(questions);
    List<Example> examples =
        found.dropped().stream()
            .sorted(Comparator.comparingDouble(Duplicate::score).reversed())
            .limit(EXAMPLES)
            .map(
                like ->
                    new Example(
                        indexes.get(like.index()),
                        indexes.get(like.mostSimilar()),
                        like.score(),
                        cut(questions.get(like.index())),
                        cut(questions.get(like.mostSimilar()))))
            .toList();
    return new NearDuplicates(
        compared, records.size(), threshold, found.dropped().size(), examples);
  }

  /** Returns how many there are among how many, in words. */
  @Override
  public String toString() {
    return count
        + " among "
        + (compared < records ? "the first " + compared + " of " : "")
        + records
        + " records (ROUGE-L above "
        + threshold
        + ")";
  }

  private static String question(InstructionRecord record) {
    return record.input().isEmpty()
        ? record.instruction()
        : record.instruction() + "\n" + record.input();
  }

  private static String cut(String text) {
    return text.codePointCount(0, text.length()) <= CHARACTERS
        ? text
        : text.substring(0, text.offsetByCodePoints(0, CHARACTERS)) + "…";
  }
}
