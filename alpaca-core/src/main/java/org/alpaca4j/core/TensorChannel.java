package org.alpaca4j.core;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import org.alpaca4j.core.BlockWriter.Block;
import org.alpaca4j.core.CheckpointWriter.Job;
import org.jspecify.annotations.Nullable;

/** What a source writes to: fills blocks, and refuses what is too much. */
final class TensorChannel implements WritableByteChannel {
  private final Job job;
  private final BlockWriter blocks;
  private @Nullable Block block;
  private long taken;
  private boolean open = true;

  TensorChannel(Job job, BlockWriter blocks) {
    this.job = job;
    this.blocks = blocks;
  }

  @Override
  public int write(ByteBuffer bytes) throws IOException {
    int length = bytes.remaining();
    long declared = job.tensor().byteLength();
    if (!open) {
      throw new IOException("the channel of '" + job.tensor().name() + "' is closed");
    }
    if (length > declared - taken) {
      throw new IOException("its source supplies more than the declared " + declared + " bytes");
    }
    while (bytes.hasRemaining()) {
      fill(bytes);
    }
    return length;
  }

  private void fill(ByteBuffer from) throws IOException {
    if (blocks.failure() != null) {
      throw new IOException("an earlier block cannot be written");
    }
    Block to = block;
    if (to == null) {
      to = blocks.begin(job.name(), job.file(), job.position() + taken);
      block = to;
    }
    int count = Math.min(from.remaining(), to.bytes().remaining());
    to.bytes().put(from.slice(from.position(), count));
    from.position(from.position() + count);
    taken += count;
    if (!to.bytes().hasRemaining()) {
      flush();
    }
  }

  private void flush() {
    if (block != null) {
      blocks.write(block);
      block = null;
    }
  }

  /** Writes what is left. */
  void finish() throws IOException {
    if (taken < job.tensor().byteLength()) {
      throw new IOException(
          "its source supplied " + taken + " bytes instead of " + job.tensor().byteLength());
    }
    flush();
  }

  @Override
  public boolean isOpen() {
    return open;
  }

  @Override
  public void close() {
    open = false;
    if (block != null) {
      blocks.drop(block);
      block = null;
    }
  }
}
