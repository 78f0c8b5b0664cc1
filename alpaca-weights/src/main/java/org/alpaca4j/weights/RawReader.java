package org.alpaca4j.weights;

import java.nio.ByteBuffer;
import org.alpaca4j.core.Checkpoint;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.TensorInfo;
import org.alpaca4j.core.internal.FloatCodec;

/**
 * Reads a raw tensor in pieces as a diff sees it: in a given type, and with as many rows as the
 * changed tensor. New rows are the mean of the stored ones, added up in fp64 in their order and
 * rounded to fp32. For one thread.
 */
final class RawReader {
  /** Weights that are worked on at a time: all arrays of a piece stay in the processor's cache. */
  static final int PIECE = 1 << 16;

  private static final long MAX_COLUMNS = 1 << 24;

  private final Checkpoint checkpoint;
  private final TensorInfo tensor;
  private final DType type;
  private final long stored;
  private final ByteBuffer storedBytes;
  private final ByteBuffer bytes;
  private final float[] values;
  private final float[] meanRow;

  /**
   * Prepares for reading; where there are new rows, computes them.
   *
   * @param type that values are rounded to first: the stored one, unless a diff was made from
   *     another file of the same model
   */
  RawReader(Checkpoint checkpoint, TensorPair pair, DType type) {
    this.checkpoint = checkpoint;
    this.tensor = pair.raw();
    this.type = type;
    this.stored = tensor.elements();
    this.storedBytes = ByteBuffer.allocate(PIECE * tensor.dtype().bytes());
    this.bytes = type == tensor.dtype() ? storedBytes : ByteBuffer.allocate(PIECE * type.bytes());
    this.values = new float[PIECE];
    this.meanRow = pair.hasNewRows() ? meanRow() : new float[0];
  }

  private float[] meanRow() {
    long columns = tensor.shape()[1];
    if (columns > MAX_COLUMNS) {
      throw new CheckpointException(
          "Tensor '" + tensor.name() + "' of " + tensor.file() + " has " + columns + " columns");
    }
    double[] sums = new double[(int) columns];
    int column = 0;
    for (long offset = 0; offset < stored; offset += PIECE) {
      int count = (int) Math.min(PIECE, stored - offset);
      readStored(offset, count);
      FloatCodec.decode(type, bytes, values, 0, count);
      for (int i = 0; i < count; i++) {
        sums[column] += values[i];
        column = column + 1 == sums.length ? 0 : column + 1;
      }
    }
    float[] mean = new float[sums.length];
    for (int i = 0; i < mean.length; i++) {
      mean[i] = (float) (sums[i] / tensor.shape()[0]);
    }
    return mean;
  }

  /** Reads stored values as {@link #type}, to the begin of {@link #bytes}. */
  private void readStored(long offset, int count) {
    int width = tensor.dtype().bytes();
    checkpoint.readBytes(tensor.name(), storedBytes.clear().limit(count * width), offset * width);
    storedBytes.flip();
    if (type != tensor.dtype()) {
      FloatCodec.decode(tensor.dtype(), storedBytes, values, 0, count);
      FloatCodec.encode(type, values, 0, count, bytes.clear());
      bytes.flip();
    }
  }

  /** Returns how many of {@code count} weights from {@code offset} on are stored, not new. */
  private int storedOf(long offset, int count) {
    return (int) Math.max(0, Math.min(count, stored - offset));
  }

  /**
   * Reads the stored ones of some weights, which {@link #floats} then returns.
   *
   * @param hash gets their bytes
   * @return their bytes, as {@link #type}; fewer than asked for where there are new rows
   */
  ByteBuffer read(long offset, int count, Digest hash) {
    bytes.clear().limit(0);
    int own = storedOf(offset, count);
    if (own > 0) {
      readStored(offset, own);
      hash.update(bytes);
    }
    return bytes;
  }

  /** Returns whether weights are all stored, and read as BF16. */
  boolean isBf16(long offset, int count) {
    return type == DType.BF16 && storedOf(offset, count) == count;
  }

  /** Returns the values of the weights that were {@linkplain #read read}, and those of new rows. */
  void floats(long offset, int count, float[] to) {
    int own = storedOf(offset, count);
    FloatCodec.decode(type, bytes.duplicate(), to, 0, own);
    newRows(offset, own, count, to);
  }

  private void newRows(long offset, int from, int count, float[] to) {
    if (from == count) {
      return;
    }
    int column = (int) ((offset + from) % meanRow.length);
    for (int i = from; i < count; i++) {
      to[i] = meanRow[column];
      column = column + 1 == meanRow.length ? 0 : column + 1;
    }
  }

  /**
   * Reads values rounded to a type, as bits: those stored in that type exactly as they are.
   *
   * @param to is filled from its begin and flipped
   */
  void bits(long offset, int count, DType as, ByteBuffer to, Digest hash) {
    int own = storedOf(offset, count);
    to.clear();
    read(offset, count, hash);
    if (as == type) {
      to.put(bytes);
    } else {
      FloatCodec.decode(type, bytes, values, 0, own);
      FloatCodec.encode(as, values, 0, own, to);
    }
    newRows(offset, own, count, values);
    FloatCodec.encode(as, values, own, count - own, to);
    to.flip();
  }

  /** Returns the hash of the stored values as {@link #type}. */
  String sha256() {
    Digest hash = Digest.sha256();
    for (long offset = 0; offset < stored; offset += PIECE) {
      read(offset, PIECE, hash);
    }
    return hash.hex();
  }
}
