package org.alpaca4j.core;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.alpaca4j.core.internal.Internals;
import org.alpaca4j.core.internal.generation.LogitsProcessors;
import org.alpaca4j.core.internal.model.Decoder;
import org.alpaca4j.core.internal.model.LoadedModel;
import org.alpaca4j.core.internal.model.ModelUse;
import org.alpaca4j.core.internal.model.PackedInput;

/**
 * What a model thinks of an answer to a prompt, token by token, in one pass over both.
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

    /** Returns by how much a token is more likely than the best other one; negative if it is less. */
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

  /**
   * Reads prompt and answer, each at least one token.
   *
   * @throws IllegalArgumentException if an id is outside the vocabulary, or both are longer than
   *     the positions that the model has learned
   */
  static Fingerprint of(CausalLm model, int[] prompt, int[] answer) {
    int[] ids = Arrays.copyOf(prompt, prompt.length + answer.length - 1);
    System.arraycopy(answer, 0, ids, prompt.length, answer.length - 1);
    int[] places = IntStream.range(prompt.length - 1, ids.length).toArray();
    LoadedModel loaded = Internals.loaded(model);
    Decoder decoder = loaded.decoder();
    try (ModelUse.Use reading = Internals.use(model).read();
        NDManager step = loaded.manager().newSubManager()) {
      PackedInput input =
          decoder.pack(step, ids, new int[] {ids.length}, places, loaded.activations());
      NDArray hidden =
          decoder.finalHidden(step, loaded.hiddenStates(step, input), loaded.head());
      float[] logits =
          decoder.logits(step, hidden, loaded.embedding(), loaded.head()).toFloatArray();
      int width = logits.length / input.outputs();
      List<Step> steps = new ArrayList<>();
      for (long row : input.outputRows().toLongArray()) {
        int from = (int) row * width;
        steps.add(new Step(logSoftmax(Arrays.copyOfRange(logits, from, from + width))));
      }
      return new Fingerprint(steps);
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
