package org.alpaca4j.core.internal.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.Device;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.alpaca4j.core.Checkpoint;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.TensorInfo;
import org.alpaca4j.core.UnsupportedModelException;
import org.alpaca4j.core.internal.Internals;
import org.alpaca4j.core.internal.model.IncrementalDecoder.Sequences;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/**
 * Logits of tokens read one by one, after prompts of different lengths, against transformers'
 * logits of whole sequences (fixtures: models).
 */
@Tag("parity")
class IncrementalDecoderParityIT {
  private static final double TOLERANCE = 1e-4;
  private static final Path FOLDER = Path.of(System.getProperty("fixtures", "."), "models");

  @TestFactory
  Stream<DynamicTest> matchesTransformersTokenByToken() throws IOException {
    if (!Files.isDirectory(FOLDER)) {
      return Stream.empty();
    }
    List<DynamicTest> tests = new ArrayList<>();
    try (Stream<Path> cases = Files.list(FOLDER)) {
      for (Path path : cases.filter(Files::isDirectory).sorted().toList()) {
        if (supported(path)) {
          tests.add(DynamicTest.dynamicTest(path.getFileName().toString(), () -> check(path)));
        }
      }
    }
    return tests.stream();
  }

  /**
   * Families of other issues are refused by name when their configuration is read. Where a rotary
   * embedding depends on the length, transformers takes that of the longest row of the batch, and
   * here each row has its own.
   */
  private static boolean supported(Path folder) {
    try {
      ModelConfig config = ModelConfig.load(folder.resolve("config.json"));
      return Internals.description(config).rotaries().stream()
          .noneMatch(rotary -> rotary.scaling().dependsOnLength());
    } catch (UnsupportedModelException e) {
      return false;
    }
  }

  private static void check(Path folder) {
    try (Checkpoint checkpoint = Checkpoint.open(folder);
        Checkpoint reference = Checkpoint.open(folder.resolve("reference.safetensors"));
        LoadedModel model =
            LoadedModel.load(checkpoint, checkpoint.config(), Device.cpu(), DType.F32, DType.F32);
        IncrementalDecoder decoder = model.decoder().incremental(model)) {
      long[] shape = reference.tensor("input_ids").shape();
      int rows = (int) shape[0];
      int width = (int) shape[1];
      int vocabulary = model.config().vocabSize();
      ByteBuffer ids = bytes(reference, "input_ids");
      ByteBuffer mask = bytes(reference, "attention_mask");
      ByteBuffer logits = bytes(reference, "logits");

      int[][] sequences = new int[rows][];
      int[] first = new int[rows]; // column of a row's first token
      for (int row = 0; row < rows; row++) {
        int[] all = new int[width];
        int n = 0;
        for (int column = 0; column < width; column++) {
          int at = (row * width + column) * Long.BYTES;
          if (mask.getLong(at) != 0) {
            if (n == 0) {
              first[row] = column;
            }
            all[n++] = (int) ids.getLong(at);
          }
        }
        sequences[row] = Arrays.copyOf(all, n);
      }
      DecoderDescription.Positions positions = model.decoder().description().positions();
      int steps = // a prompt has a token, and all that is seen in both directions
          Arrays.stream(sequences)
              .mapToInt(s -> s.length - 1 - SequencePositions.of(positions, s).context())
              .min()
              .orElseThrow();
      int[][] prompts = new int[rows][];
      Arrays.setAll(prompts, row -> Arrays.copyOf(sequences[row], sequences[row].length - steps));

      try (Sequences batch = decoder.start(prompts, 1)) { // the cache has to grow
        for (int step = 0; ; step++) {
          float[][] ours = batch.logits();
          for (int row = 0; row < rows; row++) {
            int column = first[row] + prompts[row].length + step - 1;
            int at = (row * width + column) * vocabulary;
            double largest = 0;
            for (int i = 0; i < vocabulary; i++) {
              double difference = ours[row][i] - logits.getFloat((at + i) * Float.BYTES);
              largest = Math.max(largest, Math.abs(difference));
            }
            assertThat(largest)
                .as("largest difference of logits, row %d, step %d", row, step)
                .isCloseTo(0, within(TOLERANCE));
          }
          if (step == steps) {
            break;
          }
          int[] next = new int[rows];
          for (int row = 0; row < rows; row++) {
            next[row] = sequences[row][prompts[row].length + step];
          }
          batch.append(next);
        }
      }
    }
  }

  private static ByteBuffer bytes(Checkpoint checkpoint, String name) {
    TensorInfo info = checkpoint.tensor(name);
    ByteBuffer bytes =
        ByteBuffer.allocate(Math.toIntExact(info.byteLength())).order(ByteOrder.LITTLE_ENDIAN);
    checkpoint.readBytes(name, bytes, 0);
    return bytes.flip().order(ByteOrder.LITTLE_ENDIAN);
  }
}
