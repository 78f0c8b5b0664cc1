package org.alpaca4j.weights;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.alpaca4j.core.Checkpoint;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.GenerationConfig;
import org.alpaca4j.core.PromptForm;
import org.alpaca4j.core.PromptTemplate;
import org.jspecify.annotations.Nullable;

/**
 * Merges LoRA adapters into the weights of the model that they were trained on, so that any engine
 * runs the result: each adapted matrix becomes {@code W + scale * B A}, as PEFT's {@code
 * merge_and_unload} makes it.
 *
 * <pre>{@code
 * AdapterMerge.builder(Path.of("Qwen2.5-0.5B-Instruct"), Path.of("merged"))
 *     .adapter(Path.of("out"))
 *     .build()
 *     .merge();
 * }</pre>
 *
 * <p>Tensors are read, changed and written piece by piece: beside a few pieces, only the adapters
 * are in memory, in fp32. Sums are fp32, rounded once to the type they are stored in. The target
 * appears whole or not at all. The chat template or prompt template and the generation's options
 * that the last adapter's folder has are taken from there; all else is the base's.
 *
 * <p>Immutable; one merge may be used repeatedly.
 */
public final class AdapterMerge {
  /** Files that say how a model is asked. */
  private static final List<String> FORMS =
      List.of(PromptTemplate.FILE_NAME, "chat_template.jinja", "chat_template.json");

  private final Path base;
  private final Path target;
  private final Map<Path, Double> adapters;
  private final @Nullable DType dtype;
  private final boolean replaceExisting;

  private AdapterMerge(Builder builder) {
    base = builder.base;
    target = builder.target;
    adapters = new LinkedHashMap<>(builder.adapters);
    dtype = builder.dtype;
    replaceExisting = builder.replaceExisting;
  }

  /**
   * Starts a merge.
   *
   * @param base the model's folder
   * @param target the folder to make
   */
  public static Builder builder(Path base, Path target) {
    return new Builder(
        Objects.requireNonNull(base, "base is null"),
        Objects.requireNonNull(target, "target is null"));
  }

  /** Collects options; not thread-safe. */
  public static final class Builder {
    private final Path base;
    private final Path target;
    private final Map<Path, Double> adapters = new LinkedHashMap<>();
    private @Nullable DType dtype;
    private boolean replaceExisting;

    private Builder(Path base, Path target) {
      this.base = base;
      this.target = target;
    }

    /** Adds an adapter's folder, as this library and PEFT write them. */
    public Builder adapter(Path folder) {
      return adapter(folder, 1);
    }

    /**
     * Adds an adapter's folder. Several adapters are added up, each times its weight.
     *
     * @throws IllegalArgumentException if the weight is not finite
     */
    public Builder adapter(Path folder, double weight) {
      Objects.requireNonNull(folder, "folder is null");
      if (!Double.isFinite(weight)) {
        throw new IllegalArgumentException("weight is " + weight + "; it must be finite");
      }
      adapters.put(folder, weight);
      return this;
    }

    /**
     * Sets the type to store weights in; default: each in the type that it has.
     *
     * @param type F32, BF16 or F16
     */
    public Builder dtype(DType type) {
      dtype = Objects.requireNonNull(type, "type is null");
      return this;
    }

    /** Sets whether a checkpoint already at the target is replaced; default false: refused. */
    public Builder replaceExisting(boolean replace) {
      replaceExisting = replace;
      return this;
    }

    /**
     * Returns the merge.
     *
     * @throws IllegalArgumentException if there is no adapter
     */
    public AdapterMerge build() {
      if (adapters.isEmpty()) {
        throw new IllegalArgumentException("a merge needs an adapter: adapter(folder)");
      }
      return new AdapterMerge(this);
    }
  }

  /**
   * Merges.
   *
   * @throws CheckpointException if base or adapter cannot be read or do not belong together, a
   *     value overflows, or the target cannot be written or exists; the target is then as it was
   *     before
   * @throws org.alpaca4j.core.UnsupportedModelException if an adapter is of a kind that cannot be
   *     merged
   */
  public CheckpointConverter.Result merge() {
    LoraDelta delta;
    try (Checkpoint checkpoint = Checkpoint.open(base)) {
      delta = new LoraDelta(checkpoint, adapters);
    }
    CheckpointConverter.Builder converter =
        CheckpointConverter.builder(base, target)
            .transform(delta)
            .files(this::takeFiles)
            .replaceExisting(replaceExisting);
    if (dtype != null) {
      converter.dtype(dtype);
    }
    return converter.build().convert();
  }

  /** How a tuned model is asked and where it ends was saved with the last adapter. */
  private void takeFiles(Path merged) throws IOException {
    Path source = List.copyOf(adapters.keySet()).get(adapters.size() - 1);
    if (PromptForm.load(source).isPresent()) {
      for (String name : FORMS) {
        Files.deleteIfExists(merged.resolve(name));
      }
    }
    for (String name : FORMS) {
      copy(source.resolve(name), merged);
    }
    copy(source.resolve(GenerationConfig.FILE_NAME), merged);
  }

  private static void copy(Path file, Path folder) throws IOException {
    if (Files.exists(file)) {
      Files.copy(file, folder.resolve(file.getFileName()), StandardCopyOption.REPLACE_EXISTING);
    }
  }
}
