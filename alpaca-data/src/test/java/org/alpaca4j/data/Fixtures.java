package org.alpaca4j.data;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.alpaca4j.core.Tokenizer;

/** Reference results on disk: the folder named by the system property {@code fixtures}. */
final class Fixtures {

  static final ObjectMapper JSON = new ObjectMapper();

  private Fixtures() {}

  static Path area(String name) {
    return Path.of(System.getProperty("fixtures"), name);
  }

  /** The files of an area whose names begin so; none if the area is missing. */
  static List<Path> files(String area, String prefix) throws IOException {
    if (!Files.isDirectory(area(area))) {
      return List.of();
    }
    try (Stream<Path> files = Files.list(area(area))) {
      return files.filter(f -> f.getFileName().toString().startsWith(prefix)).sorted().toList();
    }
  }

  static List<JsonNode> lines(Path file) throws IOException {
    List<JsonNode> lines = new ArrayList<>();
    for (String line : Files.readString(file).split("\n")) {
      lines.add(JSON.readTree(line));
    }
    return lines;
  }

  /** A set of other cases may lack the tokenizers: {@code fixtures.tokenizers} then names them. */
  static Tokenizer tokenizer(String name) {
    Path folder = area("tokenizers").resolve(name);
    String others = System.getProperty("fixtures.tokenizers", "");
    return Tokenizer.load(
        Files.exists(folder.resolve("tokenizer.json")) || others.isEmpty()
            ? folder
            : Path.of(others).resolve(name));
  }

  static int[] ints(JsonNode array) {
    int[] values = new int[array.size()];
    Arrays.setAll(values, i -> array.get(i).asInt());
    return values;
  }

  static int[][] rows(JsonNode array) {
    int[][] rows = new int[array.size()][];
    Arrays.setAll(rows, i -> ints(array.get(i)));
    return rows;
  }
}
