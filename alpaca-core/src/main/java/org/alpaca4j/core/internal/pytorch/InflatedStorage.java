package org.alpaca4j.core.internal.pytorch;

import java.io.IOException;
import java.lang.ref.SoftReference;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import org.jspecify.annotations.Nullable;

/**
 * A storage whose entry is compressed, which {@code torch.save} never does but a zip program may.
 * It is inflated as a whole when first read, checked by its CRC, and kept while memory allows.
 * Thread-safe.
 */
public final class InflatedStorage {
  private final FileChannel channel;
  private final Extent extent;
  private final ByteOrder order;
  private @Nullable SoftReference<Windows> inflated;

  /** Nothing is read yet. */
  public InflatedStorage(FileChannel channel, Extent extent, ByteOrder order) {
    this.channel = channel;
    this.extent = extent;
    this.order = order;
  }

  /** Returns its bytes. */
  public synchronized Windows windows() throws IOException {
    Windows windows = inflated == null ? null : inflated.get();
    if (windows == null) {
      windows = Windows.of(Inflation.inflate(channel, extent), order);
      inflated = new SoftReference<>(windows);
    }
    return windows;
  }
}
