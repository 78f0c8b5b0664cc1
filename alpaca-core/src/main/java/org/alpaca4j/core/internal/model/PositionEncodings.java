package org.alpaca4j.core.internal.model;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.alpaca4j.core.internal.FloatCodec;
import org.alpaca4j.core.internal.model.DecoderDescription.Alibi;
import org.alpaca4j.core.internal.model.DecoderDescription.Rotary;
import org.alpaca4j.core.internal.torch.Torch;
import org.alpaca4j.core.internal.torch.TorchProgram;

/**
 * What a decoder makes of positions before its first layer: the tables of rotary embeddings, and
 * biases by distance. Thread-safe.
 */
final class PositionEncodings implements AutoCloseable {
  private final DecoderDescription description;
  private final NDManager manager;
  private final TorchProgram program;
  private final NDArray slopes;
  private final NDArray[] rotaryScales;
  private final NDArray[] frequencies;

  /**
   * Compiles the program.
   *
   * @param constants those of the decoder's program
   */
  PositionEncodings(DecoderDescription description, Device device, Map<String, Object> constants) {
    this.description = description;
    program =
        TorchProgram.load(device, PositionEncodings.class, constants, "positions.py", "packing.py");
    manager = NDManager.newBaseManager(device, Torch.ENGINE);
    DecoderDescription.Attention attention = description.layers().get(0).attention();
    Alibi alibi = attention.alibi();
    slopes = manager.create(alibi == null ? new float[0] : alibiSlopes(attention.heads()));
    List<Rotary> rotaries = description.rotaries();
    rotaryScales = new NDArray[rotaries.size()];
    frequencies = new NDArray[rotaries.size()];
    for (int i = 0; i < frequencies.length; i++) {
      rotaryScales[i] = manager.create((float) rotaries.get(i).scaling().attentionScaling());
      frequencies[i] = row(manager, inverseFrequencies(i, 0));
    }
  }

  private static NDArray row(NDManager scope, float[] values) {
    return scope.create(values, new Shape(1, values.length));
  }

  /** Returns the inverse frequencies of a rotary embedding for a sequence of some length. */
  float[] inverseFrequencies(int index, int length) {
    Rotary rotary = description.rotaries().get(index);
    float[] row =
        rotary
            .scaling()
            .inverseFrequencies(rotary.theta(), rotary.dims(), description.maxPositions(), length);
    if (rotary.halfFrequencies()) {
      for (int i = 0; i < row.length; i++) {
        row[i] = FloatCodec.f16ToFloat(FloatCodec.floatToF16(row[i]));
      }
    }
    return row;
  }

  NDArray rotaryScale(int index) {
    return rotaryScales[index];
  }

  /** Cosines and sines of the rotary embeddings, each [tokens, 1, pairs]. */
  record Tables(NDArray[] cos, NDArray[] sin) {}

  /**
   * Makes the tables of tokens.
   *
   * @param numbered positions of the tokens
   * @param lengths tokens of each example
   * @param rotaryLengths for each example the length that rotary embeddings are stretched for,
   *     where they depend on it; unless {@link #areAlike}, each example's tokens are there apart
   * @param like of the dtype of the tables
   */
  Tables tables(
      NDManager scope,
      SequencePositions numbered,
      int[] lengths,
      int[] rotaryLengths,
      NDArray like) {
    boolean alike = areAlike(rotaryLengths);
    Tables tables = new Tables(new NDArray[frequencies.length], new NDArray[frequencies.length]);
    for (int i = 0; i < frequencies.length; i++) {
      boolean block = description.rotaries().get(i).blockPositions();
      NDList pair =
          program.call(
              scope,
              "rotary_tables",
              scope.create(floats(block ? numbered.blocks() : numbered.positions())),
              alike
                  ? frequenciesAlike(scope, i, rotaryLengths)
                  : frequenciesPerExample(scope, i, lengths, rotaryLengths),
              rotaryScales[i],
              like);
      tables.cos[i] = pair.get(0);
      tables.sin[i] = pair.get(1);
    }
    return tables;
  }

  /** Returns whether sequences of these lengths have the same frequencies. */
  boolean areAlike(int[] lengths) {
    for (int i = 0; i < frequencies.length; i++) {
      if (description.rotaries().get(i).scaling().dependsOnLength()) {
        float[] first = inverseFrequencies(i, lengths[0]);
        for (int length : lengths) {
          if (!Arrays.equals(first, inverseFrequencies(i, length))) {
            return false;
          }
        }
      }
    }
    return true;
  }

  private NDArray frequenciesAlike(NDManager scope, int index, int[] lengths) {
    return description.rotaries().get(index).scaling().dependsOnLength()
        ? row(scope, inverseFrequencies(index, lengths[0]))
        : frequencies[index];
  }

  /** Inverse frequencies, a row per token: [tokens, pairs]. */
  private NDArray frequenciesPerExample(
      NDManager scope, int index, int[] lengths, int[] rotaryLengths) {
    int pairs = description.rotaries().get(index).dims() / 2;
    int tokens = Arrays.stream(lengths).sum();
    float[] rows = new float[tokens * pairs];
    int token = 0;
    for (int example = 0; example < lengths.length; example++) {
      float[] row = inverseFrequencies(index, rotaryLengths[example]);
      for (int i = 0; i < lengths[example]; i++, token++) {
        System.arraycopy(row, 0, rows, token * pairs, pairs);
      }
    }
    return scope.create(rows, new Shape(tokens, pairs));
  }

  private static float[] floats(int[] values) {
    float[] floats = new float[values.length];
    for (int i = 0; i < values.length; i++) {
      floats[i] = values[i];
    }
    return floats;
  }

  /** Returns whether attention adds biases to scores. */
  boolean isBiased() {
    return !slopes.isEmpty();
  }

  /**
   * Returns what attention adds to the scores of keys: [..., heads, keys] of positions [..., keys].
   */
  NDArray biases(NDManager scope, NDArray positions) {
    return program.callForOne(scope, "alibi_biases", slopes, positions);
  }

  /**
   * As in Press et al. 2022; for numbers of heads between powers of two, those of the next fill up.
   */
  static float[] alibiSlopes(int heads) {
    int power = Integer.highestOneBit(heads);
    float[] slopes = new float[heads];
    double base = Math.pow(2, -8.0 / power);
    double half = Math.pow(2, -4.0 / power);
    for (int i = 0; i < heads; i++) {
      slopes[i] =
          i < power
              ? (float) Math.pow((float) base, i + 1)
              : (float) Math.pow((float) half, 2 * (i - power) + 1);
    }
    return slopes;
  }

  @Override
  public void close() {
    program.close();
    manager.close();
  }
}
