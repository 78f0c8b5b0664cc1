package org.alpaca4j.weights.gguf;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.alpaca4j.core.CheckpointWriter;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.internal.FloatCodec;

/** Tiny checkpoints of random weights, with tokenizers made by hand. */
final class TinyModel {
  static final int VOCABULARY = 320;
  static final String TEMPLATE = "{% for m in messages %}{{ m['content'] }}{% endfor %}";
  private static final ObjectMapper JSON = new ObjectMapper();

  private TinyModel() {}

  static ModelConfig.Builder config(String family) {
    return ModelConfig.builder(family)
        .hiddenSize(64)
        .intermediateSize(96)
        .numHiddenLayers(2)
        .numAttentionHeads(4)
        .numKeyValueHeads(2)
        .headDim(16)
        .vocabSize(VOCABULARY)
        .maxPositionEmbeddings(128)
        .rmsNormEps(1e-5)
        .bosTokenId(1)
        .eosTokenIds(List.of(2))
        .padTokenId(0)
        .field("hidden_act", "silu");
  }

  static Path write(Path folder, ModelConfig config, DType dtype, ObjectNode tokenizer) {
    CheckpointWriter.Builder writer = CheckpointWriter.builder(folder).config(config);
    Map<String, long[]> shapes = config.tensorShapes();
    shapes.forEach((name, shape) -> writer.tensor(name, dtype, shape));
    ObjectNode roles = JSON.createObjectNode();
    roles.put("bos_token", "<s>").put("eos_token", "</s>").put("unk_token", "<unk>");
    roles.put("pad_token", "<unk>").put("chat_template", TEMPLATE);
    writer.file("tokenizer.json", tokenizer.toString());
    writer.file("tokenizer_config.json", roles.toString());
    writer
        .build()
        .write(
            (name, out) -> {
              long elements = Arrays.stream(shapes.get(name)).reduce(1, (x, y) -> x * y);
              int count = Math.toIntExact(elements);
              // Gemma's norms are added to 1: what few bits hold comes back from that.
              boolean norm = name.contains("norm");
              Random random = new Random(name.hashCode());
              float[] values = new float[count];
              for (int i = 0; i < count; i++) {
                values[i] =
                    norm ? random.nextInt(-64, 64) / 256f : (float) random.nextGaussian() * 0.2f;
              }
              ByteBuffer bytes = ByteBuffer.allocate(count * dtype.bytes());
              FloatCodec.encode(dtype, values, 0, count, bytes);
              out.write(bytes.flip());
            });
    return folder;
  }

  /** A byte-level tokenizer: three special tokens, 256 bytes, a few merges. */
  static ObjectNode byteLevel(GgufPreTokenizer pre) {
    ObjectNode json = JSON.createObjectNode().put("version", "1.0");
    addSpecials(json.putArray("added_tokens"));
    if (pre.composes()) {
      json.putObject("normalizer").put("type", "NFC");
    }
    json.set("pre_tokenizer", pre.toJson());
    ObjectNode decoder = json.putObject("decoder").put("type", "ByteLevel");
    decoder.put("add_prefix_space", true).put("trim_offsets", true).put("use_regex", true);
    ObjectNode model = json.putObject("model").put("type", "BPE");
    model.put("ignore_merges", pre.ignoreMerges());
    List<String> tokens = new ArrayList<>(List.of("<unk>", "<s>", "</s>"));
    for (int code = 0; code < 256; code++) {
      tokens.add(letter(code));
    }
    for (String merge : List.of("h e", "l l", "he ll", "\u0120 w", "1 2", "\u0120 \u0120")) {
      String[] parts = merge.split(" ");
      model.withArray("merges").addArray().add(parts[0]).add(parts[1]);
      tokens.add(parts[0] + parts[1]);
    }
    addVocabulary(model, tokens);
    return json;
  }

  /** A SentencePiece BPE tokenizer: special tokens, 256 bytes, letters and merges. */
  static ObjectNode sentencePiece() {
    ObjectNode json = JSON.createObjectNode().put("version", "1.0");
    addSpecials(json.putArray("added_tokens"));
    ArrayNode normalizers =
        json.putObject("normalizer").put("type", "Sequence").putArray("normalizers");
    normalizers.addObject().put("type", "Prepend").put("prepend", "\u2581");
    ObjectNode replace = normalizers.addObject().put("type", "Replace").put("content", "\u2581");
    replace.putObject("pattern").put("String", " ");
    ArrayNode decoders = json.putObject("decoder").put("type", "Sequence").putArray("decoders");
    ObjectNode back = decoders.addObject().put("type", "Replace").put("content", " ");
    back.putObject("pattern").put("String", "\u2581");
    decoders.addObject().put("type", "ByteFallback");
    decoders.addObject().put("type", "Fuse");
    decoders.addObject().put("type", "Strip").put("content", " ").put("start", 1).put("stop", 0);
    ArrayNode single =
        json.putObject("post_processor").put("type", "TemplateProcessing").putArray("single");
    single.addObject().putObject("SpecialToken").put("id", "<s>").put("type_id", 0);
    single.addObject().putObject("Sequence").put("id", "A").put("type_id", 0);
    ObjectNode processor = (ObjectNode) json.get("post_processor");
    processor.putArray("pair").addAll(single);
    ObjectNode special = processor.putObject("special_tokens").putObject("<s>").put("id", "<s>");
    special.putArray("ids").add(1);
    special.putArray("tokens").add("<s>");
    ObjectNode model = json.putObject("model").put("type", "BPE");
    model.put("unk_token", "<unk>").put("fuse_unk", true).put("byte_fallback", true);
    List<String> tokens = new ArrayList<>(List.of("<unk>", "<s>", "</s>"));
    for (int code = 0; code < 256; code++) {
      tokens.add(String.format("<0x%02X>", code));
    }
    tokens.addAll(List.of("\u2581", "h", "e", "l", "o", "w", "r", "d"));
    for (String merge : List.of("\u2581 h", "l l", "\u2581h e", "\u2581he ll", "o r", "\u2581 w")) {
      String[] parts = merge.split(" ");
      model.withArray("merges").addArray().add(parts[0]).add(parts[1]);
      tokens.add(parts[0] + parts[1]);
    }
    addVocabulary(model, tokens);
    return json;
  }

  private static void addVocabulary(ObjectNode model, List<String> tokens) {
    ObjectNode vocabulary = model.putObject("vocab");
    for (int id = 0; id < tokens.size(); id++) {
      vocabulary.put(tokens.get(id), id);
    }
  }

  private static void addSpecials(ArrayNode added) {
    List<String> specials = List.of("<unk>", "<s>", "</s>");
    for (int id = 0; id < specials.size(); id++) {
      ObjectNode token = added.addObject().put("id", id).put("content", specials.get(id));
      token.put("single_word", false).put("lstrip", false).put("rstrip", false);
      token.put("normalized", false).put("special", true);
    }
  }

  /** GPT-2's printable letter for a byte: the byte itself where it is printable. */
  private static String letter(int code) {
    int unprintable = 0;
    for (int other = 0; other <= code; other++) {
      boolean printable =
          other >= '!' && other <= '~' || other >= 0xa1 && other <= 0xac || other >= 0xae;
      if (other == code) {
        return String.valueOf((char) (printable ? code : 256 + unprintable));
      }
      unprintable += printable ? 0 : 1;
    }
    throw new IllegalArgumentException();
  }
}
