package org.alpaca4j.weights;

import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.CheckpointWriter;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.Tokenizer;
import org.jspecify.annotations.Nullable;

/**
 * Meta's release of a Llama: {@code params.json}, {@code consolidated.NN.pth}, and {@code
 * tokenizer.model} there or one folder above, as Meta's download lays them out.
 */
final class MetaFolder implements WeightFolder {
  private static final String TOKENIZER = "tokenizer.model";
  private static final int COMPARED_BYTES = 1 << 20;

  private final Path folder;
  private final MetaParams params;
  private final MetaWeights tensors;
  private final @Nullable Tokenizer tokenizer;
  private final boolean tied;

  private MetaFolder(
      Path folder, MetaParams params, MetaWeights tensors, @Nullable Tokenizer tokenizer) {
    this.folder = folder;
    this.params = params;
    this.tensors = tensors;
    this.tokenizer = tokenizer;
    this.tied = headRepeatsEmbedding();
    if (tokenizer != null && tokenizer.requiredEmbeddingRows() > tensors.vocabularySize()) {
      throw new CheckpointException(
          folder
              + ": its tokenizer has "
              + tokenizer.requiredEmbeddingRows()
              + " tokens, but tok_embeddings only "
              + tensors.vocabularySize()
              + " rows; they do not belong together");
    }
  }

  /** Returns whether a folder is laid out so, and is not a Hugging Face folder as well. */
  static boolean isMeta(Path folder) {
    return Files.exists(folder.resolve(MetaParams.FILE_NAME))
        && Files.exists(MetaWeights.part(folder, 0))
        && !Files.exists(folder.resolve("config.json"));
  }

  /**
   * Opens a folder.
   *
   * @param tokenizer where its tokenizer is; null: in it or one folder above
   * @param withTokenizer false: convert the weights alone
   */
  static MetaFolder open(Path folder, @Nullable Path tokenizer, boolean withTokenizer) {
    MetaParams params = MetaParams.load(folder.resolve(MetaParams.FILE_NAME));
    MetaWeights tensors = MetaWeights.open(folder, params);
    Tokenizer loaded = null;
    boolean opened = false;
    try {
      if (withTokenizer) {
        loaded = Tokenizer.load(tokenizer == null ? findTokenizer(folder) : tokenizer);
      }
      MetaFolder result = new MetaFolder(folder, params, tensors, loaded);
      opened = true;
      return result;
    } finally {
      if (!opened) {
        tensors.close();
        if (loaded != null) {
          loaded.close();
        }
      }
    }
  }

  private static Path findTokenizer(Path folder) {
    Path here = folder.resolve(TOKENIZER);
    Path above = folder.resolveSibling(TOKENIZER);
    if (Files.exists(here)) {
      return here;
    }
    if (Files.exists(above)) {
      return above;
    }
    throw new CheckpointException(
        "Neither "
            + here
            + " nor "
            + above
            + " exists; name a folder with the model's tokenizer by tokenizer(folder), or convert"
            + " the weights alone by withoutTokenizer()");
  }

  private boolean headRepeatsEmbedding() {
    Weight embedding = null;
    Weight head = null;
    for (Weight weight : tensors.weights()) {
      if (weight.name().equals(MetaWeights.EMBEDDING)) {
        embedding = weight;
      } else if (weight.name().equals(MetaWeights.HEAD)) {
        head = weight;
      }
    }
    if (embedding == null || head == null) {
      return true;
    }
    if (embedding.dtype() != head.dtype()) {
      return false;
    }
    ByteBuffer left = ByteBuffer.allocate(COMPARED_BYTES);
    ByteBuffer right = ByteBuffer.allocate(COMPARED_BYTES);
    for (long offset = 0; offset < head.byteLength(); offset += COMPARED_BYTES) {
      int length = (int) Math.min(COMPARED_BYTES, head.byteLength() - offset);
      tensors.read(embedding, left.clear().limit(length), offset);
      tensors.read(head, right.clear().limit(length), offset);
      if (!left.flip().equals(right.flip())) {
        return false;
      }
    }
    return true;
  }

  @Override
  public List<Weight> weights() {
    List<Weight> weights = new ArrayList<>(tensors.weights());
    weights.removeIf(weight -> tied && weight.name().equals(MetaWeights.HEAD));
    return weights;
  }

  @Override
  public List<String> dropped() {
    List<String> dropped = new ArrayList<>(tensors.dropped());
    if (tied && tensors.weights().size() > weights().size()) {
      dropped.add("output.weight");
    }
    dropped.sort(null);
    return dropped;
  }

  @Override
  public void read(Weight weight, ByteBuffer destination, long offset) {
    tensors.read(weight, destination, offset);
  }

  @Override
  public void addFiles(CheckpointWriter.Builder writer, @Nullable DType dtype) {
    int bos = 1;
    int eos = 2;
    if (tokenizer != null) {
      bos = tokenizer.bosId().orElse(bos);
      eos = tokenizer.eosId().orElse(eos);
    }
    ModelConfig config =
        params
            .config(tensors.vocabularySize(), tensors.intermediateSize())
            .bosTokenId(bos)
            .eosTokenIds(List.of(eos))
            .tieWordEmbeddings(tied)
            .dtype(dtype == null ? storedType() : dtype)
            .build();
    writer.config(config);
    writer.file(
        "generation_config.json",
        """
        {
          "_from_model_config": true,
          "bos_token_id": %d,
          "eos_token_id": %d
        }
        """
            .formatted(bos, eos));
    if (tokenizer != null) {
      writer.files(tokenizer::save);
    }
  }

  private DType storedType() {
    Set<DType> types = new HashSet<>();
    tensors.weights().forEach(weight -> types.add(weight.dtype()));
    if (types.size() > 1) {
      throw new CheckpointException(
          folder + " has weights of several types, " + types + "; choose one by dtype(...)");
    }
    return types.iterator().next();
  }

  @Override
  public void close() {
    tensors.close();
    if (tokenizer != null) {
      tokenizer.close();
    }
  }
}
