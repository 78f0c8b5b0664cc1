package org.alpaca4j.weights.gguf;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.function.IntUnaryOperator;
import java.util.function.Supplier;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.internal.Internals;
import org.alpaca4j.core.internal.model.DecoderDescription;
import org.alpaca4j.core.internal.model.DecoderDescription.Attention;
import org.alpaca4j.core.internal.model.DecoderDescription.Dense;
import org.alpaca4j.core.internal.model.DecoderDescription.Experts;
import org.alpaca4j.core.internal.model.DecoderDescription.FileTensor;
import org.alpaca4j.core.internal.model.DecoderDescription.Layer;
import org.alpaca4j.core.internal.model.DecoderDescription.Linear;
import org.alpaca4j.core.internal.model.DecoderDescription.Mlp;
import org.alpaca4j.core.internal.model.DecoderDescription.Norm;
import org.alpaca4j.core.internal.model.DecoderDescription.Order;
import org.alpaca4j.core.internal.model.DecoderDescription.Weight;
import org.alpaca4j.weights.gguf.TensorCopy.Change;
import org.alpaca4j.weights.gguf.TensorCopy.Source;
import org.jspecify.annotations.Nullable;

/**
 * Which tensors a model has in a Hugging Face folder and in a GGUF file. Follows from the model's
 * description: a block's part in the decoder says what GGUF calls its weights, and the order of
 * rows in GGUF is that of the decoder's memory, but for pairs of rotary embeddings.
 */
final class GgufLayout {
  private final GgufArchitecture architecture;
  private final DecoderDescription model;
  private final boolean turned;
  private final List<Entry> entries = new ArrayList<>();

  private GgufLayout(GgufArchitecture architecture, DecoderDescription model) {
    this.architecture = architecture;
    this.model = model;
    // Half of a head's rows are paired with the other half in most checkpoints. Where ggml turns
    // neighbours instead, it wants them side by side.
    turned =
        architecture.turnsNeighbours()
            && model.rotaries().stream().anyMatch(rotary -> !rotary.interleaved());
  }

  /** Returns the tensors of a model in the order of its computation; a tied head is not one. */
  static List<Entry> of(ModelConfig config) {
    GgufArchitecture architecture = GgufArchitecture.of(config);
    return new GgufLayout(architecture, Internals.description(config)).entries();
  }

  /**
   * A tensor of a GGUF file.
   *
   * @param shape its dimensions, rows before columns
   */
  record Part(String name, List<Long> shape) {
    /** Returns whether ggml computes only with F32 here, as its conversion scripts know. */
    boolean needsF32() {
      return shape.size() == 1
          || name.endsWith("_norm.weight")
          || name.contains("ffn_gate_inp")
          || name.equals("position_embd.weight");
    }

    private long rowElements() {
      return shape.size() == 1 ? 1 : shape.get(shape.size() - 1);
    }

    private int rows() {
      return Math.toIntExact(shape.stream().reduce(1L, Math::multiplyExact) / rowElements());
    }
  }

  /**
   * Tensors that hold the same rows in both files.
   *
   * @param files those of the Hugging Face folder
   * @param parts those of the GGUF file
   * @param rows supplies for each row of the parts, one below the other, which row of the files,
   *     one below the other, it is; null: the same
   * @param change what an export does to the elements
   */
  record Entry(
      List<FileTensor> files, List<Part> parts, @Nullable Supplier<int[]> rows, Change change) {

    private boolean transposed() {
      return files.get(0).order() instanceof Order.Transposed;
    }

    /** Returns how a tensor of the GGUF file is made of those of the folder. */
    TensorCopy export(Part part, List<Source> sources, GgufType to) {
      int from = 0;
      for (Part before : parts.subList(0, parts.indexOf(part))) {
        from += before.rows();
      }
      int[] wanted = rows == null ? null : slice(rows.get(), from, part.rows());
      return new TensorCopy(
          files.get(0).name(), sources, to, part.rowElements(), wanted, transposed(), change);
    }

    /** Returns how a tensor of the folder is made of those of the GGUF file. */
    TensorCopy restore(FileTensor file, List<Source> sources, GgufType to) {
      int from = 0;
      for (FileTensor before : files.subList(0, files.indexOf(file))) {
        from += rows(before);
      }
      Change back = change == Change.PLUS_ONE ? Change.MINUS_ONE : Change.NONE;
      long rowElements = transposed() ? file.shape().get(1) : parts.get(0).rowElements();
      int[] wanted = null;
      if (rows != null) {
        int[] forward = rows.get();
        int[] inverse = new int[forward.length];
        for (int row = 0; row < forward.length; row++) {
          inverse[forward[row]] = row;
        }
        wanted = slice(inverse, from, rows(file));
      } else if (files.size() > 1) {
        wanted = new int[rows(file)];
        for (int row = 0; row < wanted.length; row++) {
          wanted[row] = from + row;
        }
      }
      return new TensorCopy(
          parts.get(0).name(), sources, to, rowElements, wanted, transposed(), back);
    }

    private static int rows(FileTensor file) {
      return Math.toIntExact(file.shape().get(0));
    }

    private static int[] slice(int[] rows, int from, int count) {
      return Arrays.copyOfRange(rows, from, from + count);
    }
  }

  private List<Entry> entries() {
    whole(model.embedding().tokens(), "token_embd.weight", Change.NONE);
    whole(model.embedding().positions(), "position_embd.weight", Change.NONE);
    norm(model.embedding().norm(), "token_embd_norm");
    for (int i = 0; i < model.layers().size(); i++) {
      layer(model.layers().get(i), "blk." + i + ".");
    }
    norm(model.finalNorm(), "output_norm");
    Change head = model.head().normalisedRows() ? Change.UNIT_ROWS : Change.NONE;
    whole(model.head().weight(), "output.weight", head);
    whole(model.head().bias(), "output.bias", Change.NONE);
    return Collections.unmodifiableList(entries);
  }

  private void layer(Layer layer, String block) {
    Map<String, String> names = architecture.renamed(layer);
    Norm before = layer.aroundAttention().before();
    norm(before, block + names.getOrDefault("attn_norm", "attn_norm"));
    attention(layer.attention(), block);
    norm(layer.aroundAttention().after(), block + "post_attention_norm");
    norm(layer.aroundMlp().before(), block + names.getOrDefault("ffn_norm", "ffn_norm"));
    mlp(layer.mlp(), block);
    norm(layer.aroundMlp().after(), block + "post_ffw_norm");
  }

  private void attention(Attention attention, String block) {
    long queries = (long) attention.heads() * attention.headDim();
    long keys = (long) attention.kvHeads() * attention.headDim();
    List<Long> sizes = List.of(queries, keys, keys);
    Linear projection = attention.queryKeyValue();
    IntUnaryOperator pairs = pairs(attention.headDim(), queries + keys);
    queryKeyValue(projection.weight(), block, ".weight", sizes, pairs);
    if (projection.bias() != null) {
      queryKeyValue(projection.bias(), block, ".bias", sizes, pairs);
    }
    if (attention.headNorm() != null) {
      norm(attention.headNorm().query(), block + "attn_q_norm");
      norm(attention.headNorm().key(), block + "attn_k_norm");
    }
    linear(attention.output(), block + "attn_output");
  }

  /**
   * Returns from which row of the decoder's memory each row of queries and keys comes. See {@code
   * LlamaModel.permute} in llama.cpp's conversion.
   */
  private IntUnaryOperator pairs(int headDim, long end) {
    if (!turned) {
      return IntUnaryOperator.identity();
    }
    int half = headDim / 2;
    return row -> {
      int inHead = row % headDim;
      return row >= end ? row : row - inHead + inHead % 2 * half + inHead / 2;
    };
  }

  private void queryKeyValue(
      Weight weight, String block, String suffix, List<Long> sizes, IntUnaryOperator pairs) {
    List<FileTensor> files = weight.tensors();
    List<String> names = List.of("attn_q", "attn_k", "attn_v");
    if (files.size() == names.size()) {
      for (int i = 0; i < names.size(); i++) {
        boolean same = i == 2 || !turned; // a head's begin is a row's: pairs do not depend on it
        Part part = new Part(block + names.get(i) + suffix, files.get(i).shape());
        long rows = sizes.get(i);
        add(files.get(i), part, same ? null : () -> rows(rows, pairs));
      }
      return;
    }
    FileTensor file = single(weight);
    if (file.order() instanceof Order.Transposed) {
      add(file, new Part(block + "attn_qkv" + suffix, reversed(file.shape())), null);
      return;
    }
    List<Part> parts = new ArrayList<>();
    if (architecture.splitsQueryKeyValue()) {
      for (int i = 0; i < names.size(); i++) {
        List<Long> shape = new ArrayList<>(file.shape());
        shape.set(0, sizes.get(i));
        parts.add(new Part(block + names.get(i) + suffix, shape));
      }
    } else {
      parts.add(new Part(block + "attn_qkv" + suffix, file.shape()));
    }
    boolean same = !turned && parts.size() == 1 && file.order() instanceof Order.Same;
    long rows = file.shape().get(0);
    IntUnaryOperator inFile = inFile(file.order());
    Supplier<int[]> order = () -> rows(rows, pairs.andThen(inFile));
    entries.add(new Entry(List.of(file), parts, same ? null : order, Change.NONE));
  }

  private void mlp(Mlp mlp, String block) {
    if (mlp instanceof Dense dense) {
      dense(dense, block, "");
    } else if (mlp instanceof Experts experts) {
      whole(experts.router(), block + "ffn_gate_inp.weight", Change.NONE);
      experts(experts, block);
      if (experts.shared() != null) {
        dense(experts.shared(), block, "_shexp");
      }
      if (experts.sharedGate() != null) {
        FileTensor gate = single(experts.sharedGate());
        String name = block + "ffn_gate_inp_shexp.weight";
        add(gate, new Part(name, List.of(gate.shape().get(1))), null);
      }
    }
  }

  private void dense(Dense dense, String block, String suffix) {
    Weight in = dense.in().weight();
    Weight bias = dense.in().bias();
    if (in.tensors().size() == 2) {
      List<String> names = List.of("ffn_gate", "ffn_up");
      for (int i = 0; i < names.size(); i++) {
        String name = block + names.get(i) + suffix;
        whole(part(in, i), name + ".weight", Change.NONE);
        whole(bias == null ? null : part(bias, i), name + ".bias", Change.NONE);
      }
    } else {
      linear(dense.in(), block + "ffn_up" + suffix);
    }
    linear(dense.out(), block + "ffn_down" + suffix);
  }

  private static Weight part(Weight weight, int index) {
    return new Weight(List.of(weight.tensors().get(index)));
  }

  /** All experts' gates are one tensor, and so on; a checkpoint has them expert by expert. */
  private void experts(Experts experts, String block) {
    long count = experts.count();
    long width = experts.width();
    List<Long> shape = List.of(count, width, (long) model.hiddenSize());
    IntUnaryOperator inFile = inFile(new Order.Grouped(experts.count(), List.of(width, width)));
    entries.add(
        new Entry(
            experts.in().tensors(),
            List.of(
                new Part(block + "ffn_gate_exps.weight", shape),
                new Part(block + "ffn_up_exps.weight", shape)),
            () -> rows(2 * count * width, inFile),
            Change.NONE));
    List<Long> down = List.of(count, (long) model.hiddenSize(), width);
    entries.add(
        new Entry(
            experts.out().tensors(),
            List.of(new Part(block + "ffn_down_exps.weight", down)),
            null,
            Change.NONE));
  }

  /** Called when the tensors are known to be there: only then is the count sound. */
  private static int[] rows(long count, IntUnaryOperator from) {
    int[] rows = new int[Math.toIntExact(count)];
    Arrays.setAll(rows, from);
    return rows;
  }

  /** Returns which row of a file's tensor each row of the decoder's memory is. */
  private static IntUnaryOperator inFile(Order order) {
    if (!(order instanceof Order.Grouped grouped)) {
      return IntUnaryOperator.identity();
    }
    long group = grouped.parts().stream().mapToLong(Long::longValue).sum();
    return row -> {
      long inPart = row;
      long before = 0;
      for (long size : grouped.parts()) {
        if (inPart < grouped.groups() * size) {
          return Math.toIntExact(inPart / size * group + before + inPart % size);
        }
        inPart -= grouped.groups() * size;
        before += size;
      }
      throw new IllegalArgumentException(row + " of " + grouped);
    };
  }

  private void norm(@Nullable Norm norm, String name) {
    if (norm != null) {
      boolean plusOne = norm.kind() == Norm.Kind.RMS_PLUS_ONE;
      whole(norm.weight(), name + ".weight", plusOne ? Change.PLUS_ONE : Change.NONE);
      whole(norm.bias(), name + ".bias", Change.NONE);
    }
  }

  private void linear(Linear linear, String name) {
    whole(linear.weight(), name + ".weight", Change.NONE);
    whole(linear.bias(), name + ".bias", Change.NONE);
  }

  private void whole(@Nullable Weight weight, String name, Change change) {
    if (weight != null) {
      FileTensor file = single(weight);
      boolean transposed = file.order() instanceof Order.Transposed;
      List<Long> shape = transposed ? reversed(file.shape()) : file.shape();
      entries.add(new Entry(List.of(file), List.of(new Part(name, shape)), null, change));
    }
  }

  private void add(FileTensor file, Part part, @Nullable Supplier<int[]> rows) {
    entries.add(new Entry(List.of(file), List.of(part), rows, Change.NONE));
  }

  private static List<Long> reversed(List<Long> shape) {
    List<Long> reversed = new ArrayList<>(shape);
    Collections.reverse(reversed);
    return reversed;
  }

  private static FileTensor single(Weight weight) {
    if (weight.tensors().size() != 1) {
      throw new IllegalArgumentException("No place in a GGUF file for " + weight);
    }
    return weight.tensors().get(0);
  }
}
