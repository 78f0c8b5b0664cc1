package org.alpaca4j.weights.gguf;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.CheckpointWriter;
import org.alpaca4j.core.Conformance;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.internal.model.DecoderDescription.FileTensor;
import org.jspecify.annotations.Nullable;

/**
 * Imports a GGUF file as a Hugging Face checkpoint folder: config.json, safetensors, tokenizer with
 * chat templates, generation_config.json, and the conformance file that the GGUF file carries.
 *
 * <pre>{@code
 * GgufImport.builder(Path.of("SmolLM2-135M.gguf")).dtype(DType.BF16).build().write(Path.of("smol"));
 * }</pre>
 *
 * <p>Architectures: those that {@link GgufExport} writes; a llama file with a sliding window
 * becomes mistral, one with experts mixtral. Every {@link GgufType} is decoded, exactly as ggml
 * does it. Plain types keep their bits, so that what {@link GgufExport} wrote without quantising
 * comes back as it was, but for F32 norms of Gemma, which were rounded when 1 was added, and the
 * head of Baichuan 2, whose rows have been normed. A file does not carry the factor of the experts'
 * auxiliary loss, nor which of the two forms of GELU is meant: both are the family's usual ones.
 * Memory use is bounded by a few pieces of a tensor per thread (for GPT-2 by one matrix), whatever
 * the model's size; nothing in the file is trusted.
 *
 * <p>The tokenizer is the {@code tokenizer.json} that the file carries, if it does and that fits
 * the file's tokens; else one built from them.
 *
 * <p>Immutable and thread-safe.
 */
public final class GgufImport {
  private static final ObjectMapper JSON = new ObjectMapper();

  private final Path file;
  private final @Nullable DType dtype;
  private final @Nullable String preTokenizer;
  private final long maxShardBytes;
  private final boolean replaceExisting;
  private final int threads;

  private GgufImport(Builder builder) {
    this.file = builder.file;
    this.dtype = builder.dtype;
    this.preTokenizer = builder.preTokenizer;
    this.maxShardBytes = builder.maxShardBytes;
    this.replaceExisting = builder.replaceExisting;
    this.threads = builder.threads;
  }

  /**
   * Starts an import.
   *
   * @param file a GGUF file, version 2 or 3, little-endian
   */
  public static Builder builder(Path file) {
    Objects.requireNonNull(file, "file is null");
    return new Builder(file);
  }

  /** Collects the options; not thread-safe. */
  public static final class Builder {
    private final Path file;
    private @Nullable DType dtype;
    private @Nullable String preTokenizer;
    private long maxShardBytes = 5_000_000_000L;
    private boolean replaceExisting;
    private int threads = Runtime.getRuntime().availableProcessors();

    private Builder(Path file) {
      this.file = file.toAbsolutePath().normalize();
    }

    /**
     * Sets the type of all weights: F32, BF16 or F16. Default: that of the file's matrices, if they
     * all have one such type; else F32, which holds what quantised weights stand for exactly.
     */
    public Builder dtype(DType value) {
      dtype = Objects.requireNonNull(value, "dtype is null");
      return this;
    }

    /**
     * Sets how text is split before byte-level merging, such as {@code qwen2}, for files whose
     * {@code tokenizer.ggml.pre} is missing or unknown.
     */
    public Builder preTokenizer(String value) {
      preTokenizer = Objects.requireNonNull(value, "preTokenizer is null");
      return this;
    }

    /** Sets the maximal size of a shard's tensors in bytes; default 5 GB. */
    public Builder maxShardBytes(long value) {
      maxShardBytes = value;
      return this;
    }

    /** Sets whether a checkpoint already at the target is replaced; default false. */
    public Builder replaceExisting(boolean value) {
      replaceExisting = value;
      return this;
    }

    /** Sets how many tensors are decoded at once; default the number of processors. */
    public Builder threads(int value) {
      threads = value;
      return this;
    }

    /**
     * Returns the import.
     *
     * @throws IllegalArgumentException if an option is impossible
     */
    public GgufImport build() {
      if (dtype != null && !dtype.isWeight()) {
        throw new IllegalArgumentException("dtype " + dtype + " is not F32, BF16 or F16");
      }
      if (maxShardBytes < 1) {
        throw new IllegalArgumentException("maxShardBytes is " + maxShardBytes + ", must be > 0");
      }
      if (threads < 1) {
        throw new IllegalArgumentException("threads is " + threads + ", but must be 1 or more");
      }
      return new GgufImport(this);
    }
  }

  /**
   * Writes the checkpoint, whole or not at all.
   *
   * @param folder the folder to make; missing parents are made too
   * @throws CheckpointException if the file is missing or malformed, the folder exists and may not
   *     be replaced, or writing fails
   * @throws org.alpaca4j.core.UnsupportedModelException if this library does not run such a model,
   *     or does not know such a tokenizer
   */
  public void write(Path folder) {
    Objects.requireNonNull(folder, "folder is null");
    try (GgufFile gguf = GgufFile.open(file)) {
      ModelConfig read = GgufHyperparameters.read(gguf);
      List<GgufLayout.Entry> layout = GgufLayout.of(read);
      requireTensors(gguf, layout);
      DType target = dtype == null ? commonType(gguf, layout) : dtype;
      GgufTokenizerImport tokenizer = new GgufTokenizerImport(gguf, read.vocabSize(), preTokenizer);
      JsonNode tokenizerJson = tokenizer.tokenizer();
      ObjectNode ids = ids(tokenizer);
      ModelConfig.Builder config = read.toBuilder().dtype(target);
      ids.properties().forEach(id -> config.field(id.getKey(), id.getValue()));
      ModelConfig complete = config.build();
      CheckpointWriter.Builder writer =
          CheckpointWriter.builder(folder)
              .config(complete)
              .maxShardBytes(maxShardBytes)
              .replaceExisting(replaceExisting)
              .threads(threads)
              .file("generation_config.json", generationConfig(ids))
              .files(
                  staged ->
                      tokenizer.write(staged, tokenizerJson, complete.maxPositionEmbeddings()));
      gguf.metadata()
          .string(GgufExport.CONFORMANCE)
          .ifPresent(json -> writer.file(Conformance.FILE_NAME, json));
      Map<String, TensorCopy> copies = new HashMap<>();
      for (GgufLayout.Entry entry : layout) {
        for (FileTensor file : entry.files()) {
          long[] shape = file.shape().stream().mapToLong(Long::longValue).toArray();
          writer.tensor(file.name(), target, shape);
          copies.put(file.name(), copy(gguf, entry, file, GgufType.of(target)));
        }
      }
      writer.build().write((name, out) -> Objects.requireNonNull(copies.get(name)).writeTo(out));
    }
  }

  private static void requireTensors(GgufFile gguf, List<GgufLayout.Entry> layout) {
    Set<String> unexpected = new TreeSet<>();
    gguf.tensors().forEach(tensor -> unexpected.add(tensor.name()));
    unexpected.removeAll(GgufRope.TENSORS);
    List<String> problems = new ArrayList<>();
    for (GgufLayout.Entry entry : layout) {
      for (GgufLayout.Part part : entry.parts()) {
        GgufTensor tensor = gguf.tensor(part.name());
        unexpected.remove(part.name());
        if (tensor == null) {
          problems.add(part.name() + " is missing");
        } else if (!tensor.shape().equals(part.shape())) {
          problems.add(part.name() + " is " + tensor.shape() + " instead of " + part.shape());
        } else if (part.shape().size() == 1
            && entry.rows() != null
            && tensor.type().isQuantised()) {
          problems.add(part.name() + " is quantised: a bias must not be");
        }
      }
    }
    unexpected.forEach(name -> problems.add(name + " is unexpected"));
    if (!problems.isEmpty()) {
      int listed = Math.min(problems.size(), 20);
      throw new CheckpointException(
          gguf.file()
              + ": tensors and hyper-parameters disagree, "
              + problems.size()
              + " times: "
              + String.join("; ", problems.subList(0, listed)));
    }
  }

  private static DType commonType(GgufFile gguf, List<GgufLayout.Entry> layout) {
    Set<GgufType> types = new TreeSet<>();
    for (GgufLayout.Entry entry : layout) {
      for (GgufLayout.Part part : entry.parts()) {
        if (!part.needsF32()) {
          types.add(Objects.requireNonNull(gguf.tensor(part.name())).type());
        }
      }
    }
    return types.size() == 1 ? types.iterator().next().dtype().orElse(DType.F32) : DType.F32;
  }

  private static TensorCopy copy(
      GgufFile gguf, GgufLayout.Entry entry, FileTensor file, GgufType target) {
    List<TensorCopy.Source> sources = new ArrayList<>();
    for (GgufLayout.Part part : entry.parts()) {
      GgufTensor tensor = Objects.requireNonNull(gguf.tensor(part.name()));
      sources.add(
          new TensorCopy.Source(
              tensor.type(),
              tensor.elements(),
              (offset, bytes) -> gguf.read(tensor, offset, bytes)));
    }
    return entry.restore(file, sources, target);
  }

  /** Returns the ids of special tokens under their names in the JSON files; null for none. */
  private static ObjectNode ids(GgufTokenizerImport tokenizer) {
    ObjectNode ids = JSON.createObjectNode();
    ids.put("bos_token_id", tokenizer.id("bos").orElse(null));
    List<Integer> ends = new ArrayList<>();
    for (String role : List.of("eos", "eot", "eom")) {
      tokenizer.id(role).filter(id -> !ends.contains(id)).ifPresent(ends::add);
    }
    if (ends.size() > 1) {
      ids.set("eos_token_id", JSON.valueToTree(ends));
    } else {
      ids.put("eos_token_id", ends.isEmpty() ? null : ends.get(0));
    }
    ids.put("pad_token_id", tokenizer.id("padding").orElse(null));
    return ids;
  }

  private static String generationConfig(ObjectNode ids) {
    try {
      return JSON.writerWithDefaultPrettyPrinter().writeValueAsString(ids) + "\n";
    } catch (JsonProcessingException e) {
      throw new CheckpointException("generation_config.json cannot be written", e);
    }
  }
}
