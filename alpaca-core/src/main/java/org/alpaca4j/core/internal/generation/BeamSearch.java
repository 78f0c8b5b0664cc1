package org.alpaca4j.core.internal.generation;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.function.Predicate;
import org.alpaca4j.core.GenerationConfig;
import org.alpaca4j.core.GenerationConfig.EarlyStopping;

/**
 * The beams of one prompt: the same decisions as transformers' {@code _beam_search} makes for a
 * single prompt, in fp32.
 *
 * <p>Not thread-safe.
 */
public final class BeamSearch {
  private static final float IMPOSSIBLE = -1e9f;

  /** A sequence of new tokens and its score. */
  private record Beam(int[] ids, float score, boolean finished, int parent) {}

  private final int[] prompt;
  private final int beams;
  private final int kept;
  private final int maxNewTokens;
  private final double lengthPenalty;
  private final EarlyStopping earlyStopping;
  private final LogitsProcessors processors;
  private final Predicate<int[]> ends;
  private Beam[] running;
  private Beam[] finished;
  private boolean mayImprove = true;
  private boolean done;

  /**
   * Starts a search.
   *
   * @param eosCount how many eos tokens there are: so many more candidates are looked at
   * @param ends whether new tokens end with eos or a stop string
   */
  public BeamSearch(
      int[] prompt,
      GenerationConfig config,
      int maxNewTokens,
      int eosCount,
      LogitsProcessors processors,
      Predicate<int[]> ends) {
    this.prompt = prompt;
    this.maxNewTokens = maxNewTokens;
    this.processors = processors;
    this.ends = ends;
    beams = config.numBeams();
    kept = Math.max(2, 1 + eosCount) * beams;
    lengthPenalty = config.lengthPenalty();
    earlyStopping = config.earlyStopping();
    running = new Beam[beams];
    finished = new Beam[beams];
    Arrays.fill(finished, new Beam(new int[0], IMPOSSIBLE, false, 0));
    // Only the first counts at first, or all beams would be the same.
    Arrays.setAll(running, i -> new Beam(new int[0], i == 0 ? 0 : IMPOSSIBLE, false, 0));
  }

  /** Returns whether the search has ended. */
  public boolean done() {
    return done;
  }

  /** Returns, once done, the best sequence of new tokens, with its eos if it has one. */
  public int[] best() {
    return finished[0].ids;
  }

  /** Returns the best sequence's score: the sum of log-probabilities ÷ length ^ lengthPenalty. */
  public float score() {
    return finished[0].score;
  }

  /** Returns for each beam which beam of the step before it goes on from. */
  public int[] parents() {
    return Arrays.stream(running).mapToInt(Beam::parent).toArray();
  }

  /** Returns for each beam the token to append. */
  public int[] tokens() {
    return Arrays.stream(running).mapToInt(beam -> beam.ids[beam.ids.length - 1]).toArray();
  }

  /**
   * Chooses the next tokens.
   *
   * @param logProbabilities [beams][vocabulary], changed in place; in the first step one row will
   *     do
   */
  public void advance(float[][] logProbabilities) {
    int length = running[0].ids.length;
    boolean first = length == 0;
    for (int beam = 0; beam < (first ? 1 : beams); beam++) {
      processors.apply(
          logProbabilities[beam], sequence(running[beam].ids), prompt.length + length, length);
    }
    Beam[] candidates = candidates(logProbabilities, first);
    boolean[] ended = new boolean[candidates.length];
    boolean allEnded = true;
    for (int i = 0; i < candidates.length; i++) {
      ended[i] = length + 1 >= maxNewTokens || ends.test(candidates[i].ids);
      allEnded &= ended[i];
    }

    List<Beam> next = new ArrayList<>();
    List<Beam> merged = new ArrayList<>(List.of(finished));
    boolean full = earlyStopping == EarlyStopping.TRUE && allFinished();
    float penalty = (float) Math.pow(length + 1, lengthPenalty);
    for (int i = 0; i < candidates.length; i++) {
      Beam candidate = candidates[i];
      next.add(scored(candidate, candidate.score + (ended[i] ? IMPOSSIBLE : 0), false));
      boolean justFinished = ended[i] && i < beams;
      float score = candidate.score / penalty;
      score += full ? IMPOSSIBLE : 0;
      score += mayImprove ? 0 : IMPOSSIBLE;
      score += justFinished ? 0 : IMPOSSIBLE;
      merged.add(scored(candidate, score, justFinished));
    }
    running = top(next);
    finished = top(merged);

    mayImprove = mayImprove && improvementPossible(length + 1);
    done = !mayImprove || (earlyStopping == EarlyStopping.TRUE && allFinished()) || allEnded;
  }

  private static Beam scored(Beam beam, float score, boolean finished) {
    return new Beam(beam.ids, score, finished, beam.parent);
  }

  /** The best, sorted; of equal scores the earlier one first. */
  private Beam[] top(List<Beam> from) {
    from.sort(Comparator.comparing(Beam::score, Comparator.reverseOrder()));
    return from.subList(0, beams).toArray(Beam[]::new);
  }

  private boolean allFinished() {
    return Arrays.stream(finished).allMatch(Beam::finished);
  }

  private boolean improvementPossible(int length) {
    int hypothetical =
        earlyStopping == EarlyStopping.NEVER && lengthPenalty > 0 ? maxNewTokens : length;
    float best = running[0].score / (float) Math.pow(hypothetical, lengthPenalty);
    float worst = finished[beams - 1].score;
    for (Beam beam : finished) {
      if (best > (beam.finished ? worst : IMPOSSIBLE)) {
        return true;
      }
    }
    return false;
  }

  private int[] sequence(int[] ids) {
    int[] all = Arrays.copyOf(prompt, prompt.length + ids.length);
    System.arraycopy(ids, 0, all, prompt.length, ids.length);
    return all;
  }

  /** The best continuations of all beams, sorted. */
  private Beam[] candidates(float[][] logProbabilities, boolean first) {
    int vocabulary = logProbabilities[0].length;
    int count = (int) Math.min(kept, (long) beams * vocabulary);
    long[] best = new long[count]; // beam and token, by score
    float[] scores = new float[count];
    int size = 0;
    for (int beam = 0; beam < beams; beam++) {
      float[] row = logProbabilities[first ? 0 : beam];
      for (int token = 0; token < vocabulary; token++) {
        float score = row[token] + running[beam].score;
        if (size == count && !(score > scores[size - 1])) {
          continue;
        }
        int at = size < count ? size++ : size - 1;
        while (at > 0 && scores[at - 1] < score) {
          scores[at] = scores[at - 1];
          best[at] = best[at - 1];
          at--;
        }
        scores[at] = score;
        best[at] = (long) beam * vocabulary + token;
      }
    }
    Beam[] result = new Beam[count];
    for (int i = 0; i < count; i++) {
      int beam = (int) (best[i] / vocabulary);
      int[] ids = Arrays.copyOf(running[beam].ids, running[beam].ids.length + 1);
      ids[ids.length - 1] = (int) (best[i] % vocabulary);
      result[i] = new Beam(ids, scores[i], false, beam);
    }
    return result;
  }
}
