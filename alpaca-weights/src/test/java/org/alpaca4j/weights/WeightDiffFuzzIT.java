package org.alpaca4j.weights;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.alpaca4j.core.AlpacaException;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.fuzz.Fuzz;
import org.alpaca4j.core.fuzz.Mutator;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Mutated manifests of weight diffs. */
@Tag("fuzz")
class WeightDiffFuzzIT {
  /** A few pieces of 65,536 weights for each tensor. */
  private static final long BASE_BYTES = 12 << 20;

  @TempDir Path temporary;

  @Test
  void manifests() throws IOException {
    Path raw = TinyFolder.model(DType.F32, 5, 1).write(temporary.resolve("raw"));
    Path tuned = TinyFolder.model(DType.F32, 5, 2).write(temporary.resolve("tuned"));
    Path diff = temporary.resolve("diff");
    WeightDiff.builder().build().make(raw, tuned, diff);
    Map<String, byte[]> sound = new HashMap<>();
    for (String name :
        List.of(
            "config.json",
            "model.safetensors",
            "tokenizer.json",
            "tokenizer_config.json",
            DiffManifest.FILE)) {
      sound.put(name, Files.readAllBytes(diff.resolve(name)));
    }
    byte[] manifest = sound.get(DiffManifest.FILE);
    WeightDiff tool = WeightDiff.builder().threads(1).build();
    Path target = temporary.resolve("out");
    Fuzz.run(
        "weight-diff",
        2,
        BASE_BYTES,
        random -> {
          Map<String, byte[]> files = new HashMap<>(sound);
          files.put(DiffManifest.FILE, new Mutator(random).json(manifest, manifest));
          return files;
        },
        (folder, meter) -> {
          meter.measure("read", () -> DiffManifest.read(folder));
          try {
            meter.measure("recover", () -> tool.recover(raw, folder, target));
          } catch (AlpacaException e) {
            assertThat(target).doesNotExist();
            throw e;
          } finally {
            Fuzz.deleteRecursively(target);
          }
        });
  }
}
