package org.alpaca4j.weights;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import org.alpaca4j.core.Checkpoint;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.TensorInfo;
import org.alpaca4j.core.internal.FloatCodec;

/**
 * Makes the diff of one tensor, and finds out what it will recover to. For one thread; holds a few
 * pieces, never the tensor.
 */
final class TensorMaker {
  private final TensorPair pair;
  private final DType type;
  private final Checkpoint tuned;
  private final RawReader raw;
  private final ByteBuffer tunedBytes;
  private final Digest rawHash = Digest.sha256();
  private final Digest diffHash = Digest.sha256();
  private final Digest recoveredHash = Digest.sha256();
  private final float[] base = new float[RawReader.PIECE];
  private final float[] goal = new float[RawReader.PIECE];
  private final float[] difference = new float[RawReader.PIECE];
  private final float[] sum = new float[RawReader.PIECE];
  private double deviation;

  /**
   * Prepares.
   *
   * @param type that the tensor is recovered to
   */
  TensorMaker(TensorPair pair, DType type, Checkpoint raw, Checkpoint tuned) {
    this.pair = pair;
    this.type = type;
    this.tuned = tuned;
    this.raw = new RawReader(raw, pair, pair.raw().dtype());
    this.tunedBytes = ByteBuffer.allocate(RawReader.PIECE * pair.changed().dtype().bytes());
  }

  /** Returns the type of the integers that an exact diff of a tensor is stored in. */
  static DType residual(DType type) {
    return type == DType.F32 ? DType.I32 : DType.I16;
  }

  /** Returns the largest difference of a recovered weight from the tuned one. */
  double deviation() {
    return deviation;
  }

  private void readTuned(long offset, int count) {
    TensorInfo tensor = pair.changed();
    int width = tensor.dtype().bytes();
    tuned.readBytes(pair.name(), tunedBytes.clear().limit(count * width), offset * width);
    tunedBytes.flip();
  }

  /** Writes fp32 differences, rounded to the type. */
  DiffManifest.Entry subtract(WritableByteChannel out) throws IOException {
    boolean bf16 = pair.changed().dtype() == DType.BF16 && type == DType.BF16;
    Bf16Arithmetic quick = new Bf16Arithmetic();
    ByteBuffer stored = ByteBuffer.allocate(RawReader.PIECE * type.bytes());
    ByteBuffer recovered = ByteBuffer.allocate(RawReader.PIECE * type.bytes());
    long elements = pair.changed().elements();
    for (long offset = 0; offset < elements; offset += RawReader.PIECE) {
      int count = (int) Math.min(RawReader.PIECE, elements - offset);
      ByteBuffer rawBytes = raw.read(offset, count, rawHash);
      readTuned(offset, count);
      stored.clear().limit(count * type.bytes());
      recovered.clear().limit(count * type.bytes());
      boolean done =
          bf16
              && raw.isBf16(offset, count)
              && quick.make(tunedBytes, rawBytes, stored, recovered, count);
      if (!done) {
        subtract(offset, count, stored, recovered);
      }
      diffHash.update(stored);
      recoveredHash.update(recovered);
      out.write(stored);
    }
    deviation = Math.max(deviation, quick.deviation());
    return entry(type);
  }

  /** Computes the difference of what was read, and what it recovers to: any types, any values. */
  private void subtract(long offset, int count, ByteBuffer stored, ByteBuffer recovered) {
    raw.floats(offset, count, base);
    FloatCodec.decode(pair.changed().dtype(), tunedBytes, goal, 0, count);

    DiffArithmetic.subtract(goal, base, difference, count);
    int bad = DiffArithmetic.settle(difference, goal, base, count, type);
    refuseOverflow(bad, offset, goal, '-', base);
    round(difference, count, stored);

    DiffArithmetic.add(base, difference, sum, count);
    bad = DiffArithmetic.settle(sum, base, difference, count, type);
    refuseOverflow(bad, offset, base, '+', difference);
    round(sum, count, recovered);
    deviation = Math.max(deviation, DiffArithmetic.deviation(sum, goal, count));
  }

  /** Encodes values, and makes them what their encoding holds. */
  private void round(float[] values, int count, ByteBuffer stored) {
    FloatCodec.encode(type, values, 0, count, stored.clear());
    stored.flip();
    if (type != DType.F32) {
      FloatCodec.decode(type, stored.duplicate(), values, 0, count);
    }
  }

  private void refuseOverflow(int at, long offset, float[] left, char operator, float[] right) {
    if (at >= 0) {
      throw new CheckpointException(
          "element "
              + (offset + at)
              + " is "
              + left[at]
              + " "
              + operator
              + " "
              + right[at]
              + ", too large for "
              + type
              + "; choose F32 as dtype, or Mode.EXACT");
    }
  }

  /** Writes integer differences of bit patterns. */
  DiffManifest.Entry residual(WritableByteChannel out) throws IOException {
    ByteBuffer base = ByteBuffer.allocate(RawReader.PIECE * type.bytes());
    ByteBuffer stored = ByteBuffer.allocate(RawReader.PIECE * type.bytes());
    long elements = pair.changed().elements();
    for (long offset = 0; offset < elements; offset += RawReader.PIECE) {
      int count = (int) Math.min(RawReader.PIECE, elements - offset);
      raw.bits(offset, count, type, base, rawHash);
      readTuned(offset, count);
      recoveredHash.update(tunedBytes);
      DiffArithmetic.subtractBits(tunedBytes, base, stored, count, type.bytes());
      stored.clear().limit(count * type.bytes());
      diffHash.update(stored);
      out.write(stored);
    }
    return entry(residual(type));
  }

  private DiffManifest.Entry entry(DType stored) {
    long[] shape = pair.changed().shape();
    TensorInfo from = pair.raw();
    return new DiffManifest.Entry(
        new DiffManifest.Form(from.dtype(), from.shape(), rawHash.hex()),
        new DiffManifest.Form(stored, shape, diffHash.hex()),
        new DiffManifest.Form(type, shape, recoveredHash.hex()));
  }
}
