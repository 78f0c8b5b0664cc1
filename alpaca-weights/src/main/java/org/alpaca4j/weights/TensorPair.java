package org.alpaca4j.weights;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.alpaca4j.core.Checkpoint;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.TensorInfo;
import org.alpaca4j.core.internal.Names;

/**
 * A tensor of the raw model and the one it belongs to in the tuned model or the diff.
 *
 * @param raw of the raw model; may have another name (a tied head) and fewer rows
 * @param changed of the tuned model or the diff; its name is the pair's
 */
record TensorPair(TensorInfo raw, TensorInfo changed) {
  static final String EMBEDDING = "model.embed_tokens.weight";
  static final String HEAD = "lm_head.weight";
  private static final String ROTARY = "rotary_emb.inv_freq";
  private static final List<String> WITH_TOKEN_ROWS =
      List.of("embed_tokens.weight", "lm_head.weight", "wte.weight", "word_embeddings.weight");

  String name() {
    return changed.name();
  }

  boolean hasNewRows() {
    return !Arrays.equals(raw.shape(), changed.shape());
  }

  /**
   * Pairs the tensors of two checkpoints, each tensor once: a head tied to the embedding is left
   * out, rotary buffers are no weights.
   *
   * @param newRows whether embedding and head may have more rows in {@code changed}
   * @throws CheckpointException listing what is missing, unexpected or misshapen
   */
  static List<TensorPair> match(Checkpoint raw, Checkpoint changed, boolean newRows) {
    boolean rawTied = isTied(raw);
    Set<String> names = weights(changed, isTied(changed));
    Set<String> unexpected = weights(raw, rawTied);
    List<String> missing = new ArrayList<>();
    List<String> misshapen = new ArrayList<>();
    List<TensorPair> pairs = new ArrayList<>();
    for (String name : names) {
      unexpected.remove(name);
      String rawName = name.equals(HEAD) && rawTied ? EMBEDDING : name;
      if (!raw.names().contains(rawName)) {
        missing.add(name);
        continue;
      }
      TensorPair pair = new TensorPair(raw.tensor(rawName), changed.tensor(name));
      if (pair.isPermitted(newRows)) {
        pairs.add(pair);
      } else {
        misshapen.add(
            name
                + " "
                + Arrays.toString(pair.raw.shape())
                + " and "
                + Arrays.toString(pair.changed.shape()));
      }
    }
    if (!names.contains(HEAD)) {
      unexpected.remove(HEAD); // tying drops the raw model's own head
    }
    List<String> problems = new ArrayList<>();
    report(problems, "only in " + changed.folder(), missing);
    report(problems, "only in " + raw.folder(), unexpected);
    report(problems, "with different shapes", misshapen);
    if (!problems.isEmpty()) {
      throw new CheckpointException(
          raw.folder()
              + " and "
              + changed.folder()
              + " are not of one model: "
              + String.join("; ", problems)
              + (misshapen.isEmpty() || newRows
                  ? ""
                  : "; new rows of embedding and head are not permitted here")
              + ". Take the raw model that was tuned");
    }
    return pairs;
  }

  private boolean isPermitted(boolean newRows) {
    long[] from = raw.shape();
    long[] to = changed.shape();
    if (Arrays.equals(from, to)) {
      return true;
    }
    return newRows
        && WITH_TOKEN_ROWS.stream().anyMatch(name()::endsWith)
        && from.length == 2
        && to.length == 2
        && from[1] == to[1]
        && 0 < from[0]
        && from[0] < to[0];
  }

  /** Returns the names of a checkpoint's weights, a tied head left out. */
  static Set<String> weights(Checkpoint checkpoint, boolean tied) {
    Set<String> names = new TreeSet<>(checkpoint.names());
    names.removeIf(name -> name.endsWith(ROTARY));
    if (tied && names.contains(EMBEDDING)) {
      checkpoint.requireTied(HEAD, EMBEDDING);
      names.remove(HEAD);
    }
    return names;
  }

  static boolean isTied(Checkpoint checkpoint) {
    ConfigText config = ConfigText.ofFolder(checkpoint.folder());
    return config != null && config.tiesWordEmbeddings();
  }

  private static void report(List<String> problems, String kind, Collection<String> names) {
    if (!names.isEmpty()) {
      problems.add(names.size() + " " + kind + ": " + Names.abbreviate(names));
    }
  }
}
