package org.alpaca4j.core.internal.model;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.internal.model.DecoderDescription.Positions;
import org.alpaca4j.core.internal.torch.Tensors;
import org.jspecify.annotations.Nullable;

/** Puts examples side by side, what they begin with alike once. Thread-safe. */
final class ExamplePacker {
  private final DecoderDescription description;
  private final PositionEncodings encodings;
  private final AttentionKernels kernels;
  private final long longestShared;
  private final boolean sequential;
  private final int prefix;

  /**
   * Creates it.
   *
   * @param longestShared longest example, in tokens, that may share its beginning
   */
  ExamplePacker(
      DecoderDescription description,
      PositionEncodings encodings,
      AttentionKernels kernels,
      long longestShared) {
    this.description = description;
    this.encodings = encodings;
    this.kernels = kernels;
    this.longestShared = longestShared;
    sequential = description.positions() instanceof Positions.Sequential;
    prefix = description.prefixLength();
  }

  /**
   * Packs examples.
   *
   * @param outputs places in {@code ids} at which the last layer's output will be read, at least
   *     one; null: all
   * @param rotaryLengths for each example the length that rotary embeddings are stretched for,
   *     where they depend on it
   * @param computeAll whether the last layer is computed at all tokens
   * @throws IllegalArgumentException if an example is empty or too long, the lengths do not add up
   *     to the ids, or an id is not in the vocabulary
   */
  PackedInput pack(
      NDManager scope,
      int[] ids,
      int[] lengths,
      int @Nullable [] outputs,
      DType dtype,
      int[] rotaryLengths,
      boolean computeAll) {
    requireFitting(ids, lengths);
    boolean byKernels = sequential && kernels.areUsable(dtype);
    boolean shares = sequential && !byKernels && encodings.areAlike(rotaryLengths);
    PrefixTree tree = PrefixTree.of(ids, lengths, shares ? longestShared : 0);
    List<SequencePositions> numbered = sequential ? List.of() : numbered(ids, lengths);
    PositionEncodings.Tables tables =
        encodings.tables(
            scope,
            sequential
                ? new SequencePositions(tree.positions(), new int[tree.size()], 0)
                : SequencePositions.joined(numbered),
            lengths,
            rotaryLengths,
            Tensors.zeros(scope, 1, dtype));
    int[] rows = tree.tokenOf();
    int[] tokens = {};
    if (outputs != null) {
      rows = Arrays.stream(outputs).map(at -> tree.tokenOf()[at]).toArray();
    }
    if (outputs != null && !computeAll) {
      int[] read = Arrays.stream(rows).sorted().distinct().toArray();
      rows = Arrays.stream(rows).map(token -> Arrays.binarySearch(read, token)).toArray();
      tokens = read;
    }
    return new PackedInput(
        longs(scope, tree.ids()),
        longs(scope, tree.positions()),
        tables.cos(),
        tables.sin(),
        segments(scope, tree, numbered),
        byKernels ? ends(scope, lengths) : scope.create(new int[0]),
        bias(scope, lengths),
        longs(scope, tokens),
        longs(scope, rows),
        PackedInput.seed(scope, -1),
        longs(scope, new int[0]),
        tree.tokenOf());
  }

  /** See {@link Decoder#longestShared}. */
  long longestShared() {
    boolean always =
        sequential
            && !kernels.mayBeUsable()
            && description.rotaries().stream()
                .noneMatch(rotary -> rotary.scaling().dependsOnLength());
    return always ? longestShared : 0;
  }

  private List<SequencePositions> numbered(int[] ids, int[] lengths) {
    List<SequencePositions> numbered = new ArrayList<>();
    int start = 0;
    for (int length : lengths) {
      int[] own = Arrays.copyOfRange(ids, start, start + length);
      numbered.add(SequencePositions.of(description.positions(), own));
      start += length;
    }
    return numbered;
  }

  /** See {@link PackedInput#segments}; examples that were numbered are a segment each. */
  private static NDArray segments(
      NDManager scope, PrefixTree tree, List<SequencePositions> numbered) {
    long[] segments = tree.segments();
    int count = segments.length / 2;
    long[] withContext = new long[3 * count];
    for (int i = 0; i < count; i++) {
      withContext[3 * i] = segments[2 * i];
      withContext[3 * i + 1] = segments[2 * i + 1];
      withContext[3 * i + 2] = numbered.isEmpty() ? 0 : numbered.get(i).context();
    }
    return scope.create(withContext, new Shape(count, 3)).toDevice(Device.cpu(), false);
  }

  /** See {@link PackedInput#ends}. */
  private static NDArray ends(NDManager scope, int[] lengths) {
    int[] ends = new int[lengths.length + 1];
    for (int i = 0; i < lengths.length; i++) {
      ends[i + 1] = ends[i] + lengths[i];
    }
    return scope.create(ends);
  }

  private NDArray bias(NDManager scope, int[] lengths) {
    if (!encodings.isBiased()) {
      return scope.create(new float[0], new Shape(0, 0));
    }
    float[] positions = new float[prefix + Arrays.stream(lengths).max().orElse(0)];
    for (int i = 0; i < positions.length; i++) {
      positions[i] = i;
    }
    return encodings.biases(scope, scope.create(positions));
  }

  private static NDArray longs(NDManager scope, int[] values) {
    return scope.create(Arrays.stream(values).asLongStream().toArray());
  }

  /** An accelerator would not say which id is wrong, and would be unusable afterwards. */
  private void requireFitting(int[] ids, int[] lengths) {
    long sum = 0;
    for (int length : lengths) {
      if (length < 1) {
        throw new IllegalArgumentException("an example has " + length + " tokens; it needs 1");
      }
      requireLength(length);
      sum += length;
    }
    if (sum != ids.length || sum == 0) {
      throw new IllegalArgumentException(
          ids.length + " token ids for examples of " + sum + " tokens; at least 1 is needed");
    }
    for (int i = 0; i < ids.length; i++) {
      if (ids[i] < 0 || ids[i] >= description.vocabSize()) {
        throw new IllegalArgumentException(
            "token id "
                + ids[i]
                + " at place "
                + i
                + " is not in the model's vocabulary of "
                + description.vocabSize()
                + "; load the model with the tokenizer that made the id, so that it grows");
      }
    }
  }

  /** Learned positions end. */
  void requireLength(int length) {
    if (description.embedding().positions() != null && length > description.maxPositions()) {
      throw new IllegalArgumentException(
          "a sequence has "
              + length
              + " tokens, but the model has learned "
              + description.maxPositions()
              + " positions; cut it, or choose a smaller maximal length");
    }
  }
}
