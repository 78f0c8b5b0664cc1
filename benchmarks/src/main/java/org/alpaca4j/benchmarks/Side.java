package org.alpaca4j.benchmarks;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.net.URISyntaxException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;

/** A process that measures something and prints a report: a fresh JVM, or Python. */
record Side(String name, List<String> command) {

  /** One of the programs of this package, in a fresh JVM on this program's class path. */
  static Side java(String name, Class<?> program, List<String> options, List<String> arguments) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(options);
    command.add("-cp");
    command.add(classPath());
    command.add(program.getName());
    command.addAll(arguments);
    return new Side(name, command);
  }

  /**
   * The class path: within {@code exec:java} Maven's own is in java.class.path, and ours is that of
   * a class loader with URLs.
   */
  private static String classPath() {
    ClassLoader loader = Side.class.getClassLoader();
    if (!(loader instanceof URLClassLoader withUrls)) {
      return System.getProperty("java.class.path");
    }
    return Arrays.stream(withUrls.getURLs())
        .map(Side::file)
        .collect(Collectors.joining(File.pathSeparator));
  }

  private static String file(URL url) {
    try {
      return Path.of(url.toURI()).toString();
    } catch (URISyntaxException e) {
      throw new IllegalStateException("class path entry " + url + " is no file", e);
    }
  }

  /** The field of a report that says how long the process lived. */
  static final String PROCESS_SECONDS = "process_seconds";

  /**
   * Runs the process and returns its report, the last line of its output that is a JSON object,
   * with {@link #PROCESS_SECONDS} added; its messages go to our standard error.
   *
   * @throws IllegalStateException if it fails or prints no report
   */
  JsonNode run(int threads) {
    Measuring.progress("--- " + name);
    ProcessBuilder builder =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT);
    builder.environment().put("OMP_NUM_THREADS", Integer.toString(threads));
    builder.environment().put("MKL_NUM_THREADS", Integer.toString(threads));
    builder.environment().put("RAYON_NUM_THREADS", Integer.toString(threads));
    builder.environment().put("PYTHONDONTWRITEBYTECODE", "1");
    builder.environment().put(Measuring.STARTED, Long.toString(System.currentTimeMillis()));
    try {
      long started = System.nanoTime();
      Process process = builder.start();
      String report = null;
      try (BufferedReader out = process.inputReader(StandardCharsets.UTF_8)) {
        for (String line = out.readLine(); line != null; line = out.readLine()) {
          if (line.startsWith("{")) {
            report = line;
          }
        }
      }
      int code = process.waitFor();
      double seconds = (System.nanoTime() - started) / 1e9;
      if (code != 0 || report == null) {
        throw new IllegalStateException(
            name + " ended with exit code " + code + (report == null ? ", no report" : ""));
      }
      Measuring.progress(report);
      return Measuring.json()
          .readValue(report, ObjectNode.class)
          .put(PROCESS_SECONDS, Measuring.round(seconds, 3));
    } catch (IOException e) {
      throw new IllegalStateException(name + " cannot be run: " + e.getMessage(), e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(name + ": interrupted", e);
    }
  }
}
