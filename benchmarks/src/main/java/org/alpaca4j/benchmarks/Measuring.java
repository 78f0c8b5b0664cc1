package org.alpaca4j.benchmarks;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.alpaca4j.data.InstructionReader;
import org.alpaca4j.data.InstructionRecord;
import picocli.CommandLine;

/** What every measuring program needs: its command line, clocks, memory, records, the report. */
final class Measuring {
  /** Environment variable with the wall-clock milliseconds at which this process was asked for. */
  static final String STARTED = "BENCHMARK_STARTED_MS";

  /** Steps, or runs, at the beginning that are not timed. */
  static final int NOT_TIMED = 2;

  private Measuring() {}

  /** Returns what reads and writes JSON; made on first use, since its classes take long to load. */
  static ObjectMapper json() {
    return Json.MAPPER;
  }

  private static final class Json {
    static final ObjectMapper MAPPER = new ObjectMapper();
  }

  /** Runs a command and ends the process with its exit code. */
  static void run(Callable<Integer> command, String... arguments) {
    int code =
        new CommandLine(command).setCaseInsensitiveEnumValuesAllowed(true).execute(arguments);
    System.out.flush();
    System.exit(code);
  }

  /** Sets the threads of the arithmetic; to be called before the engine starts. */
  static void useThreads(int threads) {
    System.setProperty("ai.djl.pytorch.num_threads", Integer.toString(threads));
  }

  /** Has the system write what it owes the disk, where it has the command for it. */
  static void sync() {
    try {
      new ProcessBuilder("sync").start().waitFor();
    } catch (IOException e) {
      progress("no sync: " + e.getMessage());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted", e);
    }
  }

  /** Reads the files of a folder, so that they are in the system's page cache where they fit. */
  static void warm(Path folder) {
    try (Stream<Path> files = Files.list(folder)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        Files.copy(file, OutputStream.nullOutputStream());
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Says what goes on, where it does not disturb the report. */
  static void progress(String line) {
    System.err.println(line);
  }

  /** Prints a report as the last line of the standard output. */
  static void emit(Map<String, Object> report) {
    try {
      System.out.println(json().writeValueAsString(report));
    } catch (JsonProcessingException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Seconds since this process was asked for; without a caller that says, since the JVM began. */
  static double secondsSinceStart() {
    String told = System.getenv(STARTED);
    double start =
        told != null
            ? Double.parseDouble(told)
            : ManagementFactory.getRuntimeMXBean().getStartTime();
    return (System.currentTimeMillis() - start) / 1e3;
  }

  /** Peak resident memory of this process so far in MiB; NaN where the system does not tell. */
  static double peakMegabytes() {
    Path status = Path.of("/proc/self/status");
    if (!Files.isReadable(status)) {
      return Double.NaN;
    }
    try {
      for (String line : Files.readAllLines(status)) {
        if (line.startsWith("VmHWM:")) {
          return Double.parseDouble(line.replaceAll("[^0-9]", "")) / 1024;
        }
      }
      return Double.NaN;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Reads records from a JSON array or, by the ending of its name, from JSON lines. */
  static List<InstructionRecord> records(Path file) {
    return file.toString().endsWith(".jsonl")
        ? InstructionReader.readJsonl(file)
        : InstructionReader.readJson(file);
  }

  static double median(Collection<Double> values) {
    double[] sorted = values.stream().mapToDouble(Double::doubleValue).sorted().toArray();
    if (sorted.length == 0) {
      return Double.NaN;
    }
    int middle = sorted.length / 2;
    return sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }

  /** Rounds for a report. */
  static double round(double value, int digits) {
    double factor = Math.pow(10, digits);
    return Double.isFinite(value) ? Math.round(value * factor) / factor : value;
  }
}
