package org.alpaca4j.core;

import com.google.common.util.concurrent.ThreadFactoryBuilder;
import com.google.common.util.concurrent.Uninterruptibles;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.ByteBuffer;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.jspecify.annotations.Nullable;

/**
 * Writes blocks of weight files in a thread of its own, so that the disk works at the same time as
 * those who compute what is written; they wait where it is slower. Thread-safe.
 */
final class BlockWriter implements AutoCloseable {
  private static final int MAX_BLOCK_BYTES = 1 << 22;
  private static final int BLOCKS_AHEAD = 2;

  private final BlockingQueue<ByteBuffer> free;
  private final ExecutorService writer;
  private volatile @Nullable Failure failure;

  /**
   * A part of a tensor, in memory.
   *
   * @param tensor whose it is, and in which file, for messages
   * @param file to write to
   * @param position in the file, of the first byte
   * @param bytes takes bytes until it is full; its position is aligned as that in the file
   */
  record Block(String tensor, ShardFile file, long position, ByteBuffer bytes) {}

  /**
   * Why a block was not written.
   *
   * @param tensor as in {@link Block}
   */
  record Failure(String tensor, IOException cause) {}

  /**
   * Starts.
   *
   * @param sources how many threads will each fill a block at a time
   * @param largest the size of the largest tensor in bytes
   */
  BlockWriter(int sources, long largest) {
    long enough = (largest / ShardFile.ALIGNMENT + 2) * ShardFile.ALIGNMENT;
    int size = (int) Math.min(MAX_BLOCK_BYTES, enough);
    free = new ArrayBlockingQueue<>(sources + BLOCKS_AHEAD);
    while (free.remainingCapacity() > 0) {
      free.add(
          ByteBuffer.allocateDirect(size + ShardFile.ALIGNMENT).alignedSlice(ShardFile.ALIGNMENT));
    }
    writer =
        Executors.newSingleThreadExecutor(
            new ThreadFactoryBuilder().setNameFormat("alpaca4j-writer").setDaemon(true).build());
  }

  /** Returns an empty block, once there is one. Afterwards {@link #write} or {@link #drop} it. */
  Block begin(String tensor, ShardFile file, long position) throws IOException {
    try {
      ByteBuffer bytes = free.take();
      return new Block(tensor, file, position, bytes.clear().position(lead(position)));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("interrupted");
    }
  }

  private static int lead(long position) {
    return (int) (position % ShardFile.ALIGNMENT);
  }

  /** Takes a block back that is not to be written. */
  void drop(Block block) {
    free.add(block.bytes);
  }

  /** Writes what a block was filled with, soon. After a failure nothing is written any more. */
  void write(Block block) {
    writer.execute(
        () -> {
          try {
            if (failure == null) {
              ByteBuffer bytes = block.bytes;
              block.file.write(bytes.flip().position(lead(block.position)), block.position);
            }
          } catch (IOException e) {
            failure = new Failure(block.tensor, e);
          } catch (RuntimeException | Error e) { // would end this thread, unnoticed
            failure = new Failure(block.tensor, new IOException(e.toString(), e));
          } finally {
            drop(block);
          }
        });
  }

  /** Returns the first failure so far. */
  @Nullable Failure failure() {
    return failure;
  }

  /** Waits until all is written, or has failed. */
  @Override
  public void close() {
    writer.shutdown();
    Uninterruptibles.awaitTerminationUninterruptibly(writer);
  }
}
