package org.alpaca4j.core;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.OptionalInt;
import java.util.function.Predicate;

/**
 * What {@link Conformance#verify} found.
 *
 * @param source what was verified, such as the model's folder
 * @param weights the coarsest type that the weights were stored in: {@code float32}, {@code
 *     float16}, {@code bfloat16} or a quantisation of GGUF
 * @param tolerance by how much a log-probability may differ
 * @param prompts a result for each prompt, in the file's order
 */
public record ConformanceReport(
    String source, String weights, double tolerance, List<PromptResult> prompts) {

  /** Copies the list. */
  public ConformanceReport {
    prompts = List.copyOf(prompts);
  }

  /**
   * What became of one prompt.
   *
   * @param textEqual whether the prompt is rendered to the recorded text; true for prompts that are
   *     recorded as token ids alone
   * @param idsEqual whether that is tokenised to the recorded ids; true for prompts that are
   *     recorded as token ids alone
   * @param maxDifference the largest difference of a recorded log-probability, of the greedy tokens
   *     and of the most likely first ones; NaN if the model computes no numbers
   * @param firstDifferentToken the first greedy token, from 0, in whose place the model prefers
   *     another one by more than two log-probabilities may differ; empty if there is none
   * @param explanation where text or ids differ, in words; empty if they are equal
   */
  public record PromptResult(
      boolean textEqual,
      boolean idsEqual,
      double maxDifference,
      OptionalInt firstDifferentToken,
      String explanation) {}

  private boolean weightsAgree(PromptResult prompt) {
    return prompt.maxDifference <= tolerance && prompt.firstDifferentToken.isEmpty();
  }

  private boolean passed(PromptResult prompt) {
    return prompt.textEqual && prompt.idsEqual && weightsAgree(prompt);
  }

  /** Returns whether all prompts are rendered, tokenised and answered as recorded. */
  public boolean passed() {
    return prompts.stream().allMatch(this::passed);
  }

  /** Returns the largest difference of a log-probability in any prompt. */
  public double maxDifference() {
    return prompts.stream().mapToDouble(PromptResult::maxDifference).reduce(0, Math::max);
  }

  /**
   * Returns this report if all is as recorded.
   *
   * @throws CheckpointException if not; the message says what differs, and what to do
   */
  public ConformanceReport requirePassed() {
    if (passed()) {
      return this;
    }
    List<String> message = new ArrayList<>();
    message.add(toString());
    if (any(prompt -> !prompt.textEqual)) {
      message.add(
          "Prompts are rendered otherwise: take chat_template.jinja, prompt_template.json and"
              + " tokenizer_config.json from the model that the file was made with.");
    }
    if (any(prompt -> prompt.textEqual && !prompt.idsEqual)) {
      message.add(
          "Texts are tokenised otherwise: take the tokenizer's files (tokenizer.json,"
              + " tokenizer_config.json) from the model that the file was made with.");
    }
    if (any(prompt -> !weightsAgree(prompt))) {
      message.add(
          "The model computes otherwise: take weights and config.json from the model that the file"
              + " was made with, or convert them again.");
    }
    throw new CheckpointException(String.join("\n", message));
  }

  private boolean any(Predicate<PromptResult> condition) {
    return prompts.stream().anyMatch(condition);
  }

  /** Returns the result in words: one line, and one for each prompt that is not as recorded. */
  @Override
  public String toString() {
    long failed = prompts.stream().filter(prompt -> !passed(prompt)).count();
    StringBuilder text =
        new StringBuilder(
            String.format(
                Locale.ROOT,
                "%s: %s; log-probabilities differ by up to %.3g (tolerance %s for weights in %s)",
                source,
                failed == 0
                    ? "all " + prompts.size() + " prompts are as recorded"
                    : failed + " of " + prompts.size() + " prompts are not as recorded",
                maxDifference(),
                tolerance,
                weights));
    for (int i = 0; i < prompts.size(); i++) {
      if (!passed(prompts.get(i))) {
        text.append("\n  prompt ").append(i).append(": ").append(described(prompts.get(i)));
      }
    }
    return text.toString();
  }

  private String described(PromptResult prompt) {
    List<String> parts = new ArrayList<>();
    if (!prompt.explanation.isEmpty()) {
      parts.add(prompt.explanation);
    }
    if (!weightsAgree(prompt)) {
      parts.add(
          String.format(
              Locale.ROOT, "log-probabilities differ by up to %.3g", prompt.maxDifference));
    }
    prompt.firstDifferentToken.ifPresent(
        token -> parts.add("another token is the most likely at answer token " + token));
    return String.join("; ", parts);
  }
}
