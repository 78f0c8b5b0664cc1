package org.alpaca4j.core;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Collection;

/**
 * One file of weights, opened and validated. Thread-safe. A further format is a further
 * implementation, chosen in {@link Checkpoint#open}.
 */
interface TensorContainer extends AutoCloseable {
  /** Returns the file. */
  Path file();

  /** Returns every tensor of the file; names are unique. */
  Collection<TensorInfo> tensors();

  /**
   * Fills {@code destination} from byte {@code offset} of the tensor on; the caller has checked
   * that so many bytes belong to the tensor.
   */
  void read(TensorInfo tensor, ByteBuffer destination, long offset) throws IOException;

  /**
   * Returns whether the file holds the tensor's bytes from {@link TensorInfo#offset} on, just as
   * they are read.
   */
  boolean isInPlace(TensorInfo tensor);

  /**
   * Returns the tensor's bytes, mapped where they are in place, else copied; at most {@link
   * Integer#MAX_VALUE} of them.
   */
  ByteBuffer map(TensorInfo tensor) throws IOException;

  @Override
  void close() throws IOException;
}
