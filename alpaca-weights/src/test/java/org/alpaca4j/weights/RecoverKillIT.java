package org.alpaca4j.weights;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.alpaca4j.core.DType;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/**
 * Kills recoveries at random moments: {@code mvn -Pkill verify}, with {@code -Dkills=50} and {@code
 * -Dseed=…} (default: of the clock; printed).
 */
@Tag("kill")
class RecoverKillIT {
  private static final int ROWS = 800_000; // about 20 MB of weights
  private static final String MODEL = "recovered";

  @TempDir Path parent;
  private Path raw;
  private Path diff;
  private Path target;

  /** The child: recovers, after its first line told that it has begun. */
  static final class Child {
    private Child() {}

    public static void main(String[] folders) {
      System.out.println("begun");
      WeightDiff.builder()
          .maxShardBytes(3_000_000)
          .threads(2)
          .build()
          .recover(Path.of(folders[0]), Path.of(folders[1]), Path.of(folders[2]));
    }
  }

  @BeforeEach
  void makeADiff() {
    raw = TinyFolder.model(DType.BF16, ROWS, 1).maxShardBytes(3_000_000).write(parent.resolve("r"));
    Path tuned = TinyFolder.model(DType.BF16, ROWS + 1, 2).write(parent.resolve("t"));
    diff = parent.resolve("diff");
    WeightDiff.builder().maxShardBytes(3_000_000).build().make(raw, tuned, diff);
    target = parent.resolve("work").resolve(MODEL);
  }

  @Test
  void aKilledRecoveryLeavesNoModelOrTheWholeModel() throws Exception {
    int kills = Integer.getInteger("kills", 50);
    long seed = Long.getLong("seed", System.nanoTime());
    System.out.println("seed " + seed);
    Random random = new Random(seed);
    Times times = undisturbed();
    Map<String, String> expected = hashes(target);
    delete(target);

    int complete = 0;
    int leftovers = 0;
    for (int kill = 0; kill < kills; kill++) {
      List<String> before = entries();
      Process child = start("");
      child.getInputStream().read();
      if (kill % 2 == 0) { // at any moment
        await(child, times.whole * random.nextDouble());
      } else { // while it writes and renames, or just after
        awaitWriting(child, before);
        await(child, times.writing * 1.2 * random.nextDouble());
      }
      child.destroyForcibly().waitFor();
      if (Files.exists(target)) {
        assertThat(hashes(target)).as("seed %s, kill %s", seed, kill).isEqualTo(expected);
        complete++;
        delete(target);
      }
      leftovers += before.containsAll(entries()) ? 0 : 1;
    }
    System.out.printf(
        "%d kills within %d ms: %d left no model, %d the whole one; %d left something to clear%n",
        kills, (long) times.whole / 1_000_000, kills - complete, complete, leftovers);
    undisturbed();
    assertThat(hashes(target)).as("seed %s, afterwards", seed).isEqualTo(expected);
    assertThat(entries()).containsExactly(MODEL);
  }

  /** Nanoseconds from a child's first line to its end, and those from its first file on. */
  private record Times(double whole, double writing) {}

  /** Recovers in a child that is left in peace. */
  private Times undisturbed() throws Exception {
    List<String> before = entries();
    Process child = start("");
    child.getInputStream().read();
    long begun = System.nanoTime();
    awaitWriting(child, before);
    long writing = System.nanoTime();
    assertThat(child.waitFor()).isZero();
    long end = System.nanoTime();
    return new Times(end - begun, end - writing);
  }

  /** Waits until a child has put something new into the folder, or has ended. */
  private void awaitWriting(Process child, List<String> before) throws Exception {
    while (child.isAlive() && before.containsAll(entries())) {
      await(child, 1e5);
    }
  }

  private static void await(Process child, double nanoseconds) throws InterruptedException {
    child.waitFor((long) nanoseconds, TimeUnit.NANOSECONDS);
  }

  @Test
  @EnabledOnOs(OS.LINUX)
  void aFileThatCannotGrowIsNamedAndLeavesNothing() throws Exception {
    // The limit, in blocks of 512 bytes, does to a shard what a full disk does.
    Process child = start("ulimit -f 2000; ");
    String message = new String(child.getErrorStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(child.waitFor()).isEqualTo(1);
    assertThat(message).contains("Cannot write the checkpoint " + target, "tensor '", "too large");
    assertThat(entries()).isEmpty();
    undisturbed();
    assertThat(entries()).containsExactly(MODEL);
  }

  /** Starts a child, after a command of the shell. */
  private Process start(String limit) throws IOException {
    List<String> command = new ArrayList<>();
    if (!limit.isEmpty()) {
      command.addAll(List.of("sh", "-c", limit + "exec \"$0\" \"$@\""));
    }
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("-Xmx128m", "-cp", System.getProperty("java.class.path")));
    command.add(Child.class.getName());
    for (Path folder : List.of(raw, diff, target)) {
      command.add(folder.toString());
    }
    return new ProcessBuilder(command).start();
  }

  private List<String> entries() throws IOException {
    List<String> names = new ArrayList<>();
    if (Files.exists(target.getParent())) {
      try (Stream<Path> files = Files.list(target.getParent())) {
        files.forEach(file -> names.add(file.getFileName().toString()));
      }
    }
    return names;
  }

  private static Map<String, String> hashes(Path folder) throws IOException {
    Map<String, String> hashes = new TreeMap<>();
    try (Stream<Path> files = Files.list(folder)) {
      files.forEach(
          file -> {
            try {
              hashes.put(file.getFileName().toString(), Digest.sha256(Files.readAllBytes(file)));
            } catch (IOException e) {
              throw new UncheckedIOException(e);
            }
          });
    }
    return hashes;
  }

  private static void delete(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      for (Path file : files.toList()) {
        Files.delete(file);
      }
    }
    Files.delete(folder);
  }
}
