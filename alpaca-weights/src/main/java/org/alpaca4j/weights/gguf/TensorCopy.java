package org.alpaca4j.weights.gguf;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.util.List;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.internal.FloatCodec;

/**
 * A tensor on its way from one file to another, in pieces: rows reordered, elements converted.
 *
 * @param name what messages call it
 * @param shape its dimensions, rows first
 * @param source supplies stored bytes
 * @param from the type they are stored in
 * @param to the type to write
 * @param order what happens to rows
 * @param headRows how many neighbouring rows are reordered among themselves
 */
record TensorCopy(
    String name,
    List<Long> shape,
    Source source,
    GgufType from,
    GgufType to,
    RowOrder order,
    int headRows) {
  private static final int PIECE_ELEMENTS = 1 << 18;
  private static final long MAX_HEAD_BYTES = 1 << 29;

  /** Supplies a tensor's bytes. */
  @FunctionalInterface
  interface Source {
    /**
     * Fills the buffer.
     *
     * @param offset the first byte, counted from the tensor's begin
     */
    void read(long offset, ByteBuffer destination) throws IOException;
  }

  /**
   * How rows of a query or key projection are ordered. Rotary embeddings turn pairs of a head's
   * rows: transformers pairs row i with row i + half, ggml's llama kernel pairs neighbours. See
   * {@code LlamaModel.permute} in llama.cpp's conversion.
   */
  enum RowOrder {
    /** Stays as it is. */
    KEPT,
    /** From halves to neighbours. */
    TO_NEIGHBOURS,
    /** From neighbours to halves. */
    TO_HALVES;

    /** Returns the row that comes to {@code row} of a head. */
    int sourceOf(int row, int headRows) {
      int half = headRows / 2;
      return switch (this) {
        case KEPT -> row;
        case TO_NEIGHBOURS -> row % 2 * half + row / 2;
        case TO_HALVES -> row % half * 2 + row / half;
      };
    }
  }

  /**
   * Writes the tensor.
   *
   * @throws CheckpointException if a value is too large for the type to write, or rows are too long
   */
  void writeTo(WritableByteChannel out) throws IOException {
    long total = shape.stream().reduce(1L, Math::multiplyExact);
    boolean ordered = order != RowOrder.KEPT;
    long headElements = ordered ? total / shape.get(0) * headRows : 0;
    if (headElements > MAX_HEAD_BYTES / 4) {
      throw new CheckpointException(
          "Tensor '" + name + "' " + shape + " has rows too long to move");
    }
    int piece = (int) Math.min(total, ordered ? headElements : PIECE_ELEMENTS);
    boolean converted = from != to;
    byte[] stored = new byte[(int) from.bytes(piece)];
    byte[] reordered = ordered ? new byte[stored.length] : stored;
    float[] values = new float[converted ? piece : 0];
    byte[] result = converted ? new byte[(int) to.bytes(piece)] : reordered;
    for (long done = 0; done < total; done += piece) {
      int count = (int) Math.min(piece, total - done);
      int storedBytes = (int) from.bytes(count);
      source.read(from.bytes(done), ByteBuffer.wrap(stored, 0, storedBytes));
      if (ordered) {
        reorder(stored, reordered);
      }
      if (converted) {
        GgufCodec.decode(from, reordered, values, count);
        requireRange(values, count);
        GgufCodec.encode(to, values, result, count);
      }
      ByteBuffer bytes = ByteBuffer.wrap(result, 0, (int) to.bytes(count));
      while (bytes.hasRemaining()) {
        out.write(bytes);
      }
    }
  }

  private void reorder(byte[] stored, byte[] reordered) {
    int rowBytes = stored.length / headRows;
    for (int row = 0; row < headRows; row++) {
      int source = order.sourceOf(row, headRows);
      System.arraycopy(stored, source * rowBytes, reordered, row * rowBytes, rowBytes);
    }
  }

  /** F16, in which Q8_0 has its scales, cannot hold what F32 and BF16 can. */
  private void requireRange(float[] values, int count) {
    float limit =
        switch (to) {
          case F16 -> FloatCodec.overflowFrom(DType.F16);
          case Q8_0 -> FloatCodec.overflowFrom(DType.F16) * 127;
          default -> Float.POSITIVE_INFINITY;
        };
    for (int i = 0; i < count; i++) {
      boolean sound = Math.abs(values[i]) < limit || limit == Float.POSITIVE_INFINITY;
      if (!sound) {
        throw new CheckpointException(
            "Tensor '"
                + name
                + "' holds "
                + values[i]
                + ", which "
                + to
                + " cannot; choose F32 or BF16");
      }
    }
  }
}
