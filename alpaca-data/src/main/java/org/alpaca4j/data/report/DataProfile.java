package org.alpaca4j.data.report;

import java.lang.Character.UnicodeScript;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.alpaca4j.data.DataException;
import org.alpaca4j.data.DataReport;
import org.alpaca4j.data.InstructionRecord;
import org.alpaca4j.data.SupervisedDataset;
import org.jspecify.annotations.Nullable;

/**
 * What instruction data look like, as JSON, as text, or as a page for a browser.
 *
 * <pre>{@code
 * List<InstructionRecord> records = InstructionReader.readJson(file);
 * SupervisedDataset dataset =
 *     SupervisedDataset.builder().tokenizer(tokenizer).records(records).build();
 * DataProfile.of(records, dataset)
 *     .withNearDuplicates(NearDuplicates.of(records, 100_000, 0.7))
 *     .writeHtml(Path.of("report.html"), "alpaca_data.json");
 * }</pre>
 *
 * @param report what became of the records in tokenising: counts, supervised tokens, truncated
 * @param lengths tokens per example
 * @param duplicates records that equal an earlier one in all fields
 * @param duplicateInstructions records whose instruction and input, but not output, were asked
 *     before
 * @param nearDuplicates records that ask almost what an earlier one asks; null if nobody looked
 * @param verbs what is asked for, most frequent first; see {@link VerbAndNoun}
 * @param scripts records by the script of most of their letters, most frequent first; Han beside
 *     kana counts as HIRAGANA, for Japanese; records without a letter as COMMON
 */
public record DataProfile(
    DataReport report,
    LengthHistogram lengths,
    int duplicates,
    int duplicateInstructions,
    @Nullable NearDuplicates nearDuplicates,
    List<VerbCount> verbs,
    Map<UnicodeScript, Integer> scripts) {

  /** Copies the collections. */
  public DataProfile {
    verbs = List.copyOf(verbs);
    scripts = Collections.unmodifiableMap(new LinkedHashMap<>(scripts));
  }

  /**
   * Returns the profile of records and of the dataset that was made of them. Near duplicates are
   * not looked for, see {@link #withNearDuplicates}.
   */
  public static DataProfile of(List<InstructionRecord> records, SupervisedDataset dataset) {
    Objects.requireNonNull(records, "records is null");
    Objects.requireNonNull(dataset, "dataset is null");
    Set<InstructionRecord> seen = new HashSet<>();
    Set<InstructionRecord> asked = new HashSet<>();
    Map<UnicodeScript, Integer> scripts = new EnumMap<>(UnicodeScript.class);
    int duplicates = 0;
    int again = 0;
    for (InstructionRecord record : records) {
      boolean newQuestion =
          asked.add(new InstructionRecord(record.instruction(), record.input(), ""));
      if (!seen.add(record)) {
        duplicates++;
      } else if (!newQuestion) {
        again++;
      }
      scripts.merge(script(record), 1, Integer::sum);
    }
    List<Map.Entry<UnicodeScript, Integer>> sorted = new ArrayList<>(scripts.entrySet());
    sorted.sort(Map.Entry.<UnicodeScript, Integer>comparingByValue().reversed());
    Map<UnicodeScript, Integer> byCount = new LinkedHashMap<>();
    sorted.forEach(entry -> byCount.put(entry.getKey(), entry.getValue()));
    return new DataProfile(
        dataset.report(),
        LengthHistogram.of(dataset),
        duplicates,
        again,
        null,
        VerbCount.of(records),
        byCount);
  }

  /** Returns this profile with the near duplicates of its records, which take longer to find. */
  public DataProfile withNearDuplicates(NearDuplicates found) {
    Objects.requireNonNull(found, "found is null");
    return new DataProfile(
        report, lengths, duplicates, duplicateInstructions, found, verbs, scripts);
  }

  private static UnicodeScript script(InstructionRecord record) {
    Map<UnicodeScript, Integer> letters = new EnumMap<>(UnicodeScript.class);
    for (String text : List.of(record.instruction(), record.input(), record.output())) {
      text.codePoints()
          .filter(Character::isLetter)
          .mapToObj(UnicodeScript::of)
          .filter(script -> script != UnicodeScript.COMMON && script != UnicodeScript.INHERITED)
          .forEach(script -> letters.merge(script, 1, Integer::sum));
    }
    UnicodeScript most =
        letters.entrySet().stream()
            .max(Map.Entry.comparingByValue())
            .map(Map.Entry::getKey)
            .orElse(UnicodeScript.COMMON);
    boolean kana =
        letters.containsKey(UnicodeScript.HIRAGANA) || letters.containsKey(UnicodeScript.KATAKANA);
    return kana && (most == UnicodeScript.HAN || most == UnicodeScript.KATAKANA)
        ? UnicodeScript.HIRAGANA
        : most;
  }

  /** Returns a summary with the histogram of lengths, for a terminal. */
  public String text() {
    return String.format(
            Locale.ROOT,
            "records %d, examples %d (%d without a supervised token, %d too long)%n"
                + "tokens %d, supervised %d (%.1f %%), longest %d, truncated examples %d,"
                + " shortened %d%n"
                + "duplicates %d, same question with another answer %d%n"
                + "near duplicates %s%n"
                + "scripts %s%nverbs %d, most frequent %s%ntokens per example:%n",
            report.records(),
            report.examples(),
            report.fullyMasked().size(),
            report.tooLong().size(),
            report.tokens(),
            report.supervisedTokens(),
            100 * report.supervisedShare(),
            report.longest(),
            report.truncated(),
            report.shortened(),
            duplicates,
            duplicateInstructions,
            nearDuplicates == null ? "not looked for" : nearDuplicates,
            scripts,
            verbs.size(),
            verbs.stream().limit(10).map(v -> v.verb() + " " + v.count()).toList())
        + lengths.text();
  }

  /**
   * Writes all figures as one JSON object; the file appears whole or not at all.
   *
   * @throws DataException if it cannot be written
   */
  public void writeJson(Path file) {
    Objects.requireNonNull(file, "file is null");
    WholeFile.write(file, ProfileJson.of(this));
  }

  /**
   * Writes a page that needs nothing but itself: no script, no font, no picture from elsewhere. The
   * file appears whole or not at all.
   *
   * @param title what the page is about, such as the data's name
   * @throws DataException if it cannot be written
   */
  public void writeHtml(Path file, String title) {
    Objects.requireNonNull(file, "file is null");
    Objects.requireNonNull(title, "title is null");
    WholeFile.write(file, ProfilePage.of(this, title));
  }
}
