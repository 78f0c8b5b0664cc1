package org.alpaca4j.weights;

import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.alpaca4j.core.Checkpoint;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.CheckpointWriter;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.TensorInfo;
import org.jspecify.annotations.Nullable;

/** A Hugging Face folder, of any family: safetensors or PyTorch weights, sharded or not. */
final class HuggingFaceFolder implements WeightFolder {
  private static final String HEAD = "lm_head.weight";
  private static final List<String> EMBEDDINGS =
      List.of("embed_tokens.weight", "wte.weight", "word_embeddings.weight", "embed_in.weight");

  private final Checkpoint checkpoint;
  private final @Nullable ConfigText config;
  private final List<Weight> weights = new ArrayList<>();
  private final List<String> dropped = new ArrayList<>();

  private HuggingFaceFolder(Checkpoint checkpoint) {
    this.checkpoint = checkpoint;
    this.config = ConfigText.ofFolder(checkpoint.folder());
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
    Set<String> copied = ModelFiles.besideWeights(folder);
    if (config != null && dtype != null && copied.remove(ModelFiles.CONFIG)) {
      if (config.isQuantized()) {
        throw new CheckpointException(
            folder.resolve(ModelFiles.CONFIG)
                + " says that the weights are quantised (quantization_config), so their type"
                + " cannot be changed; convert without a dtype");
      }
      writer.file(ModelFiles.CONFIG, config.adapted(dtype, 0));
    }
    writer.files(target -> ModelFiles.copy(copied, folder, target));
  }

  @Override
  public void close() {
    checkpoint.close();
  }
}
