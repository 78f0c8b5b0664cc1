package org.alpaca4j.weights.gguf;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.util.Arrays;
import java.util.List;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.internal.FloatCodec;
import org.jspecify.annotations.Nullable;

/**
 * A tensor on its way from one file to another, in pieces: rows collected from one or several
 * tensors, elements converted.
 *
 * @param name what messages call it
 * @param sources the tensors that it comes from, one below the other
 * @param to the type to write
 * @param rowElements elements of a row
 * @param rows which row of the sources each of its rows is; null: all of them as they are
 * @param transposed whether the one source is a matrix with columns of so many elements instead
 * @param change what is done to the elements
 */
record TensorCopy(
    String name,
    List<Source> sources,
    GgufType to,
    long rowElements,
    int @Nullable [] rows,
    boolean transposed,
    Change change) {
  private static final int PIECE_ELEMENTS = 1 << 18;
  private static final int RANGE_ELEMENTS = 1 << 20; // read at once where rows lie scattered
  private static final long MAX_ELEMENTS = 1 << 27; // of a row, or of a matrix to transpose
  private static final float LEAST_LENGTH = 1e-12f;

  /**
   * A tensor of the other file.
   *
   * @param type the type it is stored in
   * @param elements how many it has
   * @param reader supplies its bytes
   */
  record Source(GgufType type, long elements, Reader reader) {}

  /** Supplies a tensor's bytes. */
  @FunctionalInterface
  interface Reader {
    /**
     * Fills the buffer.
     *
     * @param offset the first byte, counted from the tensor's begin
     */
    void read(long offset, ByteBuffer destination) throws IOException;
  }

  /** What is done to elements. */
  enum Change {
    /** Nothing. */
    NONE,
    /** 1 is added: Gemma's norms multiply by it, ggml's do not. */
    PLUS_ONE,
    /** 1 is subtracted. */
    MINUS_ONE,
    /** Each row is divided by its length. */
    UNIT_ROWS
  }

  /** Returns a copy of one tensor as it is, but for its type. */
  static TensorCopy plain(String name, Source source, GgufType to) {
    return new TensorCopy(name, List.of(source), to, 1, null, false, Change.NONE);
  }

  /**
   * Writes the tensor.
   *
   * @throws CheckpointException if a value is too large for the type to write, or rows are too long
   */
  void writeTo(WritableByteChannel out) throws IOException {
    if (transposed) {
      writeTransposed(out);
    } else if (rows != null) {
      writeRows(rows, out);
    } else if (change == Change.UNIT_ROWS) {
      long total = sources.stream().mapToLong(Source::elements).sum() / rowElements;
      int[] all = new int[Math.toIntExact(total)];
      Arrays.setAll(all, row -> row);
      writeRows(all, out);
    } else {
      for (Source source : sources) {
        writeFlat(source, out);
      }
    }
  }

  private void writeFlat(Source source, WritableByteChannel out) throws IOException {
    boolean kept = source.type == to && change == Change.NONE;
    int piece = (int) Math.min(source.elements, PIECE_ELEMENTS);
    byte[] stored = new byte[(int) source.type.bytes(piece)];
    float[] values = new float[kept ? 0 : piece];
    byte[] result = kept ? stored : new byte[(int) to.bytes(piece)];
    for (long done = 0; done < source.elements; done += piece) {
      int count = (int) Math.min(piece, source.elements - done);
      read(source, done, count, stored);
      if (!kept) {
        GgufCodec.decode(source.type, stored, values, count);
        encode(values, count, result);
      }
      emit(result, count, out);
    }
  }

  private void writeTransposed(WritableByteChannel out) throws IOException {
    Source source = sources.get(0);
    requireMovable(source.elements);
    int total = (int) source.elements;
    int height = (int) rowElements;
    int width = total / height;
    byte[] stored = new byte[(int) source.type.bytes(total)];
    read(source, 0, total, stored);
    float[] matrix = new float[total];
    GgufCodec.decode(source.type, stored, matrix, total);
    int step = Math.max(1, PIECE_ELEMENTS / height);
    float[] values = new float[step * height];
    byte[] result = new byte[(int) to.bytes(values.length)];
    for (int row = 0; row < width; row += step) {
      int count = Math.min(step, width - row);
      for (int i = 0; i < count * height; i++) {
        values[i] = matrix[i % height * width + row + i / height];
      }
      encode(values, count * height, result);
      emit(result, count * height, out);
    }
  }

  private void writeRows(int[] wanted, WritableByteChannel out) throws IOException {
    requireMovable(rowElements);
    int length = (int) rowElements;
    int step = Math.min(wanted.length, Math.max(1, PIECE_ELEMENTS / length));
    boolean kept = change == Change.NONE && sources.stream().allMatch(s -> s.type == to);
    byte[] result = new byte[(int) to.bytes((long) step * length)];
    float[] values = new float[kept ? 0 : step * length];
    for (int row = 0; row < wanted.length; row += step) {
      int[] piece = Arrays.copyOfRange(wanted, row, Math.min(row + step, wanted.length));
      int base = 0;
      for (Source source : sources) {
        int count = (int) (source.elements / length);
        collect(source, base, base + count, piece, kept ? result : null, values);
        base += count;
      }
      if (!kept) {
        encode(values, piece.length * length, result);
      }
      emit(result, piece.length * length, out);
    }
  }

  /** Fetches those of the wanted rows that a source has; near ones in one go. */
  private void collect(
      Source source, int from, int to, int[] wanted, byte @Nullable [] bytes, float[] values)
      throws IOException {
    int length = (int) rowElements;
    int first = Integer.MAX_VALUE;
    int last = -1;
    for (int row : wanted) {
      if (row >= from && row < to) {
        first = Math.min(first, row);
        last = Math.max(last, row);
      }
    }
    if (last < 0) {
      return;
    }
    boolean near = (last - first + 1L) * length <= Math.max(RANGE_ELEMENTS, length);
    byte[] stored = new byte[0];
    int at = -1;
    for (int target = 0; target < wanted.length; target++) {
      int row = wanted[target];
      if (row < from || row >= to) {
        continue;
      }
      if (at < 0 || (!near && row != at)) {
        at = near ? first : row;
        int count = near ? last - first + 1 : 1;
        stored = new byte[(int) source.type.bytes((long) count * length)];
        read(source, (long) (at - from) * length, count * length, stored);
      }
      int rowBytes = (int) source.type.bytes(length);
      byte[] one = Arrays.copyOfRange(stored, (row - at) * rowBytes, (row - at + 1) * rowBytes);
      if (bytes == null) {
        float[] decoded = new float[length];
        GgufCodec.decode(source.type, one, decoded, length);
        System.arraycopy(decoded, 0, values, target * length, length);
      } else {
        System.arraycopy(one, 0, bytes, target * rowBytes, rowBytes);
      }
    }
  }

  private void requireMovable(long elements) {
    if (elements > MAX_ELEMENTS) {
      throw new CheckpointException("Tensor '" + name + "' has rows too long to move");
    }
  }

  private static void read(Source source, long element, int count, byte[] stored)
      throws IOException {
    int bytes = (int) source.type.bytes(count);
    source.reader.read(source.type.bytes(element), ByteBuffer.wrap(stored, 0, bytes));
  }

  private void emit(byte[] result, int count, WritableByteChannel out) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(result, 0, (int) to.bytes(count));
    while (bytes.hasRemaining()) {
      out.write(bytes);
    }
  }

  private void encode(float[] values, int count, byte[] result) {
    switch (change) {
      case NONE -> {}
      case PLUS_ONE -> add(values, count, 1);
      case MINUS_ONE -> add(values, count, -1);
      case UNIT_ROWS -> divideByLength(values, count);
    }
    requireRange(values, count);
    GgufCodec.encode(to, values, result, count);
  }

  private static void add(float[] values, int count, float summand) {
    for (int i = 0; i < count; i++) {
      values[i] += summand;
    }
  }

  private void divideByLength(float[] values, int count) {
    int length = (int) rowElements;
    for (int row = 0; row < count; row += length) {
      double squares = 0;
      for (int i = row; i < row + length; i++) {
        squares += (double) values[i] * values[i];
      }
      float divisor = (float) Math.max(Math.sqrt(squares), LEAST_LENGTH);
      for (int i = row; i < row + length; i++) {
        values[i] /= divisor;
      }
    }
  }

  /** F16, in which blocks have their scales and minima, cannot hold what F32 and BF16 can. */
  private void requireRange(float[] values, int count) {
    float limit =
        switch (to) {
          case F16, Q5_1 -> FloatCodec.overflowFrom(DType.F16);
          case Q5_0 -> FloatCodec.overflowFrom(DType.F16) * 16;
          case Q4_K, Q5_K, Q6_K -> FloatCodec.overflowFrom(DType.F16) * 63;
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
