package org.alpaca4j.core.internal;

import java.util.Iterator;
import java.util.List;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;

/**
 * Does something with each item of a list, by several threads. The first failure keeps further
 * items from being begun and is thrown once no thread works any more, so that whoever catches it
 * may close or delete what the threads used.
 */
public final class ParallelTasks {
  private ParallelTasks() {}

  /** What is done with an item; called by several threads at once. */
  @FunctionalInterface
  public interface Task<T> {
    /** Does it. */
    void run(T item) throws Exception;
  }

  /**
   * Runs all tasks and waits for them. An interruption of the caller counts as a failure; the
   * threads themselves are never interrupted, which would close the files they read.
   *
   * @param threads at least 1; with 1 all is done by the caller's thread
   * @param items in the order in which they are begun
   * @throws Exception the first failure
   */
  public static <T> void forEach(int threads, List<T> items, Task<T> task) throws Exception {
    if (threads == 1 || items.size() <= 1) {
      for (T item : items) {
        task.run(item);
      }
      return;
    }
    Queue<T> queue = new Queue<>(items.iterator());
    Thread[] workers = new Thread[Math.min(threads, items.size())];
    for (int i = 0; i < workers.length; i++) {
      workers[i] = new Thread(() -> queue.work(task), "alpaca4j-task-" + i);
      workers[i].setDaemon(true);
      workers[i].start();
    }
    boolean interrupted = false;
    for (Thread worker : workers) {
      while (worker.isAlive()) {
        try {
          worker.join();
        } catch (InterruptedException e) {
          interrupted = true;
          queue.fail(new IllegalStateException("interrupted", e));
        }
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    Throwable failure = queue.failure();
    if (failure instanceof Error error) {
      throw error;
    }
    if (failure instanceof Exception exception) {
      throw exception;
    }
  }

  /** The items left, and the first failure. */
  private static final class Queue<T> {
    private final Lock lock = new ReentrantLock();
    private final Iterator<T> items;
    private @Nullable Throwable failure;

    Queue(Iterator<T> items) {
      this.items = items;
    }

    void work(Task<T> task) {
      for (T item = next(); item != null; item = next()) {
        try {
          task.run(item);
        } catch (Throwable e) { // Errors too: they are thrown in the caller's thread.
          fail(e);
        }
      }
    }

    private @Nullable T next() {
      lock.lock();
      try {
        return failure == null && items.hasNext() ? items.next() : null;
      } finally {
        lock.unlock();
      }
    }

    void fail(Throwable e) {
      lock.lock();
      try {
        if (failure == null) {
          failure = e;
        }
      } finally {
        lock.unlock();
      }
    }

    @Nullable Throwable failure() {
      lock.lock();
      try {
        return failure;
      } finally {
        lock.unlock();
      }
    }
  }
}
