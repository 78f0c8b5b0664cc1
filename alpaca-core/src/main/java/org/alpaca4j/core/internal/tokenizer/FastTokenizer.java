package org.alpaca4j.core.internal.tokenizer;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import org.alpaca4j.core.AddedToken;
import org.alpaca4j.core.TokenizerException;

/**
 * What a {@code tokenizer.json} says, part by part. The names are those of Hugging Face's
 * tokenizers library.
 *
 * @param addedTokens by id
 * @param normalizer changes the text
 * @param preTokenizer cuts it into what the model sees
 * @param postProcessor adds tokens around it
 * @param decoder makes text of tokens
 * @param model turns text into tokens
 */
public record FastTokenizer(
    SortedMap<Integer, AddedToken> addedTokens,
    Part normalizer,
    Part preTokenizer,
    Part postProcessor,
    Part decoder,
    Part model) {

  /** Copies the map. */
  public FastTokenizer {
    addedTokens = new TreeMap<>(addedTokens);
  }

  /** One value of the file. */
  @FunctionalInterface
  public interface Part {
    /** No such step. */
    Part NONE = JsonGenerator::writeNull;

    /** Writes the value. */
    void write(JsonGenerator out) throws IOException;

    /** Returns a step that has nothing but its name. */
    static Part named(String type) {
      return step(type, out -> {});
    }

    /** Returns a step of this name; {@code fields} writes what else it has. */
    static Part step(String type, Part fields) {
      return out -> {
        out.writeStartObject();
        out.writeStringField("type", type);
        fields.write(out);
        out.writeEndObject();
      };
    }

    /** Returns a step that replaces a text by another. */
    static Part replace(String text, String content) {
      return replace("String", text, content);
    }

    /** Returns a step that replaces what an expression (of Oniguruma) matches. */
    static Part replaceRegex(String regex, String content) {
      return replace("Regex", regex, content);
    }

    private static Part replace(String kind, String pattern, String content) {
      return step(
          "Replace",
          out -> {
            writePattern(out, kind, pattern);
            out.writeStringField("content", content);
          });
    }

    /** Returns a pre-tokenizer that isolates what an expression (of Oniguruma) matches. */
    static Part isolate(String regex) {
      return step(
          "Split",
          out -> {
            writePattern(out, "Regex", regex);
            out.writeStringField("behavior", "Isolated");
            out.writeBooleanField("invert", false);
          });
    }

    private static void writePattern(JsonGenerator out, String kind, String pattern)
        throws IOException {
      out.writeObjectFieldStart("pattern");
      out.writeStringField(kind, pattern);
      out.writeEndObject();
    }

    /**
     * Returns steps one after the other; {@code field} is where their kind of sequence has them.
     */
    static Part sequence(String field, List<Part> steps) {
      return step(
          "Sequence",
          out -> {
            out.writeArrayFieldStart(field);
            for (Part step : steps) {
              step.write(out);
            }
            out.writeEndArray();
          });
    }
  }

  /** Returns the text of the file, UTF-8. */
  public byte[] toJson() {
    return json(
        out -> {
          out.writeStartObject();
          out.writeStringField("version", "1.0");
          out.writeNullField("truncation");
          out.writeNullField("padding");
          out.writeArrayFieldStart("added_tokens");
          for (var entry : addedTokens.entrySet()) {
            out.writeStartObject();
            out.writeNumberField("id", entry.getKey());
            writeFields(out, entry.getValue());
            out.writeEndObject();
          }
          out.writeEndArray();
          write(out, "normalizer", normalizer);
          write(out, "pre_tokenizer", preTokenizer);
          write(out, "post_processor", postProcessor);
          write(out, "decoder", decoder);
          write(out, "model", model);
          out.writeEndObject();
        });
  }

  private static void write(JsonGenerator out, String field, Part part) throws IOException {
    out.writeFieldName(field);
    part.write(out);
  }

  /** Writes what a file says of an added token beside its id. */
  public static void writeFields(JsonGenerator out, AddedToken token) throws IOException {
    out.writeStringField("content", token.content());
    out.writeBooleanField("single_word", token.singleWord());
    out.writeBooleanField("lstrip", token.lstrip());
    out.writeBooleanField("rstrip", token.rstrip());
    out.writeBooleanField("normalized", token.normalized());
    out.writeBooleanField("special", token.special());
  }

  /** Returns JSON as UTF-8. */
  public static byte[] json(Part value) {
    // By way of a String: some versions of Jackson write characters beyond the BMP as bytes that
    // are no UTF-8.
    StringWriter text = new StringWriter();
    try (JsonGenerator out = new JsonFactory().createGenerator(text)) {
      value.write(out);
    } catch (IOException e) {
      throw new TokenizerException("cannot write the tokenizer as JSON: " + e.getMessage(), e);
    }
    return text.toString().getBytes(StandardCharsets.UTF_8);
  }
}
