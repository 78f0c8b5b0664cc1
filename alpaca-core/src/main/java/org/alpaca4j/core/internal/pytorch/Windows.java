package org.alpaca4j.core.internal.pytorch;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.util.concurrent.atomic.AtomicReferenceArray;

/**
 * Bytes that can be read at any place: a file, mapped 1 GiB at a time as it is touched, or an
 * array. A value of up to eight bytes that begins in a window lies in it as a whole. Thread-safe.
 */
public final class Windows {
  private static final int SHIFT = 30;
  private static final long WINDOW_BYTES = 1L << SHIFT;
  private static final int OVERLAP_BYTES = Long.BYTES;

  private final ByteOrder order;
  private final long bytes;
  private final MapFunction map;
  private final AtomicReferenceArray<ByteBuffer> mapped;

  private interface MapFunction {
    ByteBuffer map(long offset, long bytes) throws IOException;
  }

  private Windows(ByteOrder order, long bytes, MapFunction map) {
    this.order = order;
    this.bytes = bytes;
    this.map = map;
    this.mapped = new AtomicReferenceArray<>((int) ((bytes + WINDOW_BYTES - 1) >> SHIFT));
  }

  /** Returns the windows of a file, whose values are in the given order. */
  public static Windows of(FileChannel channel, ByteOrder order) throws IOException {
    return new Windows(
        order,
        channel.size(),
        (offset, length) -> channel.map(FileChannel.MapMode.READ_ONLY, offset, length));
  }

  /** Returns the one window of an array of at most 1 GiB. */
  static Windows of(byte[] array, ByteOrder order) {
    return new Windows(order, array.length, (offset, length) -> ByteBuffer.wrap(array));
  }

  /**
   * Returns the window in which a position lies, position 0 of it being that of {@link #begin}.
   * Shared: use absolute reads alone.
   */
  ByteBuffer containing(long position) throws IOException {
    int index = (int) (position >> SHIFT);
    ByteBuffer window = mapped.get(index);
    if (window == null) {
      long begin = begin(position);
      window = map.map(begin, Math.min(bytes - begin, WINDOW_BYTES + OVERLAP_BYTES)).order(order);
      mapped.set(index, window);
    }
    return window;
  }

  static long begin(long position) {
    return position & -WINDOW_BYTES;
  }

  /** Returns how many values, {@code step} bytes apart, begin in the window of the first. */
  static long inWindow(long position, long step) {
    long left = WINDOW_BYTES - (position & (WINDOW_BYTES - 1));
    return step == 0 ? Long.MAX_VALUE : (left - 1) / step + 1;
  }

  ByteOrder order() {
    return order;
  }
}
