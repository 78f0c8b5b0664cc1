package org.alpaca4j.examples;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.util.Map;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.TypeConversionException;

/**
 * An option's value that is a JSON object, as <code>{"min_lr": 1e-6}</code>.
 *
 * @param fields its fields
 */
record JsonObject(Map<String, Object> fields) {

  /** Reads the text of an option. */
  static final class Converter implements ITypeConverter<JsonObject> {
    private static final JsonMapper JSON =
        JsonMapper.builder().enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS).build();

    @Override
    public JsonObject convert(String text) {
      try {
        Map<String, Object> fields =
            JSON.readValue(ExampleCommand.withoutQuotes(text), new TypeReference<>() {});
        if (fields != null) {
          return new JsonObject(fields);
        }
      } catch (JsonProcessingException e) {
        // said below
      }
      throw new TypeConversionException(
          "'" + text + "' is not a JSON object, such as {\"min_lr\": 1e-6}");
    }
  }
}
