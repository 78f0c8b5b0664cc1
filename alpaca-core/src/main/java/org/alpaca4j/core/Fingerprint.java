package org.alpaca4j.core;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.PrimitiveIterator;
import java.util.stream.IntStream;
import org.alpaca4j.core.internal.Internals;
import org.alpaca4j.core.internal.generation.LogitsProcessors;
import org.alpaca4j.core.internal.model.LoadedModel;
import org.alpaca4j.core.internal.model.ModelUse;
import org.alpaca4j.core.internal.model.PackedInput;

/**
 * What a model thinks of an answer to a prompt, token by token, read in one pass.
 *
 * @param steps one for each token of the answer
 */
record Fingerprint(List<Step> steps) {

  /**
   * The scores of one token's place.
   *
   * @param logProbabilities [vocabulary], natural logarithms
   */
  record Step(float[] logProbabilities) {

    /** Returns the most likely token. */
    int best() {
      return LogitsProcessors.best(logProbabilities);
    }

    /** Returns the most likely tokens, best first. */
    int[] top(int count) {
      float[] rest = logProbabilities.clone();
      int[] top = new int[Math.min(count, rest.length)];
      for (int i = 0; i < top.length; i++) {
        top[i] = LogitsProcessors.best(rest);
        rest[top[i]] = Float.NEGATIVE_INFINITY;
      }
      return top;
    }

    /**
     * Returns by how much a token is more likely than the best other one; negative if it is less.
     */
    double margin(int id) {
      double other = Double.NEGATIVE_INFINITY;
      for (int i = 0; i < logProbabilities.length; i++) {
        if (i != id) {
          other = Math.max(other, logProbabilities[i]);
        }
      }
      return logProbabilities[id] - other;
    }
  }

  /** Tokens that are read at a time: a training may have left little memory. */
  static final int BATCH_TOKENS = 1024;

  /** A prompt and an answer to it, each at least one token. */
  record Answered(int[] prompt, int[] answer) {
    int tokens() {
      return prompt.length + answer.length - 1; // nothing is asked behind the last
    }
  }

  /**
   * Returns the answer up to the first token that is not the most likely one, which replaces it.
   */
  int[] greedy(int[] answer) {
    for (int i = 0; i < answer.length; i++) {
      int best = steps.get(i).best();
      if (best != answer[i]) {
        int[] greedy = Arrays.copyOf(answer, i + 1);
        greedy[i] = best;
        return greedy;
      }
    }
    return answer;
  }

  /**
   * Reads prompts and answers.
   *
   * @param stored the dtype that weights are rounded to
   * @return in their order
   * @throws IllegalArgumentException if an id is outside the vocabulary, or both are longer than
   *     the positions that the model has learned
   */
  static List<Fingerprint> of(CausalLm model, List<Answered> answered, DType stored) {
    List<Fingerprint> all = new ArrayList<>();
    for (int from = 0; from < answered.size(); ) {
      int to = from;
      int tokens = 0;
      do {
        tokens += answered.get(to++).tokens();
      } while (to < answered.size() && tokens + answered.get(to).tokens() <= BATCH_TOKENS);
      all.addAll(together(model, answered.subList(from, to), stored));
      from = to;
    }
    return all;
  }

  private static List<Fingerprint> together(CausalLm model, List<Answered> answered, DType stored) {
    int[] lengths = answered.stream().mapToInt(Answered::tokens).toArray();
    IntStream.Builder places = IntStream.builder();
    IntStream.Builder ids = IntStream.builder();
    int start = 0;
    for (Answered one : answered) {
      Arrays.stream(one.prompt).forEach(ids);
      Arrays.stream(one.answer, 0, one.answer.length - 1).forEach(ids);
      IntStream.range(start + one.prompt.length - 1, start + one.tokens()).forEach(places);
      start += one.tokens();
    }
    LoadedModel loaded = Internals.loaded(model);
    try (ModelUse.Use reading = Internals.use(model).read();
        NDManager scope = loaded.manager().newSubManager()) {
      PackedInput input =
          loaded
              .decoder()
              .pack(
                  scope,
                  ids.build().toArray(),
                  lengths,
                  places.build().toArray(),
                  loaded.activations());
      NDArray logits = loaded.logitsAsStored(scope, input, stored);
      PrimitiveIterator.OfLong rows = Arrays.stream(input.outputRows().toLongArray()).iterator();
      List<Fingerprint> fingerprints = new ArrayList<>();
      for (Answered one : answered) {
        List<Step> steps = new ArrayList<>();
        for (int i = 0; i < one.answer.length; i++) {
          steps.add(new Step(logSoftmax(logits.get(rows.nextLong()).toFloatArray())));
        }
        fingerprints.add(new Fingerprint(steps));
      }
      return fingerprints;
    }
  }

  private static float[] logSoftmax(float[] logits) {
    double max = Double.NEGATIVE_INFINITY;
    for (float logit : logits) {
      max = Math.max(max, logit);
    }
    double sum = 0;
    for (float logit : logits) {
      sum += Math.exp(logit - max);
    }
    double normalizer = max + Math.log(sum);
    for (int i = 0; i < logits.length; i++) {
      logits[i] = (float) (logits[i] - normalizer);
    }
    return logits;
  }
}
