package org.alpaca4j.weights;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.util.List;
import org.alpaca4j.core.Checkpoint;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.internal.FloatCodec;
import org.jspecify.annotations.Nullable;

/**
 * Recovers one tensor: reads raw and diff, hashes the diff and the result on the way, and compares
 * them with the manifest at the end. For one thread; holds a few pieces, never the tensor.
 */
final class TensorRecoverer {
  private final TensorPair pair;
  private final DiffManifest.@Nullable Entry expected;
  private final DType output;
  private final boolean summed;
  private final Checkpoint diff;
  private final RawReader raw;
  private final ByteBuffer diffBytes;
  private final ByteBuffer written;
  private final float[] base = new float[RawReader.PIECE];
  private final float[] difference = new float[RawReader.PIECE];
  private final float[] values = new float[RawReader.PIECE];
  private double sum;

  /**
   * Prepares.
   *
   * @param expected what the manifest says; null for a diff without one
   * @param output the type to write
   * @param summed whether {@link #sum()} is wanted
   */
  TensorRecoverer(
      TensorPair pair,
      DiffManifest.@Nullable Entry expected,
      DType output,
      boolean summed,
      Checkpoint raw,
      Checkpoint diff) {
    this.pair = pair;
    this.expected = expected;
    this.output = output;
    this.summed = summed;
    this.diff = diff;
    DType rawType = expected == null ? pair.raw().dtype() : expected.raw().dtype();
    this.raw = new RawReader(raw, pair, rawType);
    this.diffBytes = ByteBuffer.allocate(RawReader.PIECE * pair.changed().dtype().bytes());
    this.written = ByteBuffer.allocate(RawReader.PIECE * output.bytes());
  }

  /** Returns the sum of the recovered values in fp32, taken in fp64; 0 if it was not wanted. */
  double sum() {
    return sum;
  }

  /** Recovers what a diff in fp32 arithmetic holds. */
  void add(WritableByteChannel out) throws IOException {
    DType type = expected == null ? output : expected.recovered().dtype();
    Digest diffHash = expected == null ? Digest.NONE : Digest.sha256();
    Digest hash = expected == null ? Digest.NONE : Digest.sha256();
    boolean bf16 = pair.changed().dtype() == DType.BF16 && type == DType.BF16 && output == type;
    Bf16Arithmetic quick = new Bf16Arithmetic();
    ByteBuffer result =
        type == output ? written : ByteBuffer.allocate(RawReader.PIECE * type.bytes());
    long elements = pair.changed().elements();
    for (long offset = 0; offset < elements; offset += RawReader.PIECE) {
      int count = (int) Math.min(RawReader.PIECE, elements - offset);
      readDiff(offset, count);
      diffHash.update(diffBytes);
      ByteBuffer rawBytes = raw.read(offset, count, Digest.NONE);
      result.clear().limit(count * type.bytes());
      boolean done =
          bf16
              && !summed
              && raw.isBf16(offset, count)
              && quick.add(rawBytes, diffBytes, result, count);
      if (!done) {
        int bad = add(offset, count);
        if (bad >= 0) {
          // A wrong diff may overflow as well, and says more.
          finish(diffHash, offset + count, elements);
          throw tooLarge(offset + bad, values[bad]);
        }
        encode(type, result, count);
      }
      hash.update(result);
      if (type != output) {
        encode(output, written, count);
      }
      out.write(written);
    }
    compare(diffHash, hash);
  }

  /**
   * Adds what was read: any types, any values. Returns the index of the first value that is too
   * large for the output, or -1.
   */
  private int add(long offset, int count) {
    raw.floats(offset, count, base);
    FloatCodec.decode(pair.changed().dtype(), diffBytes, difference, 0, count);
    DiffArithmetic.add(base, difference, values, count);
    int bad = DiffArithmetic.settle(values, base, difference, count, output);
    if (bad < 0) {
      sumUp(count);
    }
    return bad;
  }

  /** Recovers what an exact diff holds. */
  void addBits(WritableByteChannel out) throws IOException {
    if (expected == null) {
      throw new IllegalStateException("an exact diff has a manifest");
    }
    DType type = expected.recovered().dtype();
    Digest diffHash = Digest.sha256();
    Digest hash = Digest.sha256();
    ByteBuffer rawBits = ByteBuffer.allocate(RawReader.PIECE * type.bytes());
    ByteBuffer result =
        type == output ? written : ByteBuffer.allocate(RawReader.PIECE * type.bytes());
    long elements = pair.changed().elements();
    for (long offset = 0; offset < elements; offset += RawReader.PIECE) {
      int count = (int) Math.min(RawReader.PIECE, elements - offset);
      readDiff(offset, count);
      diffHash.update(diffBytes);
      raw.bits(offset, count, type, rawBits, Digest.NONE);
      DiffArithmetic.addBits(rawBits, diffBytes, result, count, type.bytes());
      result.clear().limit(count * type.bytes());
      hash.update(result);
      if (summed || type != output) {
        FloatCodec.decode(type, result.duplicate(), values, 0, count);
        sumUp(count);
      }
      if (type != output) {
        int bad = DiffArithmetic.settle(values, values, values, count, output);
        if (bad >= 0) {
          finish(diffHash, offset + count, elements);
          throw tooLarge(offset + bad, values[bad]);
        }
        encode(output, written, count);
      }
      out.write(written);
    }
    compare(diffHash, hash);
  }

  private void readDiff(long offset, int count) {
    int width = pair.changed().dtype().bytes();
    diff.readBytes(pair.name(), diffBytes.clear().limit(count * width), offset * width);
    diffBytes.flip();
  }

  private void encode(DType type, ByteBuffer to, int count) {
    FloatCodec.encode(type, values, 0, count, to.clear());
    to.flip();
  }

  private void sumUp(int count) {
    if (summed) {
      sum += DiffArithmetic.sum(values, count);
    }
  }

  /** Hashes the rest of the diff, and refuses it if it is not the manifest's. */
  private void finish(Digest diffHash, long from, long elements) {
    for (long offset = from; offset < elements; offset += RawReader.PIECE) {
      readDiff(offset, (int) Math.min(RawReader.PIECE, elements - offset));
      diffHash.update(diffBytes);
    }
    compareDiff(diffHash);
  }

  private CheckpointException tooLarge(long at, float value) {
    return new CheckpointException(
        "element " + at + " is " + value + ", too large for " + output + "; choose F32 as dtype");
  }

  private void compare(Digest diffHash, Digest hash) {
    compareDiff(diffHash);
    if (expected != null && !hash.hex().equals(expected.recovered().sha256())) {
      throw new IntegrityException(
          "Tensor '"
              + pair.name()
              + "' was recovered to other weights than the manifest's, though raw and diff are"
              + " right: the raw file was changed meanwhile, or this machine computes wrongly",
          List.of(pair.name()));
    }
  }

  private void compareDiff(Digest diffHash) {
    if (expected != null && !diffHash.hex().equals(expected.diff().sha256())) {
      throw new IntegrityException(
          "Tensor '"
              + pair.name()
              + "' of the diff in "
              + pair.changed().file()
              + " is damaged: its SHA-256 is not the manifest's; fetch the diff again",
          List.of(pair.name()));
    }
  }
}
