package org.alpaca4j.weights;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import org.alpaca4j.core.Checkpoint;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.CheckpointWriter;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.TensorInfo;
import org.jspecify.annotations.Nullable;

/** A Hugging Face folder, of any family: safetensors or PyTorch weights, sharded or not. */
final class HuggingFaceFolder implements WeightFolder {
  private static final String CONFIG = "config.json";
  private static final String TEMPLATES = "additional_chat_templates";
  private static final String HEAD = "lm_head.weight";
  private static final List<String> EMBEDDINGS =
      List.of("embed_tokens.weight", "wte.weight", "word_embeddings.weight", "embed_in.weight");

  /** Endings of weights, the source's and other programs': never copied beside the new ones. */
  private static final List<String> WEIGHT_FILES =
      List.of(
          ".safetensors",
          ".bin",
          ".pth",
          ".pt",
          ".h5",
          ".msgpack",
          ".gguf",
          ".onnx",
          ".index.json");

  private final Checkpoint checkpoint;
  private final @Nullable ConfigText config;
  private final List<Weight> weights = new ArrayList<>();
  private final List<String> dropped = new ArrayList<>();

  private HuggingFaceFolder(Checkpoint checkpoint) {
    this.checkpoint = checkpoint;
    this.config = ConfigText.load(checkpoint.folder().resolve(CONFIG));
    boolean dropHead = config != null && config.tiesWordEmbeddings() && isTied();
    for (String name : checkpoint.names()) {
      TensorInfo tensor = checkpoint.tensor(name);
      if (name.endsWith("rotary_emb.inv_freq") || (dropHead && name.equals(HEAD))) {
        dropped.add(name);
      } else {
        weights.add(new Weight(name, tensor.dtype(), tensor.shape()));
      }
    }
  }

  static HuggingFaceFolder open(Path folder) {
    Checkpoint checkpoint = Checkpoint.open(folder);
    try {
      return new HuggingFaceFolder(checkpoint);
    } catch (RuntimeException e) {
      checkpoint.close();
      throw e;
    }
  }

  /** Returns whether the head repeats the embedding, as the configuration says. */
  private boolean isTied() {
    if (!checkpoint.names().contains(HEAD)) {
      return false;
    }
    long[] shape = checkpoint.tensor(HEAD).shape();
    for (String name : checkpoint.names()) {
      if (EMBEDDINGS.stream().anyMatch(name::endsWith)
          && Arrays.equals(checkpoint.tensor(name).shape(), shape)) {
        checkpoint.requireTied(HEAD, name);
        return true;
      }
    }
    return false;
  }

  @Override
  public List<Weight> weights() {
    return weights;
  }

  @Override
  public List<String> dropped() {
    return dropped;
  }

  @Override
  public void read(Weight weight, ByteBuffer destination, long offset) {
    checkpoint.readBytes(weight.name(), destination, offset);
  }

  @Override
  public void addFiles(CheckpointWriter.Builder writer, @Nullable DType dtype) {
    Path folder = checkpoint.folder();
    if (config != null && dtype != null) {
      if (config.isQuantized()) {
        throw new CheckpointException(
            folder.resolve(CONFIG)
                + " says that the weights are quantised (quantization_config), so their type"
                + " cannot be changed; convert without a dtype");
      }
      writer.file(CONFIG, config.withDtype(dtype));
    }
    try (Stream<Path> files = Files.list(folder)) {
      for (Path file : files.sorted().toList()) {
        String name = String.valueOf(file.getFileName());
        boolean rewritten = name.equals(CONFIG) && dtype != null;
        if (Files.isRegularFile(file)
            && !rewritten
            && !name.startsWith(".")
            && WEIGHT_FILES.stream().noneMatch(name.toLowerCase(Locale.ROOT)::endsWith)) {
          writer.copy(file);
        }
      }
    } catch (IOException e) {
      throw new CheckpointException("Cannot list " + folder + ": " + e, e);
    }
    Path templates = folder.resolve(TEMPLATES);
    if (Files.isDirectory(templates)) {
      writer.files(target -> copyTemplates(templates, target.resolve(TEMPLATES)));
    }
  }

  private static void copyTemplates(Path from, Path to) throws IOException {
    Files.createDirectory(to);
    try (Stream<Path> files = Files.list(from)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        Files.copy(file, to.resolve(String.valueOf(file.getFileName())));
      }
    }
  }

  @Override
  public void close() {
    checkpoint.close();
  }
}
