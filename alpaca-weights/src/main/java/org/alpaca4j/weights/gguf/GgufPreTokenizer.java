package org.alpaca4j.weights.gguf;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * How a byte-level tokenizer splits text before it merges. A {@code tokenizer.json} spells that
 * out, a GGUF file names it ({@code tokenizer.ggml.pre}) and llama.cpp knows what each name means
 * ({@code llama-vocab.cpp}). The first name of each kind is the one we write.
 */
enum GgufPreTokenizer {
  /** GPT-2's expression, which {@code ByteLevel} has built in. */
  GPT2(null, false, false, "gpt-2 phi-2 mpt olmo jais trillion exaone4"),
  /** GPT-2's after every digit stands alone. */
  SMOLLM(null, true, false, "smollm starcoder refact command-r codeshell exaone"),
  /** Llama 3: up to three digits together; words of the vocabulary are not merged, but taken. */
  LLAMA3(Patterns.LLAMA3, false, true, "llama-bpe llama3 llama-v3 falcon3 lfm2"),
  /** Llama 3's without taking whole words. */
  DBRX(Patterns.LLAMA3, false, false, "smaug-bpe dbrx chatglm-bpe glm4"),
  /** Qwen 2 and 3: every digit alone. */
  QWEN2(Patterns.QWEN2, false, false, "qwen2 stablelm2 deepseek-r1-qwen megrez hunyuan"),
  /** Qwen 3.5: with combining marks among the letters. */
  QWEN35(Patterns.QWEN35, false, false, "qwen35"),
  /** Mistral Nemo and later. */
  TEKKEN(Patterns.TEKKEN, false, true, "tekken"),
  /** GPT-4o. */
  GPT4O(Patterns.GPT4O, false, false, "gpt-4o llama4"),
  /** BLOOM: words with what is before them, but for some punctuation. */
  BLOOM(Patterns.BLOOM, false, false, "bloom poro-chat gpt3-finnish"),
  /** Falcon: punctuation together, then GPT-2's expression, three digits of a number together. */
  FALCON(null, false, false, "falcon") {
    @Override
    ObjectNode toJson() {
      ObjectNode sequence = JsonNodeFactory.instance.objectNode().put("type", "Sequence");
      ArrayNode steps = sequence.putArray("pretokenizers");
      steps.addObject().put("type", "Punctuation").put("behavior", "Contiguous");
      steps.add(super.toJson());
      steps.addObject().put("type", "Digits").put("individual_digits", false);
      addSplit(steps, "[0-9][0-9][0-9]");
      return sequence;
    }
  };

  private final @Nullable String pattern;
  private final boolean singleDigits;
  private final boolean ignoreMerges;
  private final String names; // one or more, with blanks between

  GgufPreTokenizer(
      @Nullable String pattern, boolean singleDigits, boolean ignoreMerges, String names) {
    this.pattern = pattern;
    this.singleDigits = singleDigits;
    this.ignoreMerges = ignoreMerges;
    this.names = names;
  }

  /** The expressions, as the models' authors wrote them in {@code tokenizer.json}. */
  private static final class Patterns {
    private static final String CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
    private static final String SPACES = "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
    private static final String WORDS = "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+";
    private static final String REST = "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*";
    private static final String UPPER = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]";
    private static final String LOWER = "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]";
    private static final String LEAD = "[^\\r\\n\\p{L}\\p{N}]?";

    static final String LLAMA3 = CONTRACTIONS + WORDS + "|\\p{N}{1,3}" + REST + SPACES;
    static final String QWEN2 = CONTRACTIONS + WORDS + "|\\p{N}" + REST + SPACES;
    static final String QWEN35 =
        CONTRACTIONS
            + "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}"
            + "| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*"
            + SPACES;
    static final String BLOOM = " ?[^(\\s|[.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c])]+";
    static final String TEKKEN = cased("", "|\\p{N}");
    static final String GPT4O = cased(CONTRACTIONS + "?", "|\\p{N}{1,3}");

    private static String cased(String ending, String digits) {
      return LEAD
          + UPPER
          + "*"
          + LOWER
          + "+"
          + ending
          + "|"
          + LEAD
          + UPPER
          + "+"
          + LOWER
          + "*"
          + ending
          + digits
          + "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*"
          + SPACES;
    }
  }

  private List<String> names() {
    return List.of(names.split(" "));
  }

  /** Returns the name that is written. */
  String ggufName() {
    return names().get(0);
  }

  /** Returns whether words of the vocabulary are taken without merging ({@code ignore_merges}). */
  boolean ignoreMerges() {
    return ignoreMerges;
  }

  /** Returns whether the models that use it normalise text to NFC first. */
  boolean composes() {
    return this == QWEN2 || this == QWEN35;
  }

  static Optional<GgufPreTokenizer> named(String name) {
    return Arrays.stream(values()).filter(kind -> kind.names().contains(name)).findFirst();
  }

  /** Returns the names that are understood. */
  static List<String> allNames() {
    return Arrays.stream(values()).flatMap(kind -> kind.names().stream()).toList();
  }

  /** Returns the kind that a {@code tokenizer.json} spells out, if it is one of these. */
  static Optional<GgufPreTokenizer> of(JsonNode tokenizer) {
    List<String> found = steps(tokenizer.path("pre_tokenizer"));
    boolean ignoreMerges = tokenizer.path("model").path("ignore_merges").asBoolean();
    return Arrays.stream(values())
        .filter(kind -> kind.ignoreMerges == ignoreMerges && steps(kind.toJson()).equals(found))
        .findFirst();
  }

  /** Reduces a pre-tokenizer to what it does: the same steps split in the same way. */
  private static List<String> steps(JsonNode node) {
    List<String> steps = new ArrayList<>();
    Iterable<JsonNode> parts =
        node.path("type").asText().equals("Sequence") ? node.path("pretokenizers") : List.of(node);
    for (JsonNode part : parts) {
      steps.add(
          switch (part.path("type").asText()) {
            case "Digits" -> "digits " + part.path("individual_digits").asBoolean();
            case "Split" -> "split " + behavior(part) + part.path("pattern");
            case "ByteLevel" ->
                "bytes "
                    + part.path("use_regex").asBoolean(true)
                    + part.path("add_prefix_space").asBoolean(true);
            default -> part.toString();
          });
    }
    return steps;
  }

  /** Keeping the matches is the same as removing what does not match where everything matches. */
  private static String behavior(JsonNode split) {
    String text = split.path("behavior").asText() + split.path("invert").asBoolean();
    return text.equals("Removedtrue") ? "Isolatedfalse" : text;
  }

  /** Returns the {@code pre_tokenizer} of a {@code tokenizer.json}. */
  ObjectNode toJson() {
    JsonNodeFactory json = JsonNodeFactory.instance;
    ObjectNode bytes = json.objectNode();
    bytes.put("type", "ByteLevel").put("add_prefix_space", false).put("trim_offsets", true);
    bytes.put("use_regex", pattern == null);
    if (pattern == null && !singleDigits) {
      return bytes;
    }
    ObjectNode sequence = json.objectNode().put("type", "Sequence");
    ArrayNode steps = sequence.putArray("pretokenizers");
    if (singleDigits) {
      steps.addObject().put("type", "Digits").put("individual_digits", true);
    }
    if (pattern != null) {
      addSplit(steps, pattern);
    }
    steps.add(bytes);
    return sequence;
  }

  private static void addSplit(ArrayNode steps, String pattern) {
    ObjectNode split = steps.addObject().put("type", "Split");
    split.putObject("pattern").put("Regex", pattern);
    split.put("behavior", "Isolated").put("invert", false);
  }
}
