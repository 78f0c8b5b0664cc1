package org.alpaca4j.weights;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.NavigableMap;
import java.util.Set;
import java.util.TreeMap;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.DType;
import org.jspecify.annotations.Nullable;

/**
 * The text of any model's {@code config.json}, in which only the type of the weights and the size
 * of the vocabulary are ever replaced: all else stays character for character as it was written.
 */
final class ConfigText {
  private static final Set<String> DTYPE_FIELDS = Set.of("dtype", "torch_dtype");

  /** Where a value stands in the text. */
  private record Span(int start, int end) {}

  private final String text;
  private final int firstField;
  private final Set<String> fields;
  private final List<Span> dtypes;
  private final @Nullable Span vocabularySize;
  private final boolean tied;

  private ConfigText(
      String text,
      int firstField,
      Set<String> fields,
      List<Span> dtypes,
      @Nullable Span vocabularySize,
      boolean tied) {
    this.text = text;
    this.firstField = firstField;
    this.fields = fields;
    this.dtypes = dtypes;
    this.vocabularySize = vocabularySize;
    this.tied = tied;
  }

  /**
   * Reads the configuration of a folder.
   *
   * @return null if it has none
   * @throws CheckpointException if it is not one JSON object
   */
  static @Nullable ConfigText ofFolder(Path folder) {
    Path file = ModelFiles.configOf(folder);
    return file == null
        ? null
        : parse(new String(ModelFiles.read(file), StandardCharsets.UTF_8), file.toString());
  }

  static ConfigText parse(String text, String origin) {
    Set<String> fields = new HashSet<>();
    List<Span> dtypes = new ArrayList<>();
    Span vocabularySize = null;
    boolean tied = false;
    try (JsonParser parser = new JsonFactory().createParser(text)) {
      if (parser.nextToken() != JsonToken.START_OBJECT) {
        throw new CheckpointException(origin + " is not a JSON object");
      }
      int firstField = (int) parser.currentLocation().getCharOffset();
      while (parser.nextToken() != JsonToken.END_OBJECT) {
        String field = parser.currentName();
        JsonToken value = parser.nextToken();
        fields.add(field);
        if (DTYPE_FIELDS.contains(field)) {
          int start = (int) parser.currentTokenLocation().getCharOffset();
          if (value == JsonToken.VALUE_STRING) {
            parser.finishToken();
            dtypes.add(new Span(start, (int) parser.currentLocation().getCharOffset()));
          } else if (value == JsonToken.VALUE_NULL) {
            dtypes.add(new Span(start, start + "null".length()));
          } else {
            throw new CheckpointException(origin + ": " + field + " is not a text");
          }
        } else if (field.equals("vocab_size") && value == JsonToken.VALUE_NUMBER_INT) {
          int start = (int) parser.currentTokenLocation().getCharOffset();
          vocabularySize = new Span(start, start + parser.getText().length());
        } else if (field.equals("tie_word_embeddings")) {
          tied = value == JsonToken.VALUE_TRUE;
        }
        parser.skipChildren();
      }
      if (parser.nextToken() != null) {
        throw new CheckpointException(origin + " goes on after its JSON object");
      }
      return new ConfigText(text, firstField, fields, dtypes, vocabularySize, tied);
    } catch (IOException e) {
      throw new CheckpointException(origin + " is not JSON: " + e.getMessage(), e);
    }
  }

  /** Returns whether input and output embedding are said to be one tensor. */
  boolean tiesWordEmbeddings() {
    return tied;
  }

  /** Returns whether the weights are said to be quantised. */
  boolean isQuantized() {
    return fields.contains("quantization_config");
  }

  /**
   * Returns the text for weights of a type and a number of embedding rows, under the names that are
   * there already; a type that is not there is added.
   *
   * @param dtype of all weights, or null if they have several: then the text's own stays
   * @param rows of the embedding, or 0 if that is unknown
   */
  String adapted(@Nullable DType dtype, long rows) {
    NavigableMap<Integer, Edit> edits = new TreeMap<>();
    if (vocabularySize != null && rows > 0) {
      edits.put(vocabularySize.start, new Edit(vocabularySize.end, Long.toString(rows)));
    }
    if (dtype != null) {
      String value = '"' + dtype.torchName() + '"';
      dtypes.forEach(span -> edits.put(span.start, new Edit(span.end, value)));
      if (dtypes.isEmpty()) {
        String name = fields.contains("rope_parameters") ? "dtype" : "torch_dtype";
        String comma = fields.isEmpty() ? "" : ",";
        edits.put(firstField, new Edit(firstField, "\n  \"" + name + "\": " + value + comma));
      }
    }
    StringBuilder changed = new StringBuilder(text);
    // From the end on, so that places before stay right.
    edits.descendingMap().forEach((start, edit) -> changed.replace(start, edit.end, edit.text));
    return changed.toString();
  }

  private record Edit(int end, String text) {}
}
