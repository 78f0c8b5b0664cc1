package org.alpaca4j.core.internal;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class JsonProblemTest {

  private static JsonProcessingException failure(byte[] text) {
    return catchThrowableOfType(
        JsonProcessingException.class,
        () -> {
          try (JsonParser parser = new JsonFactory().createParser(text)) {
            while (parser.nextToken() != null) {
              if (parser.currentToken().isNumeric()) {
                parser.getNumberValue();
              } else {
                parser.getText();
              }
            }
          }
        });
  }

  private static JsonProcessingException failure(String text) {
    return failure(text.getBytes(StandardCharsets.UTF_8));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{\"a\":NaN} | line 1, field \"a\": holds NaN, which JSON does not have; write null or a number",
        "{\"b\":[{\"c\":-Infinity}]} | line 1, field \"b[0].c\": holds -Infinity, which JSON does not",
        "{\"a\":True} | line 1, field \"a\": holds True, which is no value; texts stand in double",
        "{'a':1} | line 1: holds ''' where a field's name in double quotes is expected",
        "{\"a\" 1} | line 1, field \"a\": holds '1' where a colon is expected",
        "{\"a\":1 \"b\":2} | line 1, field \"a\": holds '\"' where a comma or the end of an object",
        "[1,] | line 1: holds ']' where it cannot stand",
        "{\"a\":\"b | line 1, field \"a\": ends too early; it may be cut off",
      })
  void saysWhatStandsThereInPlaceOfJson(String text, String message) {
    assertThat(JsonProblem.describeWithPlace(failure(text))).startsWith(message);
  }

  @Test
  void saysWhatLimitIsExceeded() {
    assertThat(JsonProblem.describe(failure("[".repeat(2000))))
        .isEqualTo("is nested deeper than 1000");
    assertThat(JsonProblem.describe(failure("1".repeat(2000))))
        .isEqualTo("holds a number of more characters than 1000");
  }

  @Test
  void asksForUtf8() {
    assertThat(JsonProblem.describe(failure(new byte[] {'[', '"', (byte) 0xE4, '"', ']'})))
        .isEqualTo("holds bytes that are not UTF-8; convert it to UTF-8");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{",
        "[1",
        "{\"a\": }",
        "{\"a\": 1,}",
        "nul",
        "{a: 1}",
        "[01]",
        "[1.]",
        "[.5]",
        "[+1]",
        "[1e]",
        "[-]",
        "[1 2]",
        "[\"\\x\"]",
        "[\"\\u12\"]",
        "[\"a\nb\"]",
        "[\u0001]",
        "]",
        "}",
        "[}",
        "{]",
        "[/* */]",
        "# a",
        "[undefined]",
        "[INF]",
        "['a']",
        "[\"a\tb\"]",
        "[1_000]",
        "{\"a\"",
        "{\"a\":",
        "[tru]",
        "[\u00A0]",
        "\uFEFF\uFEFF[]",
        "[0x1F]",
        "[NaN]"
      })
  void namesNeitherSwitchesNorClassesOfTheParser(String text) {
    assertThat(JsonProblem.describeWithPlace(failure(text)))
        .doesNotContain("`", "Source", "Feature", "Jackson", "Constraints", "REDACTED")
        .doesNotContainPattern("JSON [A-Z]|token|CTRL");
  }
}
