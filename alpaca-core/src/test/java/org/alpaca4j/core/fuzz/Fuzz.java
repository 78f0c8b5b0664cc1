package org.alpaca4j.core.fuzz;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.stream.Stream;
import org.alpaca4j.core.AlpacaException;

/**
 * Runs a reader on many mutated files. Whatever is in them, it must return or throw an {@link
 * AlpacaException}, within five seconds, and allocate no more than {@link Meter} permits.
 *
 * <p>A case is made from {@code fuzz.seed} and its number alone: {@code -Dfuzz.seed=S
 * -Dfuzz.case=N} runs one again. Files of failed cases are kept in {@code target/fuzz}; those of a
 * case that ends the JVM remain in the folder that is printed at the start.
 */
public final class Fuzz {
  private static final long SEED = Long.getLong("fuzz.seed", System.nanoTime() % 1_000_000);
  private static final int FILES = Integer.getInteger("fuzz.files", 200_000);
  private static final int ONLY = Integer.getInteger("fuzz.case", -1);
  private static final int TICK_MILLIS = 100;
  private static final int MAX_TICKS = 50;
  private static final int MAX_FAILURES = 10;

  /** Makes the files of a case by name, all of its randomness from the argument. */
  @FunctionalInterface
  public interface Source {
    Map<String, byte[]> files(Random random);
  }

  /** Reads the files of a case. */
  @FunctionalInterface
  public interface Reader {
    void read(Path folder, Meter meter) throws Exception;
  }

  private final String name;
  private final Source source;
  private final Reader reader;
  private final Meter meter;
  private final Path folder;
  private final Map<String, byte[]> present = new HashMap<>();
  private final List<String> failures = new ArrayList<>();
  private int accepted;
  private int refused;
  private int slowest;
  private long slowestNanos;

  /** The case that is running; read by the watching thread. */
  private volatile int current = -1;

  private Fuzz(String name, Source source, Reader reader, long baseBytes) {
    this.name = name;
    this.source = source;
    this.reader = reader;
    this.meter = new Meter(baseBytes);
    Path memory = Path.of("/dev/shm");
    try {
      this.folder =
          Files.isWritable(memory)
              ? Files.createTempDirectory(memory, "alpaca4j-fuzz")
              : Files.createTempDirectory("alpaca4j-fuzz");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Runs the cases of one kind of file and fails if one of them does.
   *
   * @param percent how many cases, in percent of {@code fuzz.files}
   * @param baseBytes what an operation may allocate for a file of no length
   */
  public static void run(
      String name, double percent, long baseBytes, Source source, Reader reader) {
    int cases = (int) Math.ceil(FILES * percent / 100);
    Fuzz fuzz = new Fuzz(name, source, reader, baseBytes);
    System.out.printf("fuzz %s: seed %d, %d files in %s%n", name, SEED, cases, fuzz.folder);
    fuzz.run(ONLY < 0 ? 0 : ONLY, ONLY < 0 ? cases : ONLY + 1);
  }

  private void run(int from, int to) {
    long start = System.nanoTime();
    Thread worker = new Thread(() -> work(from, to), "fuzz " + name);
    worker.setDaemon(true);
    worker.start();
    watch(worker);
    System.out.printf(
        Locale.ROOT,
        "fuzz %s: seed %d, %d read, %d refused, %d failed in %.0f s; slowest case %d %.0f ms; %s%n",
        name,
        SEED,
        accepted,
        refused,
        failures.size(),
        (System.nanoTime() - start) / 1e9,
        slowest,
        slowestNanos / 1e6,
        meter);
    deleteRecursively(folder);
    if (!failures.isEmpty()) {
      throw new AssertionError(String.join("\n\n", failures));
    }
  }

  /** Counts its own ticks, not the clock's, so that a process that was stopped has not hung. */
  private void watch(Thread worker) {
    int seen = -1;
    int ticks = 0;
    try {
      while (worker.isAlive()) {
        worker.join(TICK_MILLIS);
        ticks = seen == current ? ticks + 1 : 0;
        seen = current;
        if (ticks > MAX_TICKS) {
          String stack = String.join("\n  at ", strings(worker.getStackTrace()));
          throw new AssertionError(describe(seen) + " hangs; files are in " + folder + stack);
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private static List<String> strings(Object[] values) {
    return Arrays.stream(values).map(String::valueOf).toList();
  }

  private void work(int from, int to) {
    for (int number = from; number < to && failures.size() < MAX_FAILURES; number++) {
      current = number;
      try {
        Map<String, byte[]> files = source.files(random(number));
        write(files);
        if (!passes(number)) {
          keep(number, files);
        }
      } catch (Throwable e) {
        failures.add(describe(number) + " could not be made: " + stack(e));
      }
    }
  }

  private static Random random(int number) {
    // Neighbouring seeds give neighbouring first numbers: mix them.
    long mixed = (SEED * 1_000_003 + number) * 0x9e3779b97f4a7c15L;
    return new Random(mixed ^ mixed >>> 32);
  }

  private boolean passes(int number) {
    int before = failures.size();
    long start = System.nanoTime();
    attempt(number);
    long nanos = System.nanoTime() - start;
    if (nanos > slowestNanos) {
      slowestNanos = nanos;
      slowest = number;
    }
    return failures.size() == before;
  }

  private void attempt(int number) {
    long bytes = present.values().stream().mapToLong(file -> file.length).sum();
    for (int attempt = 0; ; attempt++) {
      meter.begin(number, bytes);
      boolean read = false;
      try {
        reader.read(folder, meter);
        read = true;
      } catch (AlpacaException expected) {
        // As documented.
      } catch (Throwable e) {
        failures.add(describe(number) + ": " + stack(e));
        return;
      }
      if (meter.excess().isEmpty()) {
        accepted += read ? 1 : 0;
        refused += read ? 0 : 1;
        return;
      }
      if (attempt == 2) { // the first ones may have loaded classes
        failures.add(describe(number) + ": " + meter.excess());
        return;
      }
    }
  }

  private String describe(int number) {
    return name + " -Dfuzz.seed=" + SEED + " -Dfuzz.case=" + number;
  }

  private static String stack(Throwable e) {
    StringBuilder text = new StringBuilder(e.toString());
    Arrays.stream(e.getStackTrace())
        .limit(12)
        .forEach(frame -> text.append("\n  at ").append(frame));
    return text.toString();
  }

  private void write(Map<String, byte[]> files) throws IOException {
    for (Map.Entry<String, byte[]> file : files.entrySet()) {
      if (file.getValue() != present.get(file.getKey())) {
        Files.write(folder.resolve(file.getKey()), file.getValue());
        present.put(file.getKey(), file.getValue());
      }
    }
    for (String old : List.copyOf(present.keySet())) {
      if (!files.containsKey(old)) {
        Files.delete(folder.resolve(old));
        present.remove(old);
      }
    }
  }

  private void keep(int number, Map<String, byte[]> files) throws IOException {
    Path kept = Path.of("target", "fuzz", name + "-" + SEED + "-" + number);
    Files.createDirectories(kept);
    for (Map.Entry<String, byte[]> file : files.entrySet()) {
      Files.write(kept.resolve(file.getKey()), file.getValue());
    }
  }

  /** Deletes a folder with all that is in it, or does nothing if it does not exist. */
  public static void deleteRecursively(Path folder) {
    if (!Files.exists(folder)) {
      return;
    }
    try (Stream<Path> all = Files.walk(folder)) {
      for (Path path : all.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(path);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
