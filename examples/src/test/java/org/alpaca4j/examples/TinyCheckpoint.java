package org.alpaca4j.examples;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.alpaca4j.core.CheckpointWriter;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.ModelConfig;

/**
 * A Llama of random weights (some ten thousand, if not told otherwise) over single bytes, whose
 * tokenizer knows ChatML and has no pad token.
 */
final class TinyCheckpoint {
  private static final List<String> SPECIAL =
      List.of("<|endoftext|>", "<|im_start|>", "<|im_end|>");
  private static final String CHAT_TEMPLATE =
      "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content']"
          + " + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}"
          + "{{ '<|im_start|>assistant\n' }}{% endif %}";

  private static final ObjectMapper JSON = new ObjectMapper();

  private TinyCheckpoint() {}

  static Path write(Path folder) {
    return write(folder, 32, 48);
  }

  static Path write(Path folder, int hiddenSize, int intermediateSize) {
    ModelConfig config =
        ModelConfig.builder("llama")
            .vocabSize(256 + SPECIAL.size())
            .hiddenSize(hiddenSize)
            .intermediateSize(intermediateSize)
            .numHiddenLayers(2)
            .numAttentionHeads(2)
            .numKeyValueHeads(1)
            .maxPositionEmbeddings(1024)
            .tieWordEmbeddings(true)
            .bosTokenId(256)
            .eosTokenIds(List.of(258))
            .dtype(DType.F32)
            .build();
    Map<String, long[]> shapes = config.tensorShapes();
    CheckpointWriter.Builder writer =
        CheckpointWriter.builder(folder).config(config).files(TinyCheckpoint::writeTokenizer);
    shapes.forEach((name, shape) -> writer.tensor(name, DType.F32, shape));
    Random random = new Random(1);
    writer
        .build()
        .write(
            (name, out) -> {
              long[] shape = shapes.get(name);
              int elements = (int) (shape[0] * (shape.length > 1 ? shape[1] : 1));
              ByteBuffer values =
                  ByteBuffer.allocate(elements * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
              while (values.hasRemaining()) {
                values.putFloat(shape.length == 1 ? 1 : (float) (0.05 * random.nextGaussian()));
              }
              out.write(values.flip());
            });
    return folder;
  }

  private static void writeTokenizer(Path folder) throws IOException {
    ObjectNode root = JSON.createObjectNode();
    root.put("version", "1.0");
    root.putNull("truncation");
    root.putNull("padding");
    ArrayNode added = root.putArray("added_tokens");
    for (int i = 0; i < SPECIAL.size(); i++) {
      ObjectNode token = added.addObject();
      token.put("id", 256 + i);
      token.put("content", SPECIAL.get(i));
      for (String property : List.of("single_word", "lstrip", "rstrip", "normalized")) {
        token.put(property, false);
      }
      token.put("special", true);
    }
    root.putNull("normalizer");
    ObjectNode bytes = JSON.createObjectNode();
    bytes.put("type", "ByteLevel");
    bytes.put("add_prefix_space", false);
    bytes.put("trim_offsets", true);
    bytes.put("use_regex", true);
    root.set("pre_tokenizer", bytes);
    root.putNull("post_processor");
    root.set("decoder", bytes);
    ObjectNode model = root.putObject("model");
    model.put("type", "BPE");
    ObjectNode vocabulary = model.putObject("vocab");
    int beyond = 256;
    for (int b = 0; b < 256; b++) {
      // GPT-2's letters for bytes: those without a glyph of their own take the next code points.
      boolean printable = (b >= '!' && b <= '~') || (b >= 0xA1 && b != 0xAD);
      vocabulary.put(Character.toString(printable ? b : beyond++), b);
    }
    model.putArray("merges");
    Files.writeString(folder.resolve("tokenizer.json"), root.toString());

    ObjectNode config = JSON.createObjectNode();
    config.put("tokenizer_class", "PreTrainedTokenizerFast");
    config.put("bos_token", "<|endoftext|>");
    config.put("eos_token", "<|im_end|>");
    config.put("unk_token", "<|endoftext|>");
    config.put("chat_template", CHAT_TEMPLATE);
    Files.writeString(folder.resolve("tokenizer_config.json"), config.toString());
  }
}
