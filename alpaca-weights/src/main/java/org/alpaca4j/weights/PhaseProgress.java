package org.alpaca4j.weights;

import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReentrantLock;
import org.alpaca4j.weights.ProgressListener.Phase;
import org.alpaca4j.weights.ProgressListener.Progress;

/** Counts the tensors of one phase and tells the listener. Thread-safe. */
final class PhaseProgress {
  private final Lock lock = new ReentrantLock();
  private final ProgressListener listener;
  private final Phase phase;
  private final int tensors;
  private final long elements;
  private int tensorsDone;
  private long elementsDone;

  /** Tells that the phase begins. */
  PhaseProgress(ProgressListener listener, Phase phase, int tensors, long elements) {
    this.listener = listener;
    this.phase = phase;
    this.tensors = tensors;
    this.elements = elements;
    tell("");
  }

  /** Tells that a tensor is completed. */
  void done(String tensor, long itsElements) {
    lock.lock();
    try {
      tensorsDone++;
      elementsDone += itsElements;
      tell(tensor);
    } finally {
      lock.unlock();
    }
  }

  private void tell(String tensor) {
    listener.progressed(new Progress(phase, tensor, tensorsDone, tensors, elementsDone, elements));
  }
}
