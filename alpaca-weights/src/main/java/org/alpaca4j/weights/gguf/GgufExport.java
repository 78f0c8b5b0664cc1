package org.alpaca4j.weights.gguf;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import org.alpaca4j.core.Checkpoint;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.Conformance;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.TensorInfo;
import org.alpaca4j.core.internal.Internals;
import org.alpaca4j.core.internal.family.Profile;
import org.alpaca4j.core.internal.model.DecoderDescription;
import org.alpaca4j.core.internal.model.DecoderDescription.FileTensor;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Exports a Hugging Face checkpoint folder as one GGUF file, which llama.cpp and Ollama run: the
 * weights, the hyper-parameters, the tokenizer and the chat templates.
 *
 * <pre>{@code
 * GgufExport.builder(Path.of("my-model"))
 *     .quantise(GgufQuantisation.Q4_K_M)
 *     .build()
 *     .write(Path.of("my-model.gguf"));
 * }</pre>
 *
 * <p>Families: those of {@link ModelConfig} that llama.cpp has, which is all but OPT, GPT-J and the
 * first ChatGLM-6B; names, keys and order of rows are those of its own conversion. A model that
 * llama.cpp would compute otherwise than its {@code config.json} says is refused. Vectors (norms
 * and biases), routers of experts and learned positions are always F32. A tied head is left out.
 * Memory use is bounded by a few pieces of a tensor per thread, whatever the model's size; for
 * GPT-2, whose matrices are transposed, by one matrix.
 *
 * <p>Immutable and thread-safe.
 */
public final class GgufExport {
  private static final Logger LOG = LoggerFactory.getLogger(GgufExport.class);

  /** The key of the conformance file's text. */
  static final String CONFORMANCE = "alpaca4j.conformance";

  private static final List<GgufType> TYPES =
      List.of(GgufType.F32, GgufType.F16, GgufType.BF16, GgufType.Q8_0);

  private final Path folder;
  private final @Nullable GgufType type;
  private final @Nullable GgufQuantisation quantisation;
  private final @Nullable String name;
  private final @Nullable String preTokenizer;
  private final boolean embedTokenizerJson;
  private final boolean modelfile;
  private final boolean replaceExisting;
  private final int threads;

  private GgufExport(Builder builder) {
    this.folder = builder.folder;
    this.type = builder.type;
    this.quantisation = builder.quantisation;
    this.name = builder.name;
    this.preTokenizer = builder.preTokenizer;
    this.embedTokenizerJson = builder.embedTokenizerJson;
    this.modelfile = builder.modelfile;
    this.replaceExisting = builder.replaceExisting;
    this.threads = builder.threads;
  }

  /**
   * Starts an export.
   *
   * @param folder a checkpoint folder with config.json, weights and tokenizer
   */
  public static Builder builder(Path folder) {
    Objects.requireNonNull(folder, "folder is null");
    return new Builder(folder);
  }

  /** Collects the options; not thread-safe. */
  public static final class Builder {
    private final Path folder;
    private @Nullable GgufType type;
    private @Nullable GgufQuantisation quantisation;
    private @Nullable String name;
    private @Nullable String preTokenizer;
    private boolean embedTokenizerJson = true;
    private boolean modelfile;
    private boolean replaceExisting;
    private int threads = Runtime.getRuntime().availableProcessors();

    private Builder(Path folder) {
      this.folder = folder.toAbsolutePath().normalize();
    }

    /**
     * Sets one type for all matrices: F32, F16, BF16 or Q8_0; default as stored. A matrix whose
     * rows are not whole blocks of Q8_0 becomes F16.
     */
    public Builder type(GgufType value) {
      type = Objects.requireNonNull(value, "type is null");
      return this;
    }

    /**
     * Quantises as llama.cpp's own quantiser does, which gives each matrix a type of its own;
     * default: {@link #type} alone decides.
     */
    public Builder quantise(GgufQuantisation value) {
      quantisation = Objects.requireNonNull(value, "quantise is null");
      return this;
    }

    /** Sets the model's name ({@code general.name}); default the folder's name. */
    public Builder name(String value) {
      name = Objects.requireNonNull(value, "name is null");
      return this;
    }

    /**
     * Sets how llama.cpp shall split text before byte-level merging ({@code tokenizer.ggml.pre}),
     * such as {@code qwen2}. By default this is recognised from {@code tokenizer.json}; a tokenizer
     * that is not recognised is refused.
     */
    public Builder preTokenizer(String value) {
      preTokenizer = Objects.requireNonNull(value, "preTokenizer is null");
      return this;
    }

    /**
     * Sets whether the whole {@code tokenizer.json} goes into the file too ({@code
     * tokenizer.huggingface.json}), so that an import gets back exactly it; default true. llama.cpp
     * does not read it.
     */
    public Builder embedTokenizerJson(boolean value) {
      embedTokenizerJson = value;
      return this;
    }

    /**
     * Sets whether an Ollama {@code Modelfile} is written beside the file, for {@code ollama create
     * NAME} in that folder: with the template that renders what the model's chat or prompt template
     * does, its end tokens and stop strings, and its options of generation. Where no such template
     * is known, a comment says so and it is left out. Default false.
     */
    public Builder modelfile(boolean value) {
      modelfile = value;
      return this;
    }

    /** Sets whether a file already there is replaced; default false: it is refused. */
    public Builder replaceExisting(boolean value) {
      replaceExisting = value;
      return this;
    }

    /** Sets how many tensors are converted at once; default the number of processors. */
    public Builder threads(int value) {
      threads = value;
      return this;
    }

    /**
     * Returns the export.
     *
     * @throws IllegalArgumentException if the type is none for all matrices, type and quantise are
     *     both set, or threads is not positive
     */
    public GgufExport build() {
      if (type != null && quantisation != null) {
        throw new IllegalArgumentException(
            "type " + type + " and quantise " + quantisation + " exclude each other; set one");
      }
      if (type != null && !TYPES.contains(type)) {
        throw new IllegalArgumentException(
            "type "
                + type
                + " cannot be written for all matrices; choose of "
                + TYPES
                + ", or quantise(...) of "
                + List.of(GgufQuantisation.values()));
      }
      if (threads < 1) {
        throw new IllegalArgumentException("threads is " + threads + ", but must be 1 or more");
      }
      return new GgufExport(this);
    }
  }

  /**
   * Writes the file, whole or not at all. The folder's conformance file, if it has one, goes into
   * its metadata ({@code alpaca4j.conformance}).
   *
   * @param target the file to make; missing parent folders are made too
   * @throws CheckpointException if the folder is incomplete or malformed, the target exists and may
   *     not be replaced, or writing fails
   * @throws org.alpaca4j.core.UnsupportedModelException if llama.cpp has no such model or tokenizer
   * @throws org.alpaca4j.core.TokenizerException if the tokenizer cannot be read
   */
  public void write(Path target) {
    Objects.requireNonNull(target, "target is null");
    if (modelfile && !replaceExisting && Files.exists(OllamaModelfile.beside(target))) {
      throw new CheckpointException(
          OllamaModelfile.beside(target)
              + " is there already; set replaceExisting(true), choose another folder, or leave"
              + " modelfile(true) out");
    }
    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      ModelConfig config = checkpoint.config();
      Internals.requireLoadable(config);
      Map<String, GgufValue> hyperparameters = GgufHyperparameters.write(config);
      requireTensors(checkpoint, config);
      Map<String, TensorCopy> copies = new HashMap<>();
      List<GgufTensor> tensors = new ArrayList<>();
      for (GgufLayout.Entry entry : GgufLayout.of(config)) {
        for (GgufLayout.Part part : entry.parts()) {
          TensorCopy copy = copy(checkpoint, config, entry, part);
          copies.put(part.name(), copy);
          tensors.add(GgufTensor.of(part.name(), copy.to(), part.shape()));
        }
      }
      Map<String, float[]> frequencies = GgufRope.tensors(config);
      frequencies.forEach(
          (key, values) ->
              tensors.add(GgufTensor.of(key, GgufType.F32, List.of((long) values.length))));
      new GgufWriter(target, metadata(config, hyperparameters, tensors), tensors)
          .write(
              replaceExisting,
              threads,
              (tensor, out) -> {
                float[] values = frequencies.get(tensor.name());
                if (values == null) {
                  Objects.requireNonNull(copies.get(tensor.name())).writeTo(out);
                } else {
                  write(values, out);
                }
              });
    }
    if (modelfile) {
      OllamaModelfile.write(folder, target);
    }
  }

  private static void requireTensors(Checkpoint checkpoint, ModelConfig config) {
    Profile profile = Internals.profile(config);
    Set<String> ignorable = new HashSet<>();
    checkpoint.names().stream().filter(profile::ignores).forEach(ignorable::add);
    if (config.tieWordEmbeddings()) {
      ignorable.add(profile.head());
    }
    checkpoint.requireExactly(config.tensorShapes(), ignorable);
    if (config.tieWordEmbeddings()) {
      DecoderDescription model = Internals.description(config);
      checkpoint.requireTied(profile.head(), model.embedding().tokens().tensors().get(0).name());
    }
  }

  private TensorCopy copy(
      Checkpoint checkpoint, ModelConfig config, GgufLayout.Entry entry, GgufLayout.Part part) {
    List<TensorCopy.Source> sources = new ArrayList<>();
    for (FileTensor file : entry.files()) {
      TensorInfo stored = checkpoint.tensor(file.name());
      sources.add(
          new TensorCopy.Source(
              GgufType.of(stored.dtype()),
              stored.elements(),
              (offset, bytes) -> checkpoint.readBytes(file.name(), bytes, offset)));
    }
    return entry.export(part, sources, typeOf(config, part, sources.get(0).type()));
  }

  private GgufType typeOf(ModelConfig config, GgufLayout.Part part, GgufType stored) {
    if (part.needsF32()) {
      return GgufType.F32;
    }
    if (quantisation != null) {
      return quantisation.typeOf(
          GgufArchitecture.of(config), Internals.description(config), part.name(), part.shape());
    }
    GgufType wanted = type == null ? stored : type;
    if (part.shape().get(part.shape().size() - 1) % wanted.blockElements() != 0) {
      LOG.warn(
          "{} {} has rows that are not whole blocks of {}: it becomes F16",
          part.name(),
          part.shape(),
          wanted);
      return GgufType.F16;
    }
    return wanted;
  }

  private Map<String, GgufValue> metadata(
      ModelConfig config, Map<String, GgufValue> hyperparameters, List<GgufTensor> tensors) {
    long elements = tensors.stream().mapToLong(GgufTensor::elements).sum();
    // The file's type is that of its largest tensor.
    GgufTensor largest = tensors.get(0);
    for (GgufTensor tensor : tensors) {
      largest = tensor.elements() > largest.elements() ? tensor : largest;
    }
    int fileType = quantisation == null ? largest.type().fileType() : quantisation.fileType();
    Map<String, GgufValue> metadata = new LinkedHashMap<>();
    metadata.put("general.architecture", GgufValue.of(GgufArchitecture.of(config).ggufName()));
    metadata.put("general.type", GgufValue.of("model"));
    metadata.put(
        "general.name", GgufValue.of(name == null ? String.valueOf(folder.getFileName()) : name));
    metadata.put("general.size_label", GgufValue.of(sizeLabel(elements)));
    metadata.put("general.file_type", GgufValue.uint32(fileType));
    metadata.put("general.quantization_version", GgufValue.uint32(2));
    metadata.putAll(hyperparameters);
    metadata.putAll(
        new GgufTokenizerExport(folder, config, preTokenizer, embedTokenizerJson).write());
    conformance().ifPresent(json -> metadata.put(CONFORMANCE, GgufValue.of(json)));
    return metadata;
  }

  private Optional<String> conformance() {
    try {
      if (quantisation != null) {
        return Conformance.forWeights(folder, quantisation.name());
      }
      return Conformance.forWeights(
          folder, type == null ? null : type.dtype().map(DType::torchName).orElse(type.name()));
    } catch (CheckpointException e) {
      LOG.warn("left out of the file: {}", e.getMessage());
      return Optional.empty();
    }
  }

  /** Returns such as 135M or 1.2B, two digits at least. */
  static String sizeLabel(long elements) {
    double scaled = elements / 1e3;
    int unit = 0;
    while (unit < 3 && scaled >= 1000) {
      scaled /= 1000;
      unit++;
    }
    return String.format(Locale.ROOT, scaled < 9.95 ? "%.1f" : "%.0f", scaled)
        + "KMBT".charAt(unit);
  }

  private static void write(float[] values, WritableByteChannel out) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asFloatBuffer().put(values);
    out.write(bytes);
  }
}
