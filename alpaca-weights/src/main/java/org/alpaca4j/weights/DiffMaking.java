package org.alpaca4j.weights;

import java.io.IOException;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import org.alpaca4j.core.Checkpoint;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.CheckpointWriter;
import org.alpaca4j.core.DType;

/** One run of {@link WeightDiff#make}. */
final class DiffMaking {
  private final DiffOptions options;
  private final Checkpoint raw;
  private final Checkpoint tuned;
  private final Path target;
  private final List<TensorPair> pairs;
  private final Map<String, TensorPair> pairOf = new TreeMap<>();
  private final Map<String, Double> deviations = new ConcurrentHashMap<>();
  private final Map<String, DiffManifest.Entry> entries = new ConcurrentHashMap<>();

  DiffMaking(DiffOptions options, Checkpoint raw, Checkpoint tuned, Path target) {
    this.options = options;
    this.raw = raw;
    this.tuned = tuned;
    this.target = target;
    this.pairs = TensorPair.match(raw, tuned, options.newRows());
    pairs.forEach(pair -> pairOf.put(pair.name(), pair));
  }

  private boolean exact() {
    return options.mode() == WeightDiff.Mode.EXACT;
  }

  /** The type that a tensor is recovered to. */
  private DType type(TensorPair pair) {
    DType wanted = options.dtype();
    return wanted == null ? pair.changed().dtype() : wanted;
  }

  WeightDiff.MakeResult run() {
    CheckpointWriter.Builder writer = options.writer(target);
    long parameters = 0;
    for (TensorPair pair : pairs) {
      requireWeight(pair);
      DType stored = exact() ? TensorMaker.residual(type(pair)) : type(pair);
      writer.tensor(pair.name(), stored, pair.changed().shape());
      parameters += pair.changed().elements();
    }
    writer.files(this::writeFiles);
    PhaseProgress progress = options.progress(ProgressListener.Phase.WRITE, pairs);
    writer
        .build()
        .write(
            (name, out) -> {
              TensorPair pair = Objects.requireNonNull(pairOf.get(name));
              make(pair, out);
              progress.done(pair.name(), pair.changed().elements());
            });
    Optional<Map.Entry<String, Double>> worst =
        deviations.entrySet().stream()
            .filter(entry -> entry.getValue() > 0)
            .max(Map.Entry.comparingByValue());
    return new WeightDiff.MakeResult(
        target,
        pairs.size(),
        parameters,
        worst.map(Map.Entry::getValue).orElse(0.0),
        worst.map(Map.Entry::getKey));
  }

  private static void requireWeight(TensorPair pair) {
    for (var tensor : List.of(pair.raw(), pair.changed())) {
      if (!tensor.dtype().isWeight()) {
        throw new CheckpointException(
            "Tensor '"
                + tensor.name()
                + "' of "
                + tensor.file()
                + " is "
                + tensor.dtype()
                + ", but a diff is made of F32, BF16 and F16");
      }
    }
  }

  private void make(TensorPair pair, WritableByteChannel out) throws IOException {
    TensorMaker maker = new TensorMaker(pair, type(pair), raw, tuned);
    entries.put(pair.name(), exact() ? maker.residual(out) : maker.subtract(out));
    deviations.put(pair.name(), maker.deviation());
  }

  /** Writes what goes with the weights, which have been written: all is known now. */
  private void writeFiles(Path folder) throws IOException {
    Set<String> names = ModelFiles.published(tuned.folder());
    ModelFiles.copy(names, tuned.folder(), folder);
    ConfigText config = ConfigText.ofFolder(tuned.folder());
    if (config != null) {
      String name = exact() ? ModelFiles.TUNED_CONFIG : ModelFiles.CONFIG;
      Files.writeString(
          folder.resolve(name), config.adapted(options.dtype(), DiffOptions.embeddingRows(pairs)));
      names.add(name);
    }
    Map<String, String> hashes = new TreeMap<>();
    for (String name : names) {
      hashes.put(name, Digest.sha256(ModelFiles.read(folder.resolve(name))));
    }
    double deviation = deviations.values().stream().mapToDouble(d -> d).max().orElse(0);
    DiffManifest manifest =
        new DiffManifest(options.mode(), deviation, new TreeMap<>(entries), hashes);
    Files.writeString(folder.resolve(DiffManifest.FILE), manifest.toJson());
  }
}
