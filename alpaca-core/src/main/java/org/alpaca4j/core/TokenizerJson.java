package org.alpaca4j.core;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What Java needs to know of a {@code tokenizer.json}: vocabulary and added tokens. The bytes are
 * kept as they are; only the array of added tokens is ever replaced, so that everything else stays
 * byte for byte what the file's author wrote.
 */
final class TokenizerJson {

  /** The tokens of a vocabulary are field names, which it takes half of the time to intern. */
  private static final JsonFactory JSON =
      JsonFactory.builder().disable(JsonFactory.Feature.INTERN_FIELD_NAMES).build();

  /** An added token and its id. */
  record Entry(int id, AddedToken token) {}

  final byte[] bytes;
  final List<Entry> addedTokens;
  private final int modelSize;
  private final Map<String, Integer> ids;
  private final Map<Integer, String> tokens;
  private final int arrayStart;
  private final int arrayEnd;

  private TokenizerJson(
      byte[] bytes, Map<String, Integer> modelVocabulary, List<Entry> added, int start, int end) {
    this.bytes = bytes;
    this.addedTokens = Collections.unmodifiableList(added);
    this.modelSize = modelVocabulary.size();
    this.ids = modelVocabulary;
    this.arrayStart = start;
    this.arrayEnd = end;
    for (Entry entry : added) {
      ids.put(entry.token().content(), entry.id());
    }
    this.tokens = new HashMap<>(ids.size() * 2);
    ids.forEach((token, id) -> tokens.put(id, token));
  }

  /** Reads the JSON text; {@code origin} names it in errors. */
  static TokenizerJson parse(byte[] bytes, String origin) {
    Map<String, Integer> vocabulary = new HashMap<>();
    List<Entry> added = new ArrayList<>();
    int start = -1;
    int end = -1;
    boolean modelSeen = false;
    try (JsonParser parser = JSON.createParser(bytes)) {
      if (parser.nextToken() != JsonToken.START_OBJECT) {
        throw new TokenizerException(origin + ": expected a JSON object");
      }
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        String field = parser.currentName();
        JsonToken value = parser.nextToken();
        if (field.equals("added_tokens") && value == JsonToken.START_ARRAY) {
          start = (int) parser.currentTokenLocation().getByteOffset();
          while (parser.nextToken() != JsonToken.END_ARRAY) {
            added.add(entry(JsonTree.fields(JsonTree.read(parser)), origin));
          }
          end = (int) parser.currentTokenLocation().getByteOffset() + 1;
        } else if (field.equals("model") && value == JsonToken.START_OBJECT) {
          modelSeen = true;
          while (parser.nextToken() == JsonToken.FIELD_NAME) {
            String modelField = parser.currentName();
            parser.nextToken();
            if (modelField.equals("vocab")) {
              readVocabulary(parser, vocabulary);
            } else {
              parser.skipChildren();
            }
          }
        } else {
          parser.skipChildren();
        }
      }
    } catch (IOException e) {
      throw new TokenizerException(origin + ": not readable as JSON: " + e.getMessage(), e);
    }
    if (!modelSeen) {
      throw new TokenizerException(
          origin + ": has no \"model\", so it is not the tokenizer.json of a fast tokenizer");
    }
    return new TokenizerJson(bytes, vocabulary, added, start, end);
  }

  private static Entry entry(Map<String, @Nullable Object> map, String origin) {
    if (!(map.get("id") instanceof Number id)
        || !(map.get("content") instanceof String content)
        || content.isEmpty()) {
      // Its fields alone: the text of deeply nested values would be of any size.
      throw new TokenizerException(
          origin + ": an entry of added_tokens has no id or no content: it has " + map.keySet());
    }
    return new Entry(id.intValue(), addedToken(content, map));
  }

  /** Reads the flags of an added token; absent ones are false, as in the tokenizers library. */
  static AddedToken addedToken(String content, Map<?, ?> flags) {
    boolean special = Boolean.TRUE.equals(flags.get("special"));
    Object normalized = flags.get("normalized");
    return new AddedToken(
        content,
        special,
        Boolean.TRUE.equals(flags.get("lstrip")),
        Boolean.TRUE.equals(flags.get("rstrip")),
        Boolean.TRUE.equals(flags.get("single_word")),
        normalized instanceof Boolean given ? given : !special);
  }

  private static void readVocabulary(JsonParser parser, Map<String, Integer> vocabulary)
      throws IOException {
    if (parser.currentToken() == JsonToken.START_OBJECT) { // BPE, WordPiece, WordLevel
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        String token = parser.currentName();
        parser.nextToken();
        vocabulary.put(token, parser.getIntValue());
      }
    } else if (parser.currentToken() == JsonToken.START_ARRAY) { // Unigram: [token, score]
      int id = 0;
      while (parser.nextToken() == JsonToken.START_ARRAY) {
        parser.nextToken();
        vocabulary.put(parser.getText(), id++);
        while (parser.nextToken() != JsonToken.END_ARRAY) {
          parser.skipChildren();
        }
      }
    }
  }

  /** Number of distinct tokens: the model's vocabulary and the added tokens outside of it. */
  int size() {
    return ids.size();
  }

  int maxId() {
    return tokens.keySet().stream().mapToInt(Integer::intValue).max().orElse(-1);
  }

  @Nullable Integer id(String token) {
    return ids.get(token);
  }

  @Nullable String token(int id) {
    return tokens.get(id);
  }

  /**
   * Returns this file with further added tokens, numbered as the tokenizers library numbers them: a
   * token that exists keeps its id, a new one gets the next id after the model's vocabulary and all
   * added tokens. A token that was added before keeps its flags, except that it can become special.
   */
  TokenizerJson with(List<AddedToken> more, String origin) {
    Map<String, Entry> entries = new LinkedHashMap<>();
    int next = modelSize;
    for (Entry entry : addedTokens) {
      entries.put(entry.token().content(), entry);
      next = Math.max(next, entry.id() + 1);
    }
    Map<String, Integer> known = new HashMap<>();
    boolean changed = false;
    for (AddedToken token : more) {
      Entry present = entries.get(token.content());
      if (present != null) {
        if (token.special() && !present.token().special()) {
          AddedToken old = present.token();
          entries.put(
              token.content(),
              new Entry(
                  present.id(),
                  new AddedToken(
                      old.content(),
                      true,
                      old.lstrip(),
                      old.rstrip(),
                      old.singleWord(),
                      old.normalized())));
          changed = true;
        }
        continue;
      }
      Integer existing = known.getOrDefault(token.content(), ids.get(token.content()));
      int id = existing != null ? existing : next;
      next = Math.max(next, id + 1);
      known.put(token.content(), id);
      entries.put(token.content(), new Entry(id, token));
      changed = true;
    }
    if (!changed) {
      return this;
    }
    List<Entry> sorted = new ArrayList<>(entries.values());
    sorted.sort(Comparator.comparingInt(Entry::id));
    return parse(splice(sorted), origin);
  }

  private byte[] splice(List<Entry> entries) {
    List<Map<String, Object>> array = new ArrayList<>();
    for (Entry entry : entries) {
      Map<String, Object> map = new LinkedHashMap<>();
      map.put("id", entry.id());
      map.put("content", entry.token().content());
      map.put("single_word", entry.token().singleWord());
      map.put("lstrip", entry.token().lstrip());
      map.put("rstrip", entry.token().rstrip());
      map.put("normalized", entry.token().normalized());
      map.put("special", entry.token().special());
      array.add(map);
    }
    try {
      byte[] replacement = JsonTree.writer().writeValueAsBytes(array);
      ByteArrayOutputStream out = new ByteArrayOutputStream(bytes.length + replacement.length + 32);
      if (arrayStart >= 0) {
        out.write(bytes, 0, arrayStart);
        out.write(replacement);
        out.write(bytes, arrayEnd, bytes.length - arrayEnd);
      } else {
        int brace = 0;
        while (bytes[brace] != '{') {
          brace++;
        }
        out.write(bytes, 0, brace + 1);
        out.write("\"added_tokens\":".getBytes(java.nio.charset.StandardCharsets.UTF_8));
        out.write(replacement);
        out.write(',');
        out.write(bytes, brace + 1, bytes.length - brace - 1);
      }
      return out.toByteArray();
    } catch (IOException e) {
      throw new TokenizerException("cannot write the added tokens: " + e.getMessage(), e);
    }
  }
}
