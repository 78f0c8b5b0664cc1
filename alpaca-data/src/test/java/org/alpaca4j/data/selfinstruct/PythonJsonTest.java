package org.alpaca4j.data.selfinstruct;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import org.alpaca4j.core.internal.PythonFloat;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The expected texts were printed by CPython 3.11. */
class PythonJsonTest {
  @ParameterizedTest
  @CsvSource({
    "0, 0.0",
    "-0.0, -0.0",
    "1, 1.0",
    "0.1, 0.1",
    "0.30000000000000004, 0.30000000000000004",
    "0.12500000000000003, 0.12500000000000003",
    "2e-3, 0.002",
    "0.0001, 0.0001",
    "0.00001, 1e-05",
    "1.5e-7, 1.5e-07",
    "1e16, 1e+16",
    "123456789012345680, 1.2345678901234568e+17",
    "1e22, 1e+22",
    "-2.5, -2.5",
    "5e-324, 5e-324",
    "2.2250738585072014e-308, 2.2250738585072014e-308"
  })
  void writesNumbersAsPythonPrintsThem(double value, String text) {
    assertThat(PythonFloat.repr(value)).isEqualTo(text);
  }

  @Test
  void writesEmptyContainersOnOneLine() throws IOException {
    assertThat(PythonJson.write(new ObjectMapper().readTree("{\"a\":[],\"b\":{},\"c\":null}"), 0))
        .isEqualTo("{\n    \"a\": [],\n    \"b\": {},\n    \"c\": null\n}");
  }

  @Test
  void escapesWhatIsNotAscii() throws IOException {
    String text = "\"q\\\" b\\\\ / \\n \\u0001 \u007f é 图 😀\"";
    assertThat(PythonJson.write(new ObjectMapper().readTree(text), 0))
        .isEqualTo("\"q\\\" b\\\\ / \\n \\u0001 \\u007f \\u00e9 \\u56fe \\ud83d\\ude00\"");
  }
}
