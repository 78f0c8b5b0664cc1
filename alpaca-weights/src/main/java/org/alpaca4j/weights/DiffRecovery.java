package org.alpaca4j.weights;

import java.io.IOException;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.stream.Collectors;
import org.alpaca4j.core.AlpacaException;
import org.alpaca4j.core.Checkpoint;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.CheckpointWriter;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.RopeScaling;
import org.alpaca4j.core.TensorInfo;
import org.alpaca4j.core.internal.Internals;
import org.alpaca4j.core.internal.Names;
import org.alpaca4j.core.internal.ParallelTasks;
import org.alpaca4j.core.internal.model.DecoderDescription.Rotary;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** One run of {@link WeightDiff#recover}. */
final class DiffRecovery {
  private static final Logger LOG = LoggerFactory.getLogger(DiffRecovery.class);

  private final DiffOptions options;
  private final Checkpoint raw;
  private final Checkpoint diff;
  private final Path target;
  private final @Nullable DiffManifest manifest;
  private final List<TensorPair> pairs;
  private final Map<String, TensorPair> pairOf = new TreeMap<>();
  private final Map<String, Double> sums = new ConcurrentHashMap<>();

  DiffRecovery(DiffOptions options, Checkpoint raw, Checkpoint diff, Path target) {
    this.options = options;
    this.raw = raw;
    this.diff = diff;
    this.target = target;
    this.manifest = DiffManifest.read(diff.folder());
    if (manifest == null) {
      requireNone();
    } else {
      requireAsListed(manifest);
    }
    this.pairs = TensorPair.match(raw, diff, options.newRows());
    pairs.forEach(pair -> pairOf.put(pair.name(), pair));
  }

  private void requireNone() {
    Path absent = diff.folder().resolve(DiffManifest.FILE);
    if (options.requireManifest()) {
      throw new IntegrityException(absent + " is missing, but a manifest is required", List.of());
    }
    for (String name : diff.names()) {
      TensorInfo tensor = diff.tensor(name);
      if (tensor.dtype() == DType.I16 || tensor.dtype() == DType.I32) {
        throw new IntegrityException(
            absent + " is missing, without which an exact diff cannot be read", List.of());
      }
      if (!tensor.dtype().isWeight()) {
        throw new CheckpointException(
            "Tensor '"
                + name
                + "' of "
                + tensor.file()
                + " is "
                + tensor.dtype()
                + ", but a diff is of F32, BF16 and F16");
      }
    }
    LOG.warn("{} is missing: nothing vouches for raw weights, diff and result", absent);
  }

  /** Refuses tensors and files of the diff that are not the manifest's, without their contents. */
  private void requireAsListed(DiffManifest listed) {
    Set<String> wrong = new TreeSet<>(TensorPair.weights(diff, TensorPair.isTied(diff)));
    Set<String> missing = new TreeSet<>(listed.tensors().keySet());
    missing.removeAll(wrong);
    wrong.removeAll(listed.tensors().keySet());
    listed
        .tensors()
        .forEach(
            (name, entry) -> {
              if (diff.names().contains(name) && !isOf(diff.tensor(name), entry.diff())) {
                wrong.add(name);
              }
            });
    if (!missing.isEmpty() || !wrong.isEmpty()) {
      Set<String> all = new TreeSet<>(missing);
      all.addAll(wrong);
      throw new IntegrityException(
          diff.folder()
              + " does not fit its "
              + DiffManifest.FILE
              + (missing.isEmpty() ? "" : ": missing " + Names.abbreviate(missing))
              + (wrong.isEmpty()
                  ? ""
                  : ": not listed, or of other type or shape: " + Names.abbreviate(wrong))
              + "; fetch the diff again",
          all);
    }
    Set<String> present = ModelFiles.besideWeights(diff.folder());
    listed
        .files()
        .forEach(
            (name, hash) -> {
              if (!present.contains(name)) {
                throw new IntegrityException(
                    diff.folder()
                        + " has no file "
                        + name
                        + ", which "
                        + DiffManifest.FILE
                        + " lists; fetch the diff again",
                    List.of());
              }
              Path file = diff.folder().resolve(name);
              if (!Digest.sha256(ModelFiles.read(file)).equals(hash)) {
                throw new IntegrityException(
                    file + " was changed or is damaged: its SHA-256 is not the manifest's",
                    List.of());
              }
            });
  }

  private static boolean isOf(TensorInfo tensor, DiffManifest.Form form) {
    return tensor.dtype() == form.dtype() && Arrays.equals(tensor.shape(), form.shape());
  }

  private DiffManifest.@Nullable Entry expected(TensorPair pair) {
    return manifest == null ? null : manifest.tensors().get(pair.name());
  }

  private DType outputType(TensorPair pair) {
    DType wanted = options.dtype();
    if (wanted != null) {
      return wanted;
    }
    DiffManifest.Entry entry = expected(pair);
    return entry == null ? pair.changed().dtype() : entry.recovered().dtype();
  }

  /** Returns the type of all recovered tensors, null if they have several. */
  @Nullable DType commonType() {
    Set<DType> types = pairs.stream().map(this::outputType).collect(Collectors.toSet());
    return types.size() == 1 ? types.iterator().next() : null;
  }

  WeightDiff.RecoverResult run() {
    verifyRaw();
    CheckpointWriter.Builder writer = options.writer(target);
    long parameters = 0;
    for (TensorPair pair : pairs) {
      writer.tensor(pair.name(), outputType(pair), pair.changed().shape());
      parameters += pair.changed().elements();
    }
    writer.files(folder -> checkSum());
    ConfigText config = ConfigText.ofFolder(diff.folder());
    if (config != null) {
      writer.file(
          ModelFiles.CONFIG, config.adapted(commonType(), DiffOptions.embeddingRows(pairs)));
    }
    Set<String> files = ModelFiles.published(diff.folder());
    writer.files(folder -> ModelFiles.copy(files, diff.folder(), folder));
    PhaseProgress progress = options.progress(ProgressListener.Phase.WRITE, pairs);
    try {
      writer
          .build()
          .write(
              (name, out) -> {
                TensorPair pair = Objects.requireNonNull(pairOf.get(name));
                recover(pair, out);
                progress.done(pair.name(), pair.changed().elements());
              });
    } catch (CheckpointException e) {
      throw DiffOptions.unwrapped(e);
    }
    return new WeightDiff.RecoverResult(
        target,
        pairs.size(),
        parameters,
        manifest != null,
        options.integrityCheck() == null ? OptionalDouble.empty() : OptionalDouble.of(sum()),
        options.integrityCheck() == null
            ? OptionalDouble.empty()
            : OptionalDouble.of(sum() + rotarySum()),
        Optional.empty());
  }

  private void recover(TensorPair pair, WritableByteChannel out) throws IOException {
    boolean summed = options.integrityCheck() != null;
    TensorRecoverer recoverer =
        new TensorRecoverer(pair, expected(pair), outputType(pair), summed, raw, diff);
    if (manifest != null && manifest.mode() == WeightDiff.Mode.EXACT) {
      recoverer.addBits(out);
    } else {
      recoverer.add(out);
    }
    sums.put(pair.name(), recoverer.sum());
  }

  /** Compares all raw tensors with the manifest, before anything is written. */
  private void verifyRaw() {
    DiffManifest listed = manifest;
    if (listed == null) {
      return;
    }
    Set<String> wrong = new ConcurrentSkipListSet<>();
    PhaseProgress progress = options.progress(ProgressListener.Phase.VERIFY_RAW, pairs);
    List<TensorPair> largestFirst = new ArrayList<>(pairs);
    largestFirst.sort(
        Comparator.comparingLong((TensorPair pair) -> pair.raw().byteLength()).reversed());
    try {
      ParallelTasks.forEach(
          options.threads(),
          largestFirst,
          pair -> {
            if (!isRawOf(listed.tensors().get(pair.name()), pair)) {
              wrong.add(pair.raw().name());
            }
            progress.done(pair.name(), pair.changed().elements());
          });
    } catch (RuntimeException e) {
      throw e;
    } catch (Exception e) {
      throw new AlpacaException("Cannot verify " + raw.folder() + ": " + e, e);
    }
    if (!wrong.isEmpty()) {
      long checked = pairs.stream().map(pair -> pair.raw().name()).distinct().count();
      throw new IntegrityException(
          wrong.size() == checked
              ? raw.folder()
                  + " is another model than the one the diff was made from: all "
                  + checked
                  + " tensors differ"
              : raw.folder()
                  + " is not the model the diff was made from, or is damaged: "
                  + wrong.size()
                  + " of "
                  + checked
                  + " tensors differ: "
                  + Names.abbreviate(wrong),
          wrong);
    }
  }

  private boolean isRawOf(DiffManifest.@Nullable Entry entry, TensorPair pair) {
    return entry != null
        && pair.raw().dtype().isWeight()
        && Arrays.equals(pair.raw().shape(), entry.raw().shape())
        && new RawReader(raw, pair, entry.raw().dtype()).sha256().equals(entry.raw().sha256());
  }

  /** Adds the tensors' sums in the order of their names, so that threads make no difference. */
  private double sum() {
    double sum = 0;
    for (TensorPair pair : pairs) {
      sum += sums.getOrDefault(pair.name(), 0.0);
    }
    return sum;
  }

  private void checkSum() {
    IntegrityCheck check = options.integrityCheck();
    if (check == null) {
      return;
    }
    double sum = sum();
    double withRotary = sum + rotarySum();
    if (!check.accepts(sum) && !check.accepts(withRotary)) {
      throw new IntegrityException(
          "The recovered weights sum up to "
              + sum
              + ", or "
              + withRotary
              + " with the rotary buffers that old versions of transformers count, not to "
              + check.expected()
              + " within "
              + check.tolerance()
              + ": raw weights or diff are not the ones the figure is for",
          List.of());
    }
  }

  /** Returns the sum of all layers' rotary inverse frequencies; 0 where they are unknown. */
  private double rotarySum() {
    Path file = ModelFiles.configOf(diff.folder());
    if (file == null) {
      return 0;
    }
    ModelConfig config;
    try {
      config = ModelConfig.load(file);
    } catch (AlpacaException e) {
      return 0;
    }
    List<Rotary> rotaries = Internals.description(config).rotaries();
    if (rotaries.size() != 1 || config.ropeScaling().type() != RopeScaling.Type.DEFAULT) {
      return 0; // Stretched ones came when buffers were no longer stored.
    }
    int dims = rotaries.get(0).dims();
    double layer = 0;
    for (int i = 0; i < dims; i += 2) {
      layer += (float) Math.pow(config.ropeTheta(), -i / (double) dims);
    }
    return layer * config.numHiddenLayers();
  }
}
