package org.alpaca4j.weights;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.DType;
import org.jspecify.annotations.Nullable;

/**
 * The text of any model's {@code config.json}, in which only the type of the weights is ever
 * replaced: everything else stays character for character what its author wrote.
 */
final class ConfigText {
  private static final Set<String> DTYPE_FIELDS = Set.of("dtype", "torch_dtype");

  /** Where a value stands in the text. */
  private record Span(int start, int end) {}

  private final String text;
  private final int firstField;
  private final Set<String> fields;
  private final List<Span> dtypes;
  private final boolean tied;

  private ConfigText(
      String text, int firstField, Set<String> fields, List<Span> dtypes, boolean tied) {
    this.text = text;
    this.firstField = firstField;
    this.fields = fields;
    this.dtypes = dtypes;
    this.tied = tied;
  }

  /**
   * Reads a file.
   *
   * @return null if there is no such file
   * @throws CheckpointException if it is not one JSON object
   */
  static @Nullable ConfigText load(Path file) {
    if (!Files.exists(file)) {
      return null;
    }
    try {
      return parse(Files.readString(file), file.toString());
    } catch (IOException e) {
      throw new CheckpointException("Cannot read " + file + ": " + e, e);
    }
  }

  static ConfigText parse(String text, String origin) {
    Set<String> fields = new HashSet<>();
    List<Span> dtypes = new ArrayList<>();
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
        } else if (field.equals("tie_word_embeddings")) {
          tied = value == JsonToken.VALUE_TRUE;
        }
        parser.skipChildren();
      }
      if (parser.nextToken() != null) {
        throw new CheckpointException(origin + " goes on after its JSON object");
      }
      return new ConfigText(text, firstField, fields, dtypes, tied);
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

  /** Returns the text with another type of the weights, under the name that is there already. */
  String withDtype(DType dtype) {
    String value = '"' + dtype.torchName() + '"';
    StringBuilder changed = new StringBuilder(text);
    for (int i = dtypes.size() - 1; i >= 0; i--) {
      changed.replace(dtypes.get(i).start, dtypes.get(i).end, value);
    }
    if (dtypes.isEmpty()) {
      String name = fields.contains("rope_parameters") ? "dtype" : "torch_dtype";
      String comma = fields.isEmpty() ? "" : ",";
      changed.insert(firstField, "\n  \"" + name + "\": " + value + comma);
    }
    return changed.toString();
  }
}
