package org.alpaca4j.core.internal.model;

import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Who uses a model at a time: any number of threads read its weights, or one trains them and may
 * read them meanwhile. Closing ends what reads, waits for it, and frees the weights; where the
 * closing thread is itself among the users, its last use frees them.
 *
 * <p>Thread-safe.
 */
public final class ModelUse {
  private final String name;
  private final Runnable free;
  private final Map<Thread, Integer> readers = new HashMap<>();
  private @Nullable Thread trainer;
  private volatile boolean closing;
  private volatile boolean changed;
  private boolean freed;

  /** One use of the model, by the thread that began it. */
  @FunctionalInterface
  public interface Use extends AutoCloseable {
    @Override
    void close();
  }

  /**
   * Starts without users.
   *
   * @param name what messages call the model
   * @param free frees the weights; called once
   */
  public ModelUse(String name, Runnable free) {
    this.name = name;
    this.free = free;
  }

  /**
   * Begins to read the weights.
   *
   * @throws IllegalStateException if the model is closed, or another thread trains it
   */
  public synchronized Use read() {
    requireOpen();
    Thread thread = Thread.currentThread();
    if (trainer != null && trainer != thread) {
      throw new IllegalStateException(
          "the model of "
              + name
              + " is in training, by the thread \""
              + trainer.getName()
              + "\", and its weights change: use it when train() has returned, or from a listener"
              + " of the training");
    }
    readers.merge(thread, 1, Integer::sum);
    return () -> ended(thread);
  }

  /**
   * Begins to train the weights.
   *
   * @throws IllegalStateException if the model is closed, in training, or read
   */
  public Use train() {
    return change("training");
  }

  /**
   * Begins to change what is computed.
   *
   * @param how for messages, such as "training"
   * @throws IllegalStateException if the model is closed, in training, or read
   */
  public synchronized Use change(String how) {
    requireOpen();
    if (trainer != null) {
      throw new IllegalStateException(
          "the model of "
              + name
              + " is in training already, by the thread \""
              + trainer.getName()
              + "\": begin when that train() has returned");
    }
    if (!readers.isEmpty()) {
      throw new IllegalStateException(
          "the model of "
              + name
              + " is in use by the thread \""
              + readers.keySet().iterator().next().getName()
              + "\", and "
              + how
              + " would change its weights: begin when that call has returned");
    }
    Thread thread = Thread.currentThread();
    trainer = thread;
    changed = true;
    return this::trained;
  }

  private synchronized void ended(Thread thread) {
    readers.computeIfPresent(thread, (key, count) -> count == 1 ? null : count - 1);
    freeIfUnused();
  }

  private synchronized void trained() {
    trainer = null;
    freeIfUnused();
  }

  private void freeIfUnused() {
    if (closing && !freed && readers.isEmpty() && trainer == null) {
      freed = true;
      free.run();
    }
    notifyAll();
  }

  /**
   * Refuses a closed model.
   *
   * @throws IllegalStateException if the model is closed
   */
  public void requireOpen() {
    if (closing) {
      throw new IllegalStateException(
          "the model of " + name + " is closed: load it again, or close it later");
    }
  }

  /** Returns whether a training was begun: the weights may no longer be those that were loaded. */
  public boolean isChanged() {
    return changed;
  }

  /** Returns whether the model is to be closed: what reads it for long has to end. */
  public boolean isClosing() {
    return closing;
  }

  /** Closes the model; harmless if it is closed. */
  public synchronized void close() {
    closing = true;
    freeIfUnused();
    Thread thread = Thread.currentThread();
    boolean interrupted = false;
    while (!freed && !readers.containsKey(thread) && trainer != thread) {
      try {
        wait();
      } catch (InterruptedException e) {
        interrupted = true; // weights that a call still reads must not be freed
      }
    }
    if (interrupted) {
      thread.interrupt();
    }
  }
}
