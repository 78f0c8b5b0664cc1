package org.alpaca4j.core.fuzz;

import java.lang.management.BufferPoolMXBean;
import java.lang.management.ManagementFactory;
import java.util.Locale;
import java.util.concurrent.Callable;

/**
 * Measures what one operation of a reader allocates, garbage included: on the heap by the calling
 * thread, and direct buffers. Permitted are a fixed number of bytes (buffers, exceptions with their
 * stack traces) and {@link #PER_BYTE} for each byte of the case's files.
 */
public final class Meter {
  /**
   * Bytes that each byte of a file may cost. An object for each byte of a pickle costs some 40; a
   * tensor may be 16 times as large as its file, and inflated to as much before.
   */
  public static final int PER_BYTE = 64;

  private static final com.sun.management.ThreadMXBean THREADS =
      (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
  private static final BufferPoolMXBean DIRECT =
      ManagementFactory.getPlatformMXBeans(BufferPoolMXBean.class).stream()
          .filter(pool -> pool.getName().equals("direct"))
          .findFirst()
          .orElseThrow();

  private final long baseBytes;
  private int number;
  private long fileBytes;
  private String excess = "";
  private double largestRatio;
  private String largest = "nothing allocated";

  Meter(long baseBytes) {
    this.baseBytes = baseBytes;
  }

  void begin(int caseNumber, long bytes) {
    number = caseNumber;
    fileBytes = bytes;
    excess = "";
  }

  /** Runs an operation. */
  public <T> T measure(String what, Callable<T> operation) throws Exception {
    long direct = DIRECT.getMemoryUsed();
    long heap = THREADS.getThreadAllocatedBytes(Thread.currentThread().getId());
    try {
      return operation.call();
    } finally {
      long allocated = THREADS.getThreadAllocatedBytes(Thread.currentThread().getId()) - heap;
      allocated += Math.max(0, DIRECT.getMemoryUsed() - direct);
      check(what, allocated);
    }
  }

  private void check(String what, long allocated) {
    long permitted = baseBytes + PER_BYTE * fileBytes;
    if (allocated > permitted) {
      excess =
          what
              + " allocated "
              + allocated
              + " bytes for files of "
              + fileBytes
              + "; permitted "
              + permitted;
    } else if ((double) allocated / permitted > largestRatio) {
      largestRatio = (double) allocated / permitted;
      largest =
          String.format(
              Locale.ROOT,
              "most allocated, by permitted: %.2f (case %d, %s, %d for %d bytes)",
              largestRatio,
              number,
              what,
              allocated,
              fileBytes);
    }
  }

  /** Returns the operation that allocated too much since the case began; empty if none did. */
  String excess() {
    return excess;
  }

  @Override
  public String toString() {
    return largest;
  }
}
