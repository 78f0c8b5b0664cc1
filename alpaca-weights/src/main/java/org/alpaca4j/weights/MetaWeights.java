package org.alpaca4j.weights;

import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.alpaca4j.core.Checkpoint;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.TensorInfo;
import org.alpaca4j.weights.WeightFolder.Weight;

/**
 * The parts {@code consolidated.NN.pth} of Meta's release, seen as whole tensors under their
 * Hugging Face names.
 *
 * <p>For model parallelism {@code wq}, {@code wk}, {@code wv}, {@code w1}, {@code w3} and {@code
 * output} are cut along their rows; {@code wo}, {@code w2} along their columns; {@code
 * tok_embeddings} along the columns, since Llama 3 along the rows; norms are whole in each part.
 * Meta's {@code wq} and {@code wk} hold the rotary pairs of a head as rows (2i, 2i+1), Hugging Face
 * as rows (i, i + headDim / 2).
 */
final class MetaWeights implements AutoCloseable {
  static final String EMBEDDING = "model.embed_tokens.weight";
  static final String HEAD = "lm_head.weight";

  /** What a part holds of a tensor. */
  private enum Cut {
    WHOLE,
    ROWS,
    COLUMNS
  }

  /**
   * Where a tensor's values come from.
   *
   * @param name Meta's name for it
   * @param cut along what it is cut
   * @param starts the first row or column of each part, and the number of all; parts need not be
   *     equally large
   * @param headRows the number of rows of a head, whose order differs; 0: rows are in order
   */
  private record Origin(String name, Cut cut, long[] starts, int headRows) {
    int part(long rowOrColumn) {
      int part = 0;
      while (rowOrColumn >= starts[part + 1]) {
        part++;
      }
      return part;
    }
  }

  /** Bytes that lie behind each other in one part. */
  private record Stretch(int part, long offset, long length) {}

  private final Path folder;
  private final List<Checkpoint> parts;
  private final MetaParams params;
  private final Map<String, Origin> origins = new LinkedHashMap<>();
  private final Map<String, Weight> weights = new LinkedHashMap<>();
  private final List<String> dropped;

  private MetaWeights(Path folder, List<Checkpoint> parts, MetaParams params) {
    this.folder = folder;
    this.parts = parts;
    this.params = params;
    place("tok_embeddings.weight", EMBEDDING, embeddingCut(), 0);
    for (int i = 0; i < params.layers(); i++) {
      String layer = "layers." + i + ".";
      int head = params.headDim();
      place(layer + "attention.wq.weight", hub(i, "self_attn.q_proj"), Cut.ROWS, head);
      place(layer + "attention.wk.weight", hub(i, "self_attn.k_proj"), Cut.ROWS, head);
      place(layer + "attention.wv.weight", hub(i, "self_attn.v_proj"), Cut.ROWS, 0);
      place(layer + "attention.wo.weight", hub(i, "self_attn.o_proj"), Cut.COLUMNS, 0);
      place(layer + "feed_forward.w1.weight", hub(i, "mlp.gate_proj"), Cut.ROWS, 0);
      place(layer + "feed_forward.w2.weight", hub(i, "mlp.down_proj"), Cut.COLUMNS, 0);
      place(layer + "feed_forward.w3.weight", hub(i, "mlp.up_proj"), Cut.ROWS, 0);
      place(layer + "attention_norm.weight", hub(i, "input_layernorm"), Cut.WHOLE, 0);
      place(layer + "ffn_norm.weight", hub(i, "post_attention_layernorm"), Cut.WHOLE, 0);
    }
    place("norm.weight", "model.norm.weight", Cut.WHOLE, 0);
    if (parts.get(0).names().contains("output.weight")) {
      place("output.weight", HEAD, Cut.ROWS, 0);
    }
    dropped = dropFrequencies();
    requireShapes();
  }

  private static String hub(int layer, String name) {
    return "model.layers." + layer + "." + name + ".weight";
  }

  static MetaWeights open(Path folder, MetaParams params) {
    List<Checkpoint> parts = new ArrayList<>();
    boolean opened = false;
    try {
      while (Files.exists(part(folder, parts.size()))) {
        parts.add(Checkpoint.open(part(folder, parts.size())));
      }
      Path beyond = part(folder, parts.size() + 1);
      if (Files.exists(beyond)) {
        throw new CheckpointException(
            beyond
                + " is there, but "
                + part(folder, parts.size())
                + " is missing; fetch it again");
      }
      MetaWeights weights = new MetaWeights(folder, List.copyOf(parts), params);
      opened = true;
      return weights;
    } finally {
      if (!opened) {
        parts.forEach(Checkpoint::close);
      }
    }
  }

  static Path part(Path folder, int number) {
    return folder.resolve(String.format(Locale.ROOT, "consolidated.%02d.pth", number));
  }

  /** Before Llama 3 the embedding was cut along its columns. */
  private Cut embeddingCut() {
    long[] shape = parts.get(0).tensor("tok_embeddings.weight").shape();
    return shape.length == 2 && shape[1] == params.dim() ? Cut.ROWS : Cut.COLUMNS;
  }

  private void place(String metaName, String name, Cut cut, int headRows) {
    TensorInfo first = parts.get(0).tensor(metaName);
    long[] shape = first.shape();
    int dimensions = cut == Cut.WHOLE ? 1 : 2;
    if (shape.length != dimensions) {
      throw misshapen(metaName, shape, dimensions + " dimensions");
    }
    int cutAlong = cut == Cut.COLUMNS ? 1 : 0;
    long[] starts = new long[parts.size() + 1];
    for (int i = 0; i < parts.size(); i++) {
      TensorInfo tensor = parts.get(i).tensor(metaName);
      long[] expected = shape.clone();
      if (cut != Cut.WHOLE && tensor.shape().length == dimensions) {
        expected[cutAlong] = tensor.shape()[cutAlong];
      }
      if (tensor.dtype() != first.dtype() || !Arrays.equals(tensor.shape(), expected)) {
        throw new CheckpointException(
            tensor.file()
                + ": "
                + metaName
                + " is "
                + tensor.dtype()
                + Arrays.toString(tensor.shape())
                + ", which does not fit "
                + first.dtype()
                + Arrays.toString(shape)
                + " in "
                + first.file()
                + "; the parts are not of one release");
      }
      starts[i + 1] = starts[i] + expected[cutAlong];
    }
    if (cut != Cut.WHOLE) {
      shape[cutAlong] = starts[parts.size()];
    }
    origins.put(name, new Origin(metaName, cut, starts, headRows));
    weights.put(name, new Weight(name, first.dtype(), shape));
  }

  /** Returns the names of the rotary frequencies, and refuses any other unknown tensor. */
  private List<String> dropFrequencies() {
    Set<String> unknown = new TreeSet<>();
    parts.forEach(part -> unknown.addAll(part.names()));
    origins.values().forEach(origin -> unknown.remove(origin.name()));
    // Llama 1's files have them in each layer too.
    List<String> frequencies = unknown.stream().filter(n -> n.endsWith("rope.freqs")).toList();
    unknown.removeAll(Set.copyOf(frequencies));
    if (!unknown.isEmpty()) {
      throw new CheckpointException(
          folder
              + " has "
              + unknown.size()
              + " tensors that a Llama of "
              + params.layers()
              + " layers does not have, such as '"
              + unknown.iterator().next()
              + "'; check that params.json belongs to these weights");
    }
    return frequencies;
  }

  private void requireShapes() {
    long dim = params.dim();
    long keyValue = (long) params.keyValueHeads() * params.headDim();
    long intermediate = intermediateSize();
    long vocabulary = vocabularySize();
    for (Weight weight : weights.values()) {
      String name = weight.name().replaceFirst("^model\\.layers\\.\\d+\\.", "");
      long[] expected =
          switch (name) {
            case EMBEDDING, HEAD -> new long[] {vocabulary, dim};
            case "self_attn.q_proj.weight", "self_attn.o_proj.weight" -> new long[] {dim, dim};
            case "self_attn.k_proj.weight", "self_attn.v_proj.weight" -> new long[] {keyValue, dim};
            case "mlp.gate_proj.weight", "mlp.up_proj.weight" -> new long[] {intermediate, dim};
            case "mlp.down_proj.weight" -> new long[] {dim, intermediate};
            default -> new long[] {dim};
          };
      if (!Arrays.equals(weight.shape(), expected)) {
        Origin origin = origin(weight);
        throw misshapen(origin.name, weight.shape(), Arrays.toString(expected));
      }
    }
    if (params.vocabSize() > 0 && params.vocabSize() != vocabulary) {
      throw misshapen("tok_embeddings.weight", shape(EMBEDDING), params.vocabSize() + " rows");
    }
  }

  private CheckpointException misshapen(String name, long[] shape, String expected) {
    return new CheckpointException(
        folder
            + ": "
            + name
            + ", joined from "
            + parts.size()
            + " parts, has the shape "
            + Arrays.toString(shape)
            + ", but "
            + params.file().getFileName()
            + " asks for "
            + expected
            + "; check that all parts are there and belong to it");
  }

  private long[] shape(String name) {
    Weight weight = weights.get(name);
    if (weight == null) {
      throw new CheckpointException(folder + " has no " + name);
    }
    return weight.shape();
  }

  int vocabularySize() {
    return Math.toIntExact(shape(EMBEDDING)[0]);
  }

  int intermediateSize() {
    return Math.toIntExact(shape(hub(0, "mlp.gate_proj"))[0]);
  }

  /** Returns all tensors, in the order in which the model uses them. */
  List<Weight> weights() {
    return List.copyOf(weights.values());
  }

  /** Returns the parts' names of what is no weight. */
  List<String> dropped() {
    return dropped;
  }

  /** As {@link WeightFolder#read}. */
  void read(Weight weight, ByteBuffer destination, long offset) {
    Origin origin = origin(weight);
    int end = destination.limit();
    long at = offset;
    while (destination.position() < end) {
      Stretch stretch = stretch(weight, origin, at);
      int length = (int) Math.min(stretch.length, end - destination.position());
      destination.limit(destination.position() + length);
      parts.get(stretch.part).readBytes(origin.name, destination, stretch.offset);
      destination.limit(end);
      at += length;
    }
  }

  /** Returns where byte {@code at} of a tensor is, and how many follow it there. */
  private static Stretch stretch(Weight weight, Origin origin, long at) {
    if (origin.cut == Cut.WHOLE) {
      return new Stretch(0, at, weight.byteLength() - at);
    }
    int size = weight.dtype().bytes();
    long rowBytes = weight.shape()[1] * size;
    long row = at / rowBytes;
    long inRow = at % rowBytes;
    if (origin.cut == Cut.COLUMNS) {
      int part = origin.part(inRow / size);
      long width = (origin.starts[part + 1] - origin.starts[part]) * size;
      long inPart = inRow - origin.starts[part] * size;
      return new Stretch(part, row * width + inPart, width - inPart);
    }
    long from = origin.headRows == 0 ? row : pairedRow(row, origin.headRows);
    int part = origin.part(from);
    long rows = origin.headRows == 0 ? origin.starts[part + 1] - from : 1;
    return new Stretch(
        part, (from - origin.starts[part]) * rowBytes + inRow, rows * rowBytes - inRow);
  }

  /** Row (half, i) of a head here is row (i, half) of it at Meta's. */
  private static long pairedRow(long row, int headRows) {
    long inHead = row % headRows;
    int pairs = headRows / 2;
    return row - inHead + 2 * (inHead % pairs) + inHead / pairs;
  }

  private Origin origin(Weight weight) {
    Origin origin = origins.get(weight.name());
    if (origin == null) {
      throw new IllegalArgumentException("no tensor " + weight.name());
    }
    return origin;
  }

  @Override
  public void close() {
    parts.forEach(Checkpoint::close);
  }
}
