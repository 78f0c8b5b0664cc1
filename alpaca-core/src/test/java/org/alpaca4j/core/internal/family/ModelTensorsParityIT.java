package org.alpaca4j.core.internal.family;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.alpaca4j.core.Checkpoint;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.internal.Internals;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/** The tensors of a checkpoint of each family, in the folder {@code -Dfixtures}. */
@Tag("parity")
class ModelTensorsParityIT {
  private static List<Path> folders() throws IOException {
    Path models = Path.of(System.getProperty("fixtures")).resolve("models");
    List<Path> folders = new ArrayList<>();
    if (Files.isDirectory(models)) {
      try (var found = Files.newDirectoryStream(models, Files::isDirectory)) {
        found.forEach(folders::add);
      }
    }
    folders.sort(null);
    return folders;
  }

  @TestFactory
  Stream<DynamicTest> theFileHoldsWhatTheConfigurationSays() throws IOException {
    return folders().stream()
        .filter(folder -> Files.exists(folder.resolve("model.safetensors")))
        .map(folder -> dynamicTest(folder.getFileName().toString(), () -> assertTensors(folder)));
  }

  private static void assertTensors(Path folder) {
    try (Checkpoint checkpoint = Checkpoint.open(folder)) {
      ModelConfig config = checkpoint.config();
      Profile profile = Internals.profile(config);
      Map<String, String> held = new TreeMap<>();
      for (String name : checkpoint.names()) {
        boolean copy = config.tieWordEmbeddings() && name.equals(profile.head());
        if (!profile.ignores(name) && !copy) {
          held.put(name, Arrays.toString(checkpoint.tensor(name).shape()));
        }
      }
      Map<String, String> described = new TreeMap<>();
      config.tensorShapes().forEach((name, shape) -> described.put(name, Arrays.toString(shape)));
      assertThat(described).isEqualTo(held);
      assertThat(described.keySet().stream().filter(profile::ignores)).isEmpty();
    }
  }
}
