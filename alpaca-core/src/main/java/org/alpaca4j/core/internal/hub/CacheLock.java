package org.alpaca4j.core.internal.hub;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;

/** One blob's lock, held against the other threads of this process and against other processes. */
final class CacheLock implements AutoCloseable {
  // A file lock belongs to the whole process: threads need one of their own.
  private static final ConcurrentMap<Path, ReentrantLock> THREADS = new ConcurrentHashMap<>();

  private static final long POLL_MILLIS = 50;

  private final ReentrantLock threads;
  private final FileChannel channel;

  private CacheLock(ReentrantLock threads, FileChannel channel) {
    this.threads = threads;
    this.channel = channel;
  }

  /** Waits until no other holds the lock. The file is left behind, as Python's library does. */
  static CacheLock acquire(Path file) throws IOException, InterruptedException {
    ReentrantLock threads = THREADS.computeIfAbsent(file, f -> new ReentrantLock());
    threads.lockInterruptibly();
    FileChannel channel = null;
    boolean locked = false;
    try {
      Files.createDirectories(file.resolveSibling(""));
      channel = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
      // Not by waiting in the system: for it two processes, of each of which one thread holds what
      // a
      // thread of the other waits for, are a deadlock, and it refuses the lock.
      while (channel.tryLock() == null) {
        TimeUnit.MILLISECONDS.sleep(POLL_MILLIS);
      }
      locked = true;
      return new CacheLock(threads, channel);
    } finally {
      if (!locked) {
        if (channel != null) {
          channel.close();
        }
        threads.unlock();
      }
    }
  }

  @Override
  public void close() throws IOException {
    try {
      channel.close(); // which gives the file's lock back
    } finally {
      threads.unlock();
    }
  }
}
