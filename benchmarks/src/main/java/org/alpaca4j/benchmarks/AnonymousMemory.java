package org.alpaca4j.benchmarks;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Watches this process's anonymous memory (RssAnon: without mapped files and page cache), of which
 * Linux keeps no high-water mark, by looking every ten milliseconds.
 */
final class AnonymousMemory implements AutoCloseable {
  private static final Path STATUS = Path.of("/proc/self/status");
  private static final long INTERVAL_MS = 10;

  private final Thread thread = new Thread(this::sample, "anonymous-memory");
  private volatile double peak = Double.NaN;

  private AnonymousMemory() {}

  static AnonymousMemory watch() {
    AnonymousMemory memory = new AnonymousMemory();
    memory.thread.setDaemon(true);
    memory.thread.start();
    return memory;
  }

  private void sample() {
    try {
      while (!Thread.currentThread().isInterrupted()) {
        look();
        Thread.sleep(INTERVAL_MS);
      }
    } catch (InterruptedException e) {
      // Closed: nothing is left to do.
    }
  }

  private synchronized void look() {
    if (!Files.isReadable(STATUS)) {
      return;
    }
    try {
      for (String line : Files.readAllLines(STATUS)) {
        if (line.startsWith("RssAnon:")) {
          double now = Double.parseDouble(line.replaceAll("[^0-9]", "")) / 1024;
          peak = peak >= now ? peak : now;
        }
      }
    } catch (IOException e) {
      Measuring.progress("Cannot read " + STATUS + ": " + e);
    }
  }

  /** Returns the peak so far in MiB; NaN where the system does not tell. */
  double peakMegabytes() {
    look();
    return peak;
  }

  @Override
  public void close() {
    thread.interrupt();
  }
}
