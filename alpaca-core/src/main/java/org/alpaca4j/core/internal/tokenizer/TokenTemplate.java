package org.alpaca4j.core.internal.tokenizer;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.alpaca4j.core.internal.tokenizer.FastTokenizer.Part;

/**
 * The tokens that a tokenizer puts around a text, or around two.
 *
 * @param before what comes before a text
 * @param after what comes after a text
 * @param afterSecond what comes after the second of two texts; before that, there is {@code
 *     beforeSecond}
 * @param beforeSecond what comes before the second of two texts
 */
public record TokenTemplate(
    List<String> before, List<String> after, List<String> beforeSecond, List<String> afterSecond) {

  /** Copies the lists. */
  public TokenTemplate {
    before = List.copyOf(before);
    after = List.copyOf(after);
    beforeSecond = List.copyOf(beforeSecond);
    afterSecond = List.copyOf(afterSecond);
  }

  /** Returns a template that treats the second of two texts as the first. */
  public static TokenTemplate around(List<String> before, List<String> after) {
    return new TokenTemplate(before, after, before, after);
  }

  /**
   * Returns the post-processor.
   *
   * @param ids of all tokens of the template
   */
  public Part postProcessor(Map<String, Integer> ids) {
    return Part.step(
        "TemplateProcessing",
        out -> {
          out.writeArrayFieldStart("single");
          write(out, before, "A", after, 0);
          out.writeEndArray();
          out.writeArrayFieldStart("pair");
          write(out, before, "A", after, 0);
          write(out, beforeSecond, "B", afterSecond, 1);
          out.writeEndArray();
          out.writeObjectFieldStart("special_tokens");
          for (String token : tokens()) {
            out.writeObjectFieldStart(token);
            out.writeStringField("id", token);
            out.writeFieldName("ids");
            out.writeArray(new int[] {ids.get(token)}, 0, 1);
            out.writeArrayFieldStart("tokens");
            out.writeString(token);
            out.writeEndArray();
            out.writeEndObject();
          }
          out.writeEndObject();
        });
  }

  /** Returns the tokens that it puts anywhere. */
  public Set<String> tokens() {
    Set<String> tokens = new LinkedHashSet<>();
    for (List<String> part : List.of(before, after, beforeSecond, afterSecond)) {
      tokens.addAll(part);
    }
    return tokens;
  }

  private static void write(
      JsonGenerator out, List<String> before, String sequence, List<String> after, int typeId)
      throws IOException {
    List<String[]> entries = new ArrayList<>();
    before.forEach(token -> entries.add(new String[] {"SpecialToken", token}));
    entries.add(new String[] {"Sequence", sequence});
    after.forEach(token -> entries.add(new String[] {"SpecialToken", token}));
    for (String[] entry : entries) {
      out.writeStartObject();
      out.writeObjectFieldStart(entry[0]);
      out.writeStringField("id", entry[1]);
      out.writeNumberField("type_id", typeId);
      out.writeEndObject();
      out.writeEndObject();
    }
  }
}
