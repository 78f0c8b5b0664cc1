package org.alpaca4j.weights;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.alpaca4j.core.Checkpoint;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.RopeScaling;
import org.alpaca4j.core.Tokenizer;
import org.alpaca4j.weights.PytorchFiles.Tensor;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A made Llama of two layers, cut as Meta cuts it. */
class MetaReleaseTest {
  private static final int DIM = 16;
  private static final int HEADS = 4;
  private static final int KEY_VALUE_HEADS = 2;
  private static final int HEAD_DIM = 4;
  private static final int WIDE = 24;
  private static final int VOCABULARY = 10;
  private static final String PARAMS =
      "{\"dim\": 16, \"n_layers\": 2, \"n_heads\": 4, \"n_kv_heads\": 2, \"multiple_of\": 8,"
          + " \"norm_eps\": 1e-05, \"vocab_size\": -1%s}";

  @TempDir Path temporary;
  private Path source;
  private Path target;

  /** Under Meta's names, whole. */
  private final Map<String, Tensor> meta = new LinkedHashMap<>();

  @BeforeEach
  void make() throws IOException {
    source = Files.createDirectories(temporary.resolve("release/7B"));
    target = temporary.resolve("converted");
    Random random = new Random(4);
    meta.put("tok_embeddings.weight", matrix(random, VOCABULARY, DIM));
    for (int layer = 0; layer < 2; layer++) {
      String name = "layers." + layer + ".";
      meta.put(name + "attention.wq.weight", matrix(random, DIM, DIM));
      meta.put(name + "attention.wk.weight", matrix(random, KEY_VALUE_HEADS * HEAD_DIM, DIM));
      meta.put(name + "attention.wv.weight", matrix(random, KEY_VALUE_HEADS * HEAD_DIM, DIM));
      meta.put(name + "attention.wo.weight", matrix(random, DIM, DIM));
      meta.put(name + "feed_forward.w1.weight", matrix(random, WIDE, DIM));
      meta.put(name + "feed_forward.w2.weight", matrix(random, DIM, WIDE));
      meta.put(name + "feed_forward.w3.weight", matrix(random, WIDE, DIM));
      meta.put(name + "attention_norm.weight", matrix(random, DIM));
      meta.put(name + "ffn_norm.weight", matrix(random, DIM));
    }
    meta.put("norm.weight", matrix(random, DIM));
    meta.put("output.weight", matrix(random, VOCABULARY, DIM));
    meta.put("rope.freqs", matrix(random, HEAD_DIM / 2));
    params("");
  }

  private void params(String more) throws IOException {
    Files.writeString(source.resolve("params.json"), PARAMS.formatted(more));
  }

  private static Tensor matrix(Random random, long... shape) {
    int elements = 1;
    for (long dimension : shape) {
      elements *= (int) dimension;
    }
    float[] values = new float[elements];
    for (int i = 0; i < elements; i++) {
      values[i] = (float) random.nextGaussian();
    }
    return new Tensor(shape, values);
  }

  /** Writes the parts; the embedding is cut along its columns, or along its rows. */
  private void release(int parts, boolean embeddingRows) throws IOException {
    for (int part = 0; part < parts; part++) {
      Map<String, Tensor> cut = new LinkedHashMap<>();
      for (Map.Entry<String, Tensor> entry : meta.entrySet()) {
        String name = entry.getKey();
        boolean columns =
            name.endsWith("wo.weight")
                || name.endsWith("w2.weight")
                || (name.startsWith("tok_") && !embeddingRows);
        cut.put(name, part(entry.getValue(), part, parts, columns));
      }
      PytorchFiles.write(source.resolve("consolidated.0" + part + ".pth"), cut);
    }
  }

  private static Tensor part(Tensor whole, int part, int parts, boolean columns) {
    if (whole.shape().length == 1) {
      return whole;
    }
    int rows = (int) whole.shape()[0];
    int width = (int) whole.shape()[1];
    int step =
        ((columns ? width : rows) + parts - 1)
            / parts; // as torch.chunk: the last part may be smaller
    int partRows = columns ? rows : Math.min(step, rows - part * step);
    int partWidth = columns ? Math.min(step, width - part * step) : width;
    float[] values = new float[partRows * partWidth];
    for (int r = 0; r < partRows; r++) {
      for (int c = 0; c < partWidth; c++) {
        int row = columns ? r : part * step + r;
        int column = columns ? part * step + c : c;
        values[r * partWidth + c] = whole.values()[row * width + column];
      }
    }
    return new Tensor(new long[] {partRows, partWidth}, values);
  }

  private CheckpointConverter.Builder conversion() {
    return CheckpointConverter.builder(source, target).withoutTokenizer();
  }

  private void assertConverted() {
    try (Checkpoint checkpoint = Checkpoint.open(target)) {
      assertThat(checkpoint.names()).hasSize(meta.size() - 1);
      for (int layer = 0; layer < 2; layer++) {
        String from = "layers." + layer + ".";
        String to = "model.layers." + layer + ".";
        assertEqual(
            checkpoint,
            to + "self_attn.q_proj.weight",
            unpaired(meta.get(from + "attention.wq.weight"), HEADS));
        assertEqual(
            checkpoint,
            to + "self_attn.k_proj.weight",
            unpaired(meta.get(from + "attention.wk.weight"), KEY_VALUE_HEADS));
        Map.of(
                "attention.wv", "self_attn.v_proj",
                "attention.wo", "self_attn.o_proj",
                "feed_forward.w1", "mlp.gate_proj",
                "feed_forward.w2", "mlp.down_proj",
                "feed_forward.w3", "mlp.up_proj",
                "attention_norm", "input_layernorm",
                "ffn_norm", "post_attention_layernorm")
            .forEach(
                (old, name) ->
                    assertEqual(
                        checkpoint,
                        to + name + ".weight",
                        meta.get(from + old + ".weight").values()));
      }
      assertEqual(
          checkpoint, "model.embed_tokens.weight", meta.get("tok_embeddings.weight").values());
      assertEqual(checkpoint, "model.norm.weight", meta.get("norm.weight").values());
      assertEqual(checkpoint, "lm_head.weight", meta.get("output.weight").values());
    }
  }

  private static void assertEqual(Checkpoint checkpoint, String name, float[] expected) {
    float[] found = new float[(int) checkpoint.tensor(name).elements()];
    checkpoint.map(name).asFloatBuffer().get(found);
    assertThat(found).as(name).isEqualTo(expected);
  }

  /** Rows (2i, 2i + 1) of each head become rows (i, i + headDim / 2). */
  private static float[] unpaired(Tensor paired, int heads) {
    float[] values = new float[paired.values().length];
    for (int head = 0; head < heads; head++) {
      for (int i = 0; i < HEAD_DIM / 2; i++) {
        for (int half = 0; half < 2; half++) {
          int from = head * HEAD_DIM + 2 * i + half;
          int to = head * HEAD_DIM + half * HEAD_DIM / 2 + i;
          System.arraycopy(paired.values(), from * DIM, values, to * DIM, DIM);
        }
      }
    }
    return values;
  }

  @Test
  void aReleaseInOnePartIsConverted() throws IOException {
    release(1, false);
    assertThat(conversion().build().convert().dropped()).containsExactly("rope.freqs");
    assertConverted();
  }

  @Test
  void partsAreJoinedAlongTheDimensionTheyWereCutAlong() throws IOException {
    release(2, false);
    conversion().build().convert();
    assertConverted();
  }

  @Test
  void anEmbeddingCutAlongItsRowsIsJoinedToo() throws IOException {
    release(2, true);
    conversion().build().convert();
    assertConverted();
  }

  @Test
  void partsNeedNotBeEquallyLarge() throws IOException {
    release(3, false);
    conversion().build().convert();
    assertConverted();
  }

  @Test
  void theConfigurationFollowsFromParametersAndShapes() throws IOException {
    release(1, false);
    params(", \"rope_theta\": 500000.0, \"use_scaled_rope\": true");
    conversion().dtype(DType.BF16).build().convert();
    ModelConfig config = ModelConfig.load(target.resolve("config.json"));
    assertThat(config.modelType()).isEqualTo("llama");
    assertThat(config.hiddenSize()).isEqualTo(DIM);
    assertThat(config.intermediateSize()).isEqualTo(WIDE);
    assertThat(config.numKeyValueHeads()).isEqualTo(KEY_VALUE_HEADS);
    assertThat(config.vocabSize()).isEqualTo(VOCABULARY);
    assertThat(config.ropeTheta()).isEqualTo(500_000);
    assertThat(config.ropeScaling().type()).isEqualTo(RopeScaling.Type.LLAMA3);
    assertThat(config.dtype()).hasValue(DType.BF16);
    assertThat(config.tieWordEmbeddings()).isFalse();
    assertThat(target.resolve("generation_config.json")).content().contains("\"eos_token_id\": 2");
  }

  @Test
  void theContextIsThatOfThePublishedModel() throws IOException {
    release(1, false);
    Map<String, Integer> lengths =
        Map.of("", 4096, ", \"rope_theta\": 500000", 8192, ", \"rope_theta\": 1000000", 16384);
    for (Map.Entry<String, Integer> length : lengths.entrySet()) {
      params(length.getKey());
      conversion().replaceExisting(true).build().convert();
      assertThat(ModelConfig.load(target.resolve("config.json")).maxPositionEmbeddings())
          .isEqualTo(length.getValue());
    }
  }

  @Test
  void aHeadThatRepeatsTheEmbeddingIsTied() throws IOException {
    meta.put("output.weight", meta.get("tok_embeddings.weight"));
    release(2, true);
    assertThat(conversion().build().convert().dropped())
        .containsExactly("output.weight", "rope.freqs");
    assertThat(ModelConfig.load(target.resolve("config.json")).tieWordEmbeddings()).isTrue();
  }

  @Test
  void theTokenizerMayLieOneFolderAbove() throws IOException {
    release(1, false);
    assertThatThrownBy(() -> CheckpointConverter.builder(source, target).build().convert())
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("tokenizer.model")
        .hasMessageContaining("withoutTokenizer()");
    Files.write(source.resolveSibling("tokenizer.model"), tokenizer("a", "b"));
    CheckpointConverter.builder(source, target).build().convert();
    try (Tokenizer tokenizer = Tokenizer.load(target)) {
      assertThat(tokenizer.encodeIds("a", true)).startsWith(1).endsWith(3);
    }
    assertThat(target.resolve("tokenizer.json")).exists();
    assertThat(target.resolve("tokenizer.model")).exists();
  }

  @Test
  void aTokenizerOfMoreTokensThanRowsIsRefused() throws IOException {
    release(1, false);
    Files.write(
        source.resolve("tokenizer.model"), tokenizer("a", "b", "c", "d", "e", "f", "g", "h"));
    assertThatThrownBy(() -> CheckpointConverter.builder(source, target).build().convert())
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining("do not belong together");
  }

  /** A SentencePiece BPE model without merges: unk, bos, eos and some characters. */
  private static byte[] tokenizer(String... characters) {
    List<Byte> bytes = new ArrayList<>();
    List<String> pieces = new ArrayList<>(List.of("<unk>", "<s>", "</s>"));
    pieces.addAll(List.of(characters));
    for (int i = 0; i < pieces.size(); i++) {
      byte[] text = pieces.get(i).getBytes(StandardCharsets.UTF_8);
      int type = i == 0 ? 2 : i < 3 ? 3 : 1;
      add(bytes, 0x0a, text.length + 4, 0x0a, text.length);
      for (byte b : text) {
        bytes.add(b);
      }
      add(bytes, 0x18, type);
    }
    add(bytes, 0x12, 2, 0x18, 2); // trainer_spec: BPE
    add(bytes, 0x1a, 2, 0x20, 0); // normalizer_spec: white space is kept
    byte[] array = new byte[bytes.size()];
    for (int i = 0; i < array.length; i++) {
      array[i] = bytes.get(i);
    }
    return array;
  }

  private static void add(List<Byte> bytes, int... values) {
    for (int value : values) {
      bytes.add((byte) value);
    }
  }

  @Test
  void whatDoesNotFitIsRefusedByName() throws IOException {
    release(2, false);
    params(", \"vocab_size\": 11");
    assertRefused("tok_embeddings.weight", "11 rows");
    params(", \"moe\": {}");
    assertRefused("params.json", "moe");
    Files.writeString(source.resolve("params.json"), PARAMS.formatted("").replace("16", "0"));
    assertRefused("params.json", "dim is 0");
    Files.writeString(source.resolve("params.json"), "{");
    assertRefused("params.json", "Cannot read");
    Files.writeString(
        source.resolve("params.json"), PARAMS.formatted("").replace("s\": 2", "s\": 1"));
    assertRefused("9 tensors", "layers.1.");
    params("");
    Files.move(source.resolve("consolidated.01.pth"), source.resolve("consolidated.02.pth"));
    assertRefused("consolidated.01.pth is missing", "fetch it again");
    Files.delete(source.resolve("consolidated.02.pth"));
    assertRefused("joined from 1 parts", "params.json");
  }

  private void assertRefused(String... parts) {
    assertThatThrownBy(() -> conversion().build().convert())
        .isInstanceOf(CheckpointException.class)
        .hasMessageContainingAll(parts);
    assertThat(target).doesNotExist();
  }
}
