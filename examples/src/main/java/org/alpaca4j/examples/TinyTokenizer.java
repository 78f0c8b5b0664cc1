package org.alpaca4j.examples;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Trains a byte-level BPE vocabulary (Sennrich, Haddow and Birch, 2016; on bytes as in GPT-2) and
 * writes it as a Hugging Face tokenizer: starting from the 256 bytes, the pair of neighbours that
 * is most frequent inside words becomes a new token, until the vocabulary is full.
 *
 * <p>Written for clarity, for texts of a few thousand different words at most.
 */
final class TinyTokenizer {
  /** The special tokens; their place is their id. */
  static final List<String> SPECIAL_TOKENS = List.of("<unk>", "<s>", "</s>", "[PAD]");

  /** GPT-2's words: a leading space belongs to the word that follows. */
  private static final Pattern WORD =
      Pattern.compile(
          "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+");

  private static final ObjectMapper JSON = new ObjectMapper();

  private final List<String> vocabulary;
  private final List<Pair> merges;

  private record Pair(String left, String right) {
    String merged() {
      return left + right;
    }
  }

  private record Word(List<String> tokens, int count) {}

  private TinyTokenizer(List<String> vocabulary, List<Pair> merges) {
    this.vocabulary = vocabulary;
    this.merges = merges;
  }

  /**
   * Learns merges.
   *
   * @param texts what the tokens shall be frequent in
   * @param size of the vocabulary, special tokens and bytes included
   */
  static TinyTokenizer train(List<String> texts, int size) {
    String[] byteSymbols = byteSymbols();
    Map<String, Integer> wordCounts = new TreeMap<>();
    for (String text : texts) {
      Matcher word = WORD.matcher(text);
      while (word.find()) {
        wordCounts.merge(word.group(), 1, Integer::sum);
      }
    }
    // Each word as the tokens that it consists of so far.
    List<Word> words = new ArrayList<>();
    wordCounts.forEach((word, count) -> words.add(new Word(symbols(word, byteSymbols), count)));

    List<String> vocabulary = new ArrayList<>(SPECIAL_TOKENS);
    Arrays.stream(byteSymbols).sorted().forEach(vocabulary::add);
    List<Pair> merges = new ArrayList<>();
    while (vocabulary.size() < size) {
      Pair best = mostFrequentPair(words);
      merges.add(best);
      vocabulary.add(best.merged());
      words.replaceAll(word -> new Word(merge(word.tokens, best), word.count));
    }
    return new TinyTokenizer(vocabulary, merges);
  }

  /** Of equally frequent pairs the alphabetically first, so that the result is reproducible. */
  private static Pair mostFrequentPair(List<Word> words) {
    Map<Pair, Integer> counts = new HashMap<>();
    for (Word word : words) {
      List<String> tokens = word.tokens;
      for (int i = 0; i + 1 < tokens.size(); i++) {
        counts.merge(new Pair(tokens.get(i), tokens.get(i + 1)), word.count, Integer::sum);
      }
    }
    return Collections.max(
            counts.entrySet(),
            Map.Entry.<Pair, Integer>comparingByValue()
                .thenComparing(
                    Map.Entry.comparingByKey(
                        Comparator.comparing(Pair::left).thenComparing(Pair::right).reversed())))
        .getKey();
  }

  private static List<String> merge(List<String> word, Pair pair) {
    List<String> merged = new ArrayList<>();
    for (int i = 0; i < word.size(); i++) {
      boolean here =
          i + 1 < word.size()
              && word.get(i).equals(pair.left)
              && word.get(i + 1).equals(pair.right);
      merged.add(here ? pair.merged() : word.get(i));
      if (here) {
        i++;
      }
    }
    return merged;
  }

  private static List<String> symbols(String word, String[] byteSymbols) {
    List<String> symbols = new ArrayList<>();
    for (byte b : word.getBytes(StandardCharsets.UTF_8)) {
      symbols.add(byteSymbols[b & 0xFF]);
    }
    return symbols;
  }

  /** GPT-2's printable characters for bytes: itself where printable, else from U+0100 on. */
  private static String[] byteSymbols() {
    String[] symbols = new String[256];
    int next = 256;
    for (int b = 0; b < 256; b++) {
      boolean printable = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
      symbols[b] = String.valueOf((char) (printable ? b : next++));
    }
    return symbols;
  }

  /** Writes {@code tokenizer.json} and {@code tokenizer_config.json} into a folder. */
  void save(Path folder) throws IOException {
    ObjectNode root = JSON.createObjectNode();
    root.put("version", "1.0").putNull("truncation").putNull("padding");
    ArrayNode added = root.putArray("added_tokens");
    for (String token : SPECIAL_TOKENS) {
      added
          .addObject()
          .put("id", vocabulary.indexOf(token))
          .put("content", token)
          .put("single_word", false)
          .put("lstrip", false)
          .put("rstrip", false)
          .put("normalized", false)
          .put("special", true);
    }
    root.putNull("normalizer");
    root.set("pre_tokenizer", byteLevel());
    root.set("post_processor", beginWithBos());
    root.set("decoder", byteLevel());
    ObjectNode model = root.putObject("model");
    model.put("type", "BPE").putNull("dropout").putNull("unk_token");
    model.putNull("continuing_subword_prefix").putNull("end_of_word_suffix");
    model.put("fuse_unk", false).put("byte_fallback", false).put("ignore_merges", false);
    ObjectNode vocab = model.putObject("vocab");
    for (int id = 0; id < vocabulary.size(); id++) {
      vocab.put(vocabulary.get(id), id);
    }
    ArrayNode mergeList = model.putArray("merges");
    merges.forEach(pair -> mergeList.addArray().add(pair.left).add(pair.right));
    write(folder.resolve("tokenizer.json"), root);

    ObjectNode config = JSON.createObjectNode();
    config.put("tokenizer_class", "PreTrainedTokenizerFast");
    config.put("unk_token", "<unk>").put("bos_token", "<s>").put("eos_token", "</s>");
    config.put("pad_token", "[PAD]").put("clean_up_tokenization_spaces", false);
    write(folder.resolve("tokenizer_config.json"), config);
  }

  private static ObjectNode byteLevel() {
    return JSON.createObjectNode()
        .put("type", "ByteLevel")
        .put("add_prefix_space", false)
        .put("trim_offsets", true)
        .put("use_regex", true);
  }

  /** A text's ids begin with {@code <s>}. */
  private static ObjectNode beginWithBos() {
    ObjectNode template = JSON.createObjectNode().put("type", "TemplateProcessing");
    template.putArray("single").add(bos(0)).add(sequence("A", 0));
    template.putArray("pair").add(bos(0)).add(sequence("A", 0)).add(bos(1)).add(sequence("B", 1));
    ObjectNode bos = template.putObject("special_tokens").putObject("<s>").put("id", "<s>");
    bos.putArray("ids").add(SPECIAL_TOKENS.indexOf("<s>"));
    bos.putArray("tokens").add("<s>");
    return template;
  }

  private static ObjectNode bos(int type) {
    ObjectNode piece = JSON.createObjectNode();
    piece.putObject("SpecialToken").put("id", "<s>").put("type_id", type);
    return piece;
  }

  private static ObjectNode sequence(String id, int type) {
    ObjectNode piece = JSON.createObjectNode();
    piece.putObject("Sequence").put("id", id).put("type_id", type);
    return piece;
  }

  private static void write(Path file, ObjectNode json) throws IOException {
    Files.writeString(file, JSON.writerWithDefaultPrettyPrinter().writeValueAsString(json) + "\n");
  }
}
