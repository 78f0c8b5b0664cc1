package org.alpaca4j.core.internal.tokenizer;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import org.alpaca4j.core.AddedToken;
import org.alpaca4j.core.internal.tokenizer.FastTokenizer.Part;
import org.jspecify.annotations.Nullable;

/**
 * A byte-level BPE as GPT-2 has it: a text is cut into words, each byte of a word is a character
 * (see {@link ByteAlphabet}), and neighbours are merged in the order of a list.
 *
 * @param vocabulary the ids of tokens written in the alphabet of bytes
 * @param merges the pairs to merge, the first ones first, each as "left right"
 * @param splitting how a text is cut into words
 * @param addPrefixSpace whether a text gets a space in front
 * @param added tokens by id
 * @param template what is put around a text, if anything
 */
public record ByteLevelTokenizer(
    Map<String, Integer> vocabulary,
    List<String> merges,
    Splitting splitting,
    boolean addPrefixSpace,
    SortedMap<Integer, AddedToken> added,
    @Nullable TokenTemplate template) {

  /** How a text is cut into words before merges are applied. */
  public enum Splitting {
    /** GPT-2's expression, which the library has built in. */
    GPT2,
    /** Qwen's expression, for text in NFC. */
    QWEN
  }

  private static final String QWEN_WORDS =
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}"
          + "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

  /** Copies the map of added tokens; vocabulary and merges are large, and stay as they are. */
  public ByteLevelTokenizer {
    added = new TreeMap<>(added);
  }

  /** Returns the text of a {@code tokenizer.json}, UTF-8, as transformers writes it. */
  public byte[] toJson() {
    Map<String, Integer> ids = new LinkedHashMap<>(vocabulary);
    int modelSize = ids.size();
    int next = modelSize;
    boolean gaps = false;
    for (Map.Entry<Integer, AddedToken> token : added.entrySet()) {
      if (!ids.containsKey(token.getValue().content())) {
        gaps |= token.getKey() != next++;
      }
    }
    added.forEach((id, token) -> ids.putIfAbsent(token.content(), id));
    SortedMap<Integer, AddedToken> named = new TreeMap<>();
    added.values().forEach(token -> named.put(ids.getOrDefault(token.content(), -1), token));
    // The library numbers tokens beyond the vocabulary one after the other.
    Map<String, Integer> written = gaps ? ids : vocabulary;
    return new FastTokenizer(
            named,
            splitting == Splitting.QWEN ? Part.named("NFC") : Part.NONE,
            preTokenizer(),
            template == null ? byteLevel(true, false, true) : template.postProcessor(ids),
            byteLevel(true, true, true),
            Part.step("BPE", out -> writeModel(out, written)))
        .toJson();
  }

  private Part preTokenizer() {
    return splitting == Splitting.GPT2
        ? byteLevel(addPrefixSpace, true, true)
        : Part.sequence(
            "pretokenizers",
            List.of(Part.isolate(QWEN_WORDS), byteLevel(addPrefixSpace, true, false)));
  }

  private static Part byteLevel(boolean addPrefixSpace, boolean trimOffsets, boolean useRegex) {
    return Part.step(
        "ByteLevel",
        out -> {
          out.writeBooleanField("add_prefix_space", addPrefixSpace);
          out.writeBooleanField("trim_offsets", trimOffsets);
          out.writeBooleanField("use_regex", useRegex);
        });
  }

  private void writeModel(JsonGenerator out, Map<String, Integer> vocabulary) throws IOException {
    out.writeNullField("dropout");
    out.writeNullField("unk_token");
    out.writeStringField("continuing_subword_prefix", "");
    out.writeStringField("end_of_word_suffix", "");
    out.writeBooleanField("fuse_unk", false);
    out.writeBooleanField("byte_fallback", false);
    out.writeBooleanField("ignore_merges", false);
    out.writeObjectFieldStart("vocab");
    for (Map.Entry<String, Integer> token : vocabulary.entrySet()) {
      out.writeNumberField(token.getKey(), token.getValue());
    }
    out.writeEndObject();
    out.writeArrayFieldStart("merges");
    for (String merge : merges) {
      out.writeString(merge);
    }
    out.writeEndArray();
  }
}
