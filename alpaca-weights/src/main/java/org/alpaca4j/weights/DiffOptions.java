package org.alpaca4j.weights;

import java.nio.file.Path;
import java.util.List;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.CheckpointWriter;
import org.alpaca4j.core.DType;
import org.jspecify.annotations.Nullable;

/** The options of a {@link WeightDiff}; see its builder. */
record DiffOptions(
    WeightDiff.Mode mode,
    @Nullable DType dtype,
    long maxShardBytes,
    boolean newRows,
    boolean replaceExisting,
    boolean requireManifest,
    int threads,
    @Nullable IntegrityCheck integrityCheck,
    ProgressListener listener) {

  CheckpointWriter.Builder writer(Path target) {
    return CheckpointWriter.builder(target)
        .maxShardBytes(maxShardBytes)
        .replaceExisting(replaceExisting)
        .threads(threads);
  }

  /** Starts to tell the listener of a phase. */
  PhaseProgress progress(ProgressListener.Phase phase, List<TensorPair> pairs) {
    long elements = pairs.stream().mapToLong(pair -> pair.changed().elements()).sum();
    return new PhaseProgress(listener, phase, pairs.size(), elements);
  }

  /** Returns the exception that a writer wrapped, if it is about integrity, else itself. */
  static CheckpointException unwrapped(CheckpointException e) {
    for (Throwable cause = e; cause != null; cause = cause.getCause()) {
      if (cause instanceof IntegrityException integrity) {
        return integrity;
      }
    }
    return e;
  }

  /** Returns the number of rows of a model's embedding, 0 if it has none by the usual name. */
  static long embeddingRows(List<TensorPair> pairs) {
    return pairs.stream()
        .filter(pair -> pair.name().equals(TensorPair.EMBEDDING))
        .mapToLong(pair -> pair.changed().shape()[0])
        .findFirst()
        .orElse(0);
  }
}
