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
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.alpaca4j.core.internal.JsonProblem;
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

  /** Where a value stands in the bytes. */
  private record Place(int begin, int end) {
    int length() {
      return end - begin;
    }
  }

  /** An added token and its id. */
  record Entry(int id, AddedToken token) {}

  final byte[] bytes;
  final List<Entry> addedTokens;
  private final String origin;
  private final Place model;
  private final @Nullable Place array;
  private @Nullable Vocabulary vocabulary;

  private TokenizerJson(
      byte[] bytes, String origin, Place model, @Nullable Place array, List<Entry> added) {
    this.bytes = bytes;
    this.origin = origin;
    this.model = model;
    this.array = array;
    this.addedTokens = Collections.unmodifiableList(added);
  }

  /**
   * Reads the JSON text; {@code origin} names it in errors. What is not read here is checked by the
   * tokenizers library.
   */
  static TokenizerJson parse(byte[] bytes, String origin) {
    Place model = null;
    Place array = null;
    List<Entry> added = new ArrayList<>();
    try (JsonParser parser = JSON.createParser(bytes)) {
      if (parser.nextToken() != JsonToken.START_OBJECT) {
        throw new TokenizerException(origin + ": expected a JSON object");
      }
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        String field = parser.currentName();
        JsonToken value = parser.nextToken();
        int begin = (int) parser.currentTokenLocation().getByteOffset();
        if (field.equals("added_tokens") && value == JsonToken.START_ARRAY) {
          while (parser.nextToken() != JsonToken.END_ARRAY) {
            added.add(entry(JsonTree.fields(JsonTree.read(parser)), origin));
          }
          array = new Place(begin, (int) parser.currentTokenLocation().getByteOffset() + 1);
        } else {
          parser.skipChildren();
          if (field.equals("model") && value == JsonToken.START_OBJECT) {
            model = new Place(begin, (int) parser.currentTokenLocation().getByteOffset() + 1);
          }
        }
      }
    } catch (IOException e) {
      throw unreadable(origin, e);
    }
    if (model == null) {
      throw new TokenizerException(
          origin + ": has no \"model\", so it is not the tokenizer.json of a fast tokenizer");
    }
    return new TokenizerJson(bytes, origin, model, array, added);
  }

  private static JsonParser parser(byte[] bytes, Place place) throws IOException {
    return JSON.createParser(bytes, place.begin(), place.length());
  }

  private static TokenizerException unreadable(String origin, IOException cause) {
    return new TokenizerException(
        origin + ": not readable as JSON: " + JsonProblem.describe(cause), cause);
  }

  /** All tokens. Whoever only runs a model never asks for one, and spares the time to read them. */
  private static final class Vocabulary {
    final Map<String, Integer> ids = new HashMap<>();
    final Map<Integer, String> tokens;
    final int modelSize;
    final Set<String> addedOfModel = new HashSet<>();

    Vocabulary(byte[] bytes, Place model, List<Entry> added) throws IOException {
      try (JsonParser parser = parser(bytes, model)) {
        parser.nextToken();
        while (parser.nextToken() == JsonToken.FIELD_NAME) {
          String field = parser.currentName();
          parser.nextToken();
          if (field.equals("vocab")) {
            readVocabulary(parser, ids);
          } else {
            parser.skipChildren();
          }
        }
      }
      modelSize = ids.size();
      for (Entry entry : added) {
        if (ids.containsKey(entry.token().content())) {
          addedOfModel.add(entry.token().content());
        }
        ids.put(entry.token().content(), entry.id());
      }
      tokens = new HashMap<>(ids.size() * 2);
      ids.forEach((token, id) -> tokens.put(id, token));
    }
  }

  private synchronized Vocabulary vocabulary() {
    Vocabulary read = vocabulary;
    if (read == null) {
      try {
        read = new Vocabulary(bytes, model, addedTokens);
      } catch (IOException e) {
        throw unreadable(origin, e);
      }
      vocabulary = read;
    }
    return read;
  }

  private static Entry entry(@Nullable Map<?, ?> map, String origin) {
    if (map == null
        || !(map.get("id") instanceof Number id)
        || !(map.get("content") instanceof String content)
        || content.isEmpty()) {
      // Its fields alone: the text of deeply nested values would be of any size.
      throw new TokenizerException(
          origin
              + ": an entry of added_tokens has no id or no content: "
              + (map == null ? "null" : "it has " + map.keySet()));
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
    return vocabulary().ids.size();
  }

  int maxId() {
    return vocabulary().tokens.keySet().stream().mapToInt(Integer::intValue).max().orElse(-1);
  }

  @Nullable Integer id(String token) {
    return vocabulary().ids.get(token);
  }

  @Nullable String token(int id) {
    return vocabulary().tokens.get(id);
  }

  /**
   * Returns this file with further added tokens, numbered as the tokenizers library numbers them: a
   * token that exists keeps its id, a new one gets the next id after the model's vocabulary and all
   * added tokens. A token that was added before keeps its flags, except that it can become special.
   */
  TokenizerJson with(List<AddedToken> more, String origin) {
    Map<String, Entry> entries = new LinkedHashMap<>();
    for (Entry entry : addedTokens) {
      entries.put(entry.token().content(), entry);
    }
    if (more.stream().allMatch(token -> covers(entries.get(token.content()), token))) {
      return this;
    }
    Vocabulary known = vocabulary();
    int next = known.modelSize;
    for (Entry entry : addedTokens) {
      next = Math.max(next, entry.id() + 1);
    }
    Map<String, Integer> numbered = new HashMap<>();
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
        }
        continue;
      }
      Integer existing = numbered.getOrDefault(token.content(), known.ids.get(token.content()));
      int id = existing != null ? existing : next;
      next = Math.max(next, id + 1);
      numbered.put(token.content(), id);
      entries.put(token.content(), new Entry(id, token));
    }
    List<Entry> sorted = new ArrayList<>(entries.values());
    sorted.sort(Comparator.comparingInt(Entry::id));
    return parse(splice(sorted), origin);
  }

  /**
   * Returns this file with other names of some added tokens, which the model's vocabulary must not
   * have. A token keeps its id, unless the library takes that from the model's vocabulary, where it
   * finds the old name only: it then gets one behind all others.
   */
  TokenizerJson withNames(Map<String, String> names) {
    List<Entry> kept = new ArrayList<>();
    List<AddedToken> moved = new ArrayList<>();
    for (Entry entry : addedTokens) {
      AddedToken old = entry.token();
      AddedToken token =
          new AddedToken(
              names.getOrDefault(old.content(), old.content()),
              old.special(),
              old.lstrip(),
              old.rstrip(),
              old.singleWord(),
              old.normalized());
      if (token.equals(old) || !vocabulary().addedOfModel.contains(old.content())) {
        kept.add(new Entry(entry.id(), token));
      } else {
        moved.add(token);
      }
    }
    TokenizerJson others = parse(splice(kept), origin);
    return moved.isEmpty() ? others : others.with(moved, origin);
  }

  private static boolean covers(@Nullable Entry present, AddedToken asked) {
    return present != null && (present.token().special() || !asked.special());
  }

  private byte[] splice(List<Entry> entries) {
    List<Map<String, Object>> tokens = new ArrayList<>();
    for (Entry entry : entries) {
      Map<String, Object> map = new LinkedHashMap<>();
      map.put("id", entry.id());
      map.put("content", entry.token().content());
      map.put("single_word", entry.token().singleWord());
      map.put("lstrip", entry.token().lstrip());
      map.put("rstrip", entry.token().rstrip());
      map.put("normalized", entry.token().normalized());
      map.put("special", entry.token().special());
      tokens.add(map);
    }
    try {
      byte[] replacement = JsonTree.writer().writeValueAsBytes(tokens);
      ByteArrayOutputStream out = new ByteArrayOutputStream(bytes.length + replacement.length + 32);
      if (array != null) {
        out.write(bytes, 0, array.begin());
        out.write(replacement);
        out.write(bytes, array.end(), bytes.length - array.end());
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
