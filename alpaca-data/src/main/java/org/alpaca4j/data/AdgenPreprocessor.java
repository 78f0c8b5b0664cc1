package org.alpaca4j.data;

import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import org.alpaca4j.core.PromptTemplate;
import org.alpaca4j.core.Tokenizer;

/**
 * Turns ADGEN-like records into prompts and examples as ChatGLM-6B's P-Tuning script does
 * (ptuning/main.py): texts are inserted as they are, prompt and answer are tokenised apart and each
 * cut at its own limit. The frame is that of the decoders here, {@code <bos> prompt answer <eos>},
 * not ChatGLM's {@code [gMASK] <sop>}.
 *
 * <p>Immutable and thread-safe. The tokenizer must stay open.
 */
public final class AdgenPreprocessor {

  /** How a record becomes a prompt. The colons are full-width. */
  public enum Prompt {
    /** {@code 问：content↵答：}, the content with a prefix and the answer's. The default. */
    WRAPPED,
    /** The content alone, as the script does without a history column. */
    QUERY_ONLY,
    /**
     * {@code [Round i]↵问：question↵答：answer↵} for each earlier round, from 0, then the same for the
     * content, without an answer; as the script does with a history column.
     */
    ROUNDS;

    /** Returns the template of a single question. */
    PromptTemplate template() {
      return PromptTemplate.of(pattern("{instruction}\n{input}"), pattern("{instruction}"));
    }

    private String pattern(String question) {
      return switch (this) {
        case WRAPPED -> wrapped(question);
        case QUERY_ONLY -> question;
        case ROUNDS -> round(0, question);
      };
    }
  }

  private final Tokenizer tokenizer;
  private final Prompt prompt;
  private final int maxSourceLength;
  private final int maxTargetLength;
  private final int[] prefix;
  private final int eos;

  AdgenPreprocessor(Tokenizer tokenizer, Prompt prompt, int maxSourceLength, int maxTargetLength) {
    this.tokenizer = tokenizer;
    this.prompt = prompt;
    this.maxSourceLength = maxSourceLength;
    this.maxTargetLength = maxTargetLength;
    this.prefix = tokenizer.prefixIds();
    this.eos = SegmentTokenizer.requiredEos(tokenizer);
    if (maxSourceLength <= prefix.length || maxTargetLength < 2) {
      throw new IllegalArgumentException(
          "maxSourceLength and maxTargetLength must leave room for a token and the special ones,"
              + " found "
              + maxSourceLength
              + " and "
              + maxTargetLength);
    }
  }

  /**
   * Returns a preprocessor.
   *
   * @param prompt how a record becomes a prompt
   * @param maxSourceLength tokens of the prompt at most, BOS included
   * @param maxTargetLength tokens of the answer at most, EOS included
   * @throws DataException if the tokenizer names no end-of-sequence token
   */
  public static AdgenPreprocessor of(
      Tokenizer tokenizer, Prompt prompt, int maxSourceLength, int maxTargetLength) {
    Objects.requireNonNull(tokenizer, "tokenizer is null");
    Objects.requireNonNull(prompt, "prompt is null");
    return new AdgenPreprocessor(tokenizer, prompt, maxSourceLength, maxTargetLength);
  }

  /**
   * Returns the text that a model is asked with.
   *
   * @throws DataException if the record has a history and the prompt no place for it
   */
  public static String prompt(AdgenRecord record, Prompt prompt) {
    Objects.requireNonNull(record, "record is null");
    Objects.requireNonNull(prompt, "prompt is null");
    if (prompt == Prompt.ROUNDS) {
      StringBuilder text = new StringBuilder();
      List<AdgenRecord.Round> history = record.history();
      for (int i = 0; i < history.size(); i++) {
        AdgenRecord.Round round = history.get(i);
        text.append(round(i, round.question())).append(round.answer()).append('\n');
      }
      return text.append(round(history.size(), record.content())).toString();
    }
    if (!record.history().isEmpty()) {
      throw new DataException(
          "the record has a history, for which the prompt "
              + prompt
              + " has no place; choose ROUNDS, or read the data without it: AdgenReader.fields(...,"
              + " \"\")");
    }
    return prompt == Prompt.QUERY_ONLY ? record.content() : wrapped(record.content());
  }

  private static String round(int number, String question) {
    return "[Round " + number + "]\n" + wrapped(question);
  }

  private static String wrapped(String question) {
    return "问：" + question + "\n答：";
  }

  /**
   * Returns ids and labels of a record, the answer and EOS supervised. A prompt that is too long
   * loses its end, an answer that is too long its end but not EOS, as in the original. Nothing if
   * content or summary is empty: the original leaves such records out.
   */
  public Optional<SupervisedExample> example(AdgenRecord record) {
    Objects.requireNonNull(record, "record is null");
    return Optional.ofNullable(make(record).example());
  }

  ExampleMaker.Made make(AdgenRecord record) {
    if (record.content().isEmpty() || record.summary().isEmpty()) {
      return ExampleMaker.Made.NOTHING;
    }
    int[] source = tokenizer.encodeIds(prompt(record, prompt), false);
    int[] target = tokenizer.encodeIds(record.summary(), false);
    int sourceLength = Math.min(source.length, maxSourceLength - prefix.length);
    int targetLength = Math.min(target.length, maxTargetLength - 1);
    int border = prefix.length + sourceLength;
    int[] ids = Arrays.copyOf(prefix, border + targetLength + 1);
    System.arraycopy(source, 0, ids, prefix.length, sourceLength);
    System.arraycopy(target, 0, ids, border, targetLength);
    ids[ids.length - 1] = eos;
    int[] labels = ids.clone();
    Arrays.fill(labels, 0, border, SupervisedExample.IGNORE_INDEX);
    return new ExampleMaker.Made(
        new SupervisedExample(ids, labels),
        sourceLength < source.length || targetLength < target.length
            ? ExampleMaker.Cut.END
            : ExampleMaker.Cut.NONE);
  }
}
