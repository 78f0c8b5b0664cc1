package org.alpaca4j.core.internal.generation;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import org.alpaca4j.core.GenerationConfig;

/**
 * What changes the scores of the next token before one is chosen: the same arithmetic, in the same
 * order and in fp32, as the classes of the same names in transformers' {@code logits_process.py}.
 *
 * <p>Scores are changed in place; a removed token has {@code -Infinity}. Thread-safe, stateless.
 */
public final class LogitsProcessors {
  private static final float REMOVED = Float.NEGATIVE_INFINITY;

  /** Changes the scores of one row. */
  private interface Processor {
    /**
     * Processes.
     *
     * @param scores [vocabulary], changed in place
     * @param ids prompt and new tokens; valid up to {@code length}
     * @param newTokens how many of the ids are new
     */
    void process(float[] scores, int[] ids, int length, int newTokens);
  }

  private final List<Processor> processors = new ArrayList<>();

  private LogitsProcessors() {}

  /**
   * Returns the processors that a configuration asks for.
   *
   * @param eosIds tokens that may not come before {@code minNewTokens}
   */
  public static LogitsProcessors of(GenerationConfig config, Collection<Integer> eosIds) {
    LogitsProcessors all = new LogitsProcessors();
    if (config.repetitionPenalty() != 1) {
      float penalty = (float) config.repetitionPenalty();
      all.processors.add((scores, ids, n, fresh) -> penalize(scores, ids, n, penalty));
    }
    if (config.noRepeatNgramSize() > 0) {
      int size = config.noRepeatNgramSize();
      all.processors.add((scores, ids, n, fresh) -> forbidRepeatedNgrams(scores, ids, n, size));
    }
    if (config.minNewTokens() > 0 && !eosIds.isEmpty()) {
      int[] eos = eosIds.stream().mapToInt(Integer::intValue).toArray();
      int least = config.minNewTokens();
      all.processors.add(
          (scores, ids, n, fresh) -> {
            if (fresh < least) {
              for (int id : eos) {
                scores[id] = REMOVED;
              }
            }
          });
    }
    if (config.doSample()) {
      if (config.temperature() != 1) {
        float temperature = (float) config.temperature();
        all.processors.add((scores, ids, n, fresh) -> divide(scores, temperature));
      }
      if (config.topK() > 0) {
        int k = config.topK();
        all.processors.add((scores, ids, n, fresh) -> keepTopK(scores, k));
      }
      if (config.topP() < 1) {
        double p = config.topP();
        all.processors.add((scores, ids, n, fresh) -> keepTopP(scores, p));
      }
      if (config.minP() > 0) {
        double p = config.minP();
        all.processors.add((scores, ids, n, fresh) -> keepMinP(scores, p));
      }
    }
    return all;
  }

  /** Returns whether scores pass unchanged. */
  public boolean isEmpty() {
    return processors.isEmpty();
  }

  /**
   * Applies all processors.
   *
   * @param scores [vocabulary], changed in place
   * @param ids prompt and new tokens, valid up to {@code length}; pads are not among them
   * @param newTokens how many of the ids are new
   */
  public void apply(float[] scores, int[] ids, int length, int newTokens) {
    for (Processor processor : processors) {
      processor.process(scores, ids, length, newTokens);
    }
  }

  /** Divides by the temperature. */
  static void divide(float[] scores, float temperature) {
    for (int i = 0; i < scores.length; i++) {
      scores[i] /= temperature;
    }
  }

  /** Scores of tokens seen before: × penalty where negative, ÷ otherwise; each token once. */
  static void penalize(float[] scores, int[] ids, int length, float penalty) {
    long[] seen = new long[scores.length / Long.SIZE + 1];
    for (int i = 0; i < length; i++) {
      int id = ids[i];
      long bit = 1L << id;
      if ((seen[id / Long.SIZE] & bit) == 0) {
        seen[id / Long.SIZE] |= bit;
        scores[id] = scores[id] < 0 ? scores[id] * penalty : scores[id] / penalty;
      }
    }
  }

  /** Removes each token that would complete an n-gram which the ids already contain. */
  static void forbidRepeatedNgrams(float[] scores, int[] ids, int length, int size) {
    int start = length - size + 1; // of the n - 1 last tokens
    if (start < 0) {
      return;
    }
    for (int i = 0; i + size <= length; i++) {
      if (Arrays.equals(ids, i, i + size - 1, ids, start, length)) {
        scores[ids[i + size - 1]] = REMOVED;
      }
    }
  }

  /** Keeps the k best, and all that tie with the k-th. */
  static void keepTopK(float[] scores, int k) {
    if (k >= scores.length) {
      return;
    }
    float threshold = largest(scores, k);
    for (int i = 0; i < scores.length; i++) {
      if (scores[i] < threshold) {
        scores[i] = REMOVED;
      }
    }
  }

  /** The k-th largest value, with a heap of k. */
  private static float largest(float[] scores, int k) {
    float[] heap = Arrays.copyOf(scores, k); // the least of the k best at the root
    for (int i = k / 2 - 1; i >= 0; i--) {
      sift(heap, i);
    }
    for (int i = k; i < scores.length; i++) {
      if (scores[i] > heap[0]) {
        heap[0] = scores[i];
        sift(heap, 0);
      }
    }
    return heap[0];
  }

  private static void sift(float[] heap, int from) {
    int i = from;
    float value = heap[i];
    while (2 * i + 1 < heap.length) {
      int child = 2 * i + 1;
      if (child + 1 < heap.length && heap[child + 1] < heap[child]) {
        child++;
      }
      if (value <= heap[child]) {
        break;
      }
      heap[i] = heap[child];
      i = child;
    }
    heap[i] = value;
  }

  /**
   * Keeps the smallest set of best tokens whose probabilities reach p: in ascending order, removes
   * while the cumulative probability is at most 1 − p; the best token always stays. Where equal
   * scores lie on both sides of the limit, PyTorch's sorting decides which of them go.
   */
  static void keepTopP(float[] scores, double p) {
    float[] probabilities = softmax(scores);
    int[] order = ascending(scores);
    int removed = beyondTopP(probabilities, order, p);
    if (removed > 0 && scores[order[removed - 1]] == scores[order[removed]]) {
      order = TorchOrder.ascending(scores);
      removed = beyondTopP(probabilities, order, p);
    }
    for (int i = 0; i < removed; i++) {
      scores[order[i]] = REMOVED;
    }
  }

  /** How many of the least likely tokens go. */
  private static int beyondTopP(float[] probabilities, int[] order, double p) {
    float limit = (float) (1 - p);
    double cumulative = 0;
    for (int i = 0; i < order.length - 1; i++) {
      cumulative += probabilities[order[i]];
      if ((float) cumulative > limit) {
        return i;
      }
    }
    return order.length - 1;
  }

  /** Ids by score, then by id; ids removed before are left out. */
  private static int[] ascending(float[] scores) {
    long[] keys = new long[scores.length];
    int count = 0;
    for (int id = 0; id < scores.length; id++) {
      if (scores[id] != REMOVED) {
        int bits = Float.floatToIntBits(scores[id] + 0f); // -0 becomes 0
        int sortable = bits < 0 ? ~bits ^ Integer.MIN_VALUE : bits;
        keys[count++] = (long) sortable << Integer.SIZE | id;
      }
    }
    Arrays.sort(keys, 0, count);
    int[] order = new int[count];
    for (int i = 0; i < count; i++) {
      order[i] = (int) keys[i];
    }
    return order;
  }

  /** Removes tokens less likely than p times the likeliest. */
  static void keepMinP(float[] scores, double p) {
    float[] probabilities = softmax(scores);
    float most = 0;
    for (float probability : probabilities) {
      most = Math.max(most, probability);
    }
    float limit = (float) p * most;
    for (int i = 0; i < scores.length; i++) {
      if (probabilities[i] < limit) {
        scores[i] = REMOVED;
      }
    }
  }

  /** Returns probabilities. */
  static float[] softmax(float[] scores) {
    float largest = REMOVED;
    for (float score : scores) {
      largest = Math.max(largest, score);
    }
    float[] result = new float[scores.length];
    double sum = 0;
    for (int i = 0; i < scores.length; i++) {
      if (scores[i] != REMOVED) {
        result[i] = (float) Math.exp((double) scores[i] - largest);
        sum += result[i];
      }
    }
    for (int i = 0; i < scores.length; i++) {
      result[i] = (float) (result[i] / sum);
    }
    return result;
  }

  /** Returns the id of the largest score, the first of several. */
  public static int best(float[] scores) {
    int best = 0;
    for (int i = 1; i < scores.length; i++) {
      if (scores[i] > scores[best]) {
        best = i;
      }
    }
    return best;
  }

  /**
   * Returns an id drawn with the probabilities that the scores stand for.
   *
   * @param uniform a random number in [0, 1)
   */
  public static int draw(float[] scores, double uniform) {
    float[] probabilities = softmax(scores);
    double total = 0;
    for (float probability : probabilities) {
      total += probability;
    }
    double target = uniform * total;
    int last = 0;
    for (int i = 0; i < probabilities.length; i++) {
      if (probabilities[i] > 0) {
        last = i;
        target -= probabilities[i];
        if (target < 0) {
          return i;
        }
      }
    }
    return last;
  }
}
