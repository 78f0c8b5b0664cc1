package org.alpaca4j.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class JsonTreeTest {
  private static final String EVERYTHING =
      "{\"a\": [1, 5000000000, 123456789012345678901234567890, 1.50, -2e-7, true, false, null],"
          + " \"b\": {\"c\": \"é\\n\", \"d\": {}, \"e\": []}, \"b2\": 1, \"b2\": 2}";

  @Test
  void readsWhatAnObjectMapperReads() throws Exception {
    ObjectMapper mapper = new ObjectMapper();

    assertThat(JsonTree.parse(EVERYTHING)).isEqualTo(mapper.readTree(EVERYTHING));
    assertThat(JsonTree.fields(JsonTree.parse(EVERYTHING.getBytes(StandardCharsets.UTF_8))))
        .isEqualTo(mapper.readValue(EVERYTHING, Map.class));
    assertThat(JsonTree.parse("").isMissingNode()).isTrue();
  }

  @Test
  void keepsAllDigitsWhereAskedTo() throws Exception {
    assertThat(JsonTree.parse("[1.50, 1e-05]", true).toString()).isEqualTo("[1.50,0.00001]");
  }

  @ParameterizedTest
  @ValueSource(strings = {"{", "[1", "{\"a\": }", "{} 1", "[1] x", "nul"})
  void refusesWhatIsNoJson(String text) {
    assertThatThrownBy(() -> JsonTree.parse(text)).isInstanceOf(JsonProcessingException.class);
  }
}
