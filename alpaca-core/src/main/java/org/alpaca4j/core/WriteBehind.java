package org.alpaca4j.core;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Forces files to the disk while they are still being written, so that the disk works at the same
 * time as the processor and little is left to wait for at the end. Thread-safe.
 */
final class WriteBehind implements AutoCloseable {
  private static final long EVERY_BYTES = 1 << 26;

  private final List<FileChannel> channels;
  private final AtomicLong unforced = new AtomicLong();
  private final Lock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private final Thread thread;
  private boolean closed;
  private @Nullable IOException failure;

  private WriteBehind(List<FileChannel> channels) {
    this.channels = List.copyOf(channels);
    this.thread = new Thread(this::work, "alpaca4j-write-behind");
    thread.setDaemon(true);
  }

  /** Starts. */
  static WriteBehind of(List<FileChannel> channels) {
    WriteBehind behind = new WriteBehind(channels);
    behind.thread.start();
    return behind;
  }

  /** Takes note that so many bytes more were written to one of the files. */
  void written(long bytes) {
    if (unforced.addAndGet(bytes) >= EVERY_BYTES) {
      signal(false);
    }
  }

  private void signal(boolean close) {
    lock.lock();
    try {
      closed |= close;
      changed.signalAll();
    } finally {
      lock.unlock();
    }
  }

  private void work() {
    try {
      while (awaitBytes()) {
        unforced.set(0);
        for (FileChannel channel : channels) {
          channel.force(false);
        }
      }
    } catch (IOException e) {
      lock.lock();
      try {
        failure = e;
      } finally {
        lock.unlock();
      }
    }
  }

  private boolean awaitBytes() {
    lock.lock();
    try {
      while (!closed && unforced.get() < EVERY_BYTES) {
        changed.awaitUninterruptibly();
      }
      return !closed;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Stops.
   *
   * @throws IOException if forcing failed: the system tells of a lost write only once, so that the
   *     last force may know nothing of it
   */
  void finish() throws IOException {
    close();
    lock.lock();
    try {
      if (failure != null) {
        throw failure;
      }
    } finally {
      lock.unlock();
    }
  }

  /** Stops, and waits until no file is being forced. */
  @Override
  public void close() {
    signal(true);
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
