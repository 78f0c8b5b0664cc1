package org.alpaca4j.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class JsonOutlineTest {
  private static List<String> fields(String json) throws IOException {
    byte[] bytes = json.getBytes(StandardCharsets.UTF_8);
    List<String> result = new ArrayList<>();
    JsonOutline.of(bytes)
        .forEach(
            (name, place) ->
                result.add(
                    name
                        + " "
                        + new String(
                            bytes, place.begin(), place.length(), StandardCharsets.UTF_8)));
    return result;
  }

  @Test
  void findsValuesOfEveryKind() throws IOException {
    assertThat(
            fields(
                " { \"a\" : [1, {\"b\": \"]}\"}] ,\"é\":\"x\\\"}\\\\\",\n\"n\": -1.5e3 ,"
                    + "\"t\":true}"))
        .containsExactly("a [1, {\"b\": \"]}\"}]", "é \"x\\\"}\\\\\"", "n -1.5e3", "t true");
    assertThat(fields("{}")).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "[]",
        "1",
        "{",
        "{\"a",
        "{\"a\\",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":[1}"
      })
  void refusesWhatIsNoObjectOrDoesNotEnd(String json) {
    assertThatThrownBy(() -> fields(json)).isInstanceOf(IOException.class);
  }

  @ParameterizedTest
  @ValueSource(strings = {"{\"a\":1 \"b\":2}", "{,\"a\":1}", "{a:1}", "{\"a\" 1}"})
  void refusesFieldsThatAreNot(String json) {
    assertThatThrownBy(() -> fields(json)).hasMessageContaining("expected '");
  }
}
