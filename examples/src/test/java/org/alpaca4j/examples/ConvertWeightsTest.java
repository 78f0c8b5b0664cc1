package org.alpaca4j.examples;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import org.alpaca4j.core.Checkpoint;
import org.alpaca4j.core.DType;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ConvertWeightsTest {
  @TempDir Path folder;
  private String model;
  private Path target;

  @BeforeEach
  void makeModel() {
    model = TinyCheckpoint.write(folder.resolve("model")).toString();
    target = folder.resolve("converted");
  }

  private CommandRun convert(String... more) {
    String[] arguments = new String[4 + more.length];
    System.arraycopy(
        new String[] {"--input", model, "--output", target.toString()}, 0, arguments, 0, 4);
    System.arraycopy(more, 0, arguments, 4, more.length);
    return CommandRun.of(new ConvertWeights(), arguments);
  }

  @Test
  void convertsTypeAndShards() {
    CommandRun run = convert("--dtype", "bfloat16", "--max_shard_size", "20KB", "--threads", "2");

    assertThat(run.exitCode()).as(run.err()).isZero();
    assertThat(run.out()).contains("20 tensors");
    assertThat(target.resolve("model.safetensors.index.json")).exists();
    try (Checkpoint checkpoint = Checkpoint.open(target)) {
      assertThat(checkpoint.tensor("model.norm.weight").dtype()).isEqualTo(DType.BF16);
      assertThat(checkpoint.config().dtype()).hasValue(DType.BF16);
    }
  }

  @Test
  void refusesWhatItDoesNotKnow() {
    assertThat(convert("--dtype", "int8").exitCode()).isEqualTo(ExampleCommand.REFUSED);
    assertThat(convert("--max_shard_size", "5").exitCode()).isEqualTo(ExampleCommand.REFUSED);
    assertThat(convert("--threads", "0").exitCode()).isEqualTo(ExampleCommand.REFUSED);
  }

  @Test
  void aFailureIsAMessage() {
    convert();
    CommandRun again = convert();
    assertThat(again.exitCode()).isEqualTo(ExampleCommand.FAILED);
    assertThat(again.err()).contains("it exists");
  }
}
