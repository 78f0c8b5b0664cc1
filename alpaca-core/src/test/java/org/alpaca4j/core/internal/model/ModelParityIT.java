package org.alpaca4j.core.internal.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.alpaca4j.core.Checkpoint;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.TensorInfo;
import org.alpaca4j.core.UnsupportedModelException;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.TestFactory;

/** Logits, hidden states, loss and every gradient against transformers' (fixtures: models). */
@Tag("parity")
class ModelParityIT {
  private static final double TOLERANCE = 1e-4;
  private static final double LOSS_TOLERANCE = 2e-5;
  private static final Path FOLDER = Path.of(System.getProperty("fixtures", "."), "models");

  @TestFactory
  Stream<DynamicTest> matchesTransformers() throws IOException {
    if (!Files.isDirectory(FOLDER)) {
      return Stream.empty();
    }
    List<DynamicTest> tests = new ArrayList<>();
    try (Stream<Path> cases = Files.list(FOLDER)) {
      for (Path path : cases.filter(Files::isDirectory).sorted().toList()) {
        if (supported(path)) {
          String name = path.getFileName().toString();
          tests.add(DynamicTest.dynamicTest(name, () -> check(path, false)));
          tests.add(DynamicTest.dynamicTest(name + ", recomputing", () -> check(path, true)));
        }
      }
    }
    return tests.stream();
  }

  /** Families of other issues are refused by name when their configuration is read. */
  private static boolean supported(Path folder) {
    try {
      ModelConfig.load(folder.resolve("config.json"));
      return true;
    } catch (UnsupportedModelException e) {
      return false;
    }
  }

  private void check(Path folder, boolean recompute) {
    try (Checkpoint checkpoint = Checkpoint.open(folder);
        Checkpoint reference = Checkpoint.open(folder.resolve("reference.safetensors"));
        LoadedModel model =
            LoadedModel.load(checkpoint, checkpoint.config(), Device.cpu(), DType.F32, DType.F32);
        NDManager scope = model.manager().newSubManager()) {
      Rows rows = Rows.of(reference, "");
      Rows left = Rows.of(reference, "left.");
      Decoder decoder = model.decoder();
      PackedInput input = rows.pack(decoder, scope);

      NDArray[] x = new NDArray[decoder.layers() + 1];
      NDArray[] kept = new NDArray[decoder.layers()];
      NDArray[][] extras = new NDArray[decoder.layers()][];
      NDArray scratch = scope.zeros(new Shape(decoder.scratchWidth() * input.tokens()));
      x[0] = decoder.embed(scope, input, model.embedding(), DType.F32);
      rows.compare(reference, input, "hidden.embed", x[0]);
      for (int layer = 0; layer < decoder.layers(); layer++) {
        kept[layer] = scope.zeros(new Shape(decoder.keptWidth() * input.tokens()));
        NDList results =
            decoder.layerKeeping(
                scope, layer, x[layer], input, model.layer(layer), kept[layer], scratch);
        x[layer + 1] = results.get(0);
        extras[layer] = recompute ? null : results.subNDList(1).toArray(new NDArray[0]);
        rows.compare(reference, input, "hidden.layer." + layer, x[layer + 1]);
      }
      NDArray last = x[x.length - 1];
      NDArray hidden = decoder.finalHidden(scope, last, model.head());
      rows.compare(reference, input, "hidden.final", hidden);
      NDArray logits = decoder.logits(scope, hidden, model.embedding(), model.head());
      rows.compare(reference, input, "logits", logits);
      compareLeftLogits(reference, model, scope, left);

      List<UnitTensors> gradients = new ArrayList<>();
      for (UnitLayout unit : decoder.units()) {
        gradients.add(UnitTensors.zeros(scope, unit, DType.F32));
      }
      NDList head =
          decoder.headBackward(
              scope,
              last,
              scope.create(
                  LongStream.of(rows.supervised).map(row -> input.tokenOf()[(int) row]).toArray()),
              scope.create(rows.targets).reshape(-1, 1),
              scope.full(new Shape(rows.targets.length, 1), 1f / rows.targets.length),
              scope.create(new Shape(7, decoder.logitsWidth())),
              model.embedding(),
              model.head(),
              gradients.get(0),
              gradients.get(gradients.size() - 1),
              false);
      double loss = 0;
      for (float value : head.get(0).toFloatArray()) {
        loss += value;
      }
      loss /= rows.targets.length;
      assertThat(loss).as("loss").isCloseTo(rows.loss(folder), within(LOSS_TOLERANCE));

      NDArray dx = head.get(1);
      for (int layer = decoder.layers() - 1; layer >= 0; layer--) {
        dx =
            decoder.layerBackward(
                scope,
                layer,
                x[layer],
                dx,
                kept[layer],
                scratch,
                extras[layer],
                input,
                model.layer(layer),
                gradients.get(1 + layer),
                false);
      }
      decoder.embedBackward(input, dx, model.embedding(), gradients.get(0), false);
      for (UnitTensors unit : gradients) {
        for (UnitLayout.Parameter parameter : unit.layout().parameters()) {
          String name = "grad." + parameter.name();
          float[] ours = unit.parameter(scope, parameter).toFloatArray();
          compareGradient(name, ours, floats(reference, name));
        }
      }
    }
  }

  private static void compareLeftLogits(
      Checkpoint reference, LoadedModel model, NDManager scope, Rows rows) {
    PackedInput input = rows.pack(model.decoder(), scope);
    NDArray hidden =
        model.decoder().finalHidden(scope, model.hiddenStates(scope, input), model.head());
    NDArray logits = model.decoder().logits(scope, hidden, model.embedding(), model.head());
    rows.compare(reference, input, "left.logits", logits);
  }

  /** Relative to the tensor's norm; a tensor whose true gradient is 0 has rounding noise only. */
  private static void compareGradient(String name, float[] ours, float[] theirs) {
    assertThat(ours).as(name).hasSameSizeAs(theirs);
    double difference = 0;
    double norm = 0;
    for (int i = 0; i < ours.length; i++) {
      difference += Math.pow(ours[i] - theirs[i], 2);
      norm += Math.pow(theirs[i], 2);
    }
    assertThat(Math.sqrt(difference)).as(name).isLessThanOrEqualTo(1e-4 * Math.sqrt(norm) + 1e-7);
  }

  private static float[] floats(Checkpoint checkpoint, String name) {
    TensorInfo info = checkpoint.tensor(name);
    ByteBuffer bytes =
        ByteBuffer.allocate(Math.toIntExact(info.byteLength())).order(ByteOrder.LITTLE_ENDIAN);
    checkpoint.readBytes(name, bytes, 0);
    float[] values = new float[Math.toIntExact(info.elements())];
    bytes.flip().order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(values);
    return values;
  }

  private static long[] longs(Checkpoint checkpoint, String name) {
    TensorInfo info = checkpoint.tensor(name);
    ByteBuffer bytes =
        ByteBuffer.allocate(Math.toIntExact(info.byteLength())).order(ByteOrder.LITTLE_ENDIAN);
    checkpoint.readBytes(name, bytes, 0);
    long[] values = new long[Math.toIntExact(info.elements())];
    bytes.flip().order(ByteOrder.LITTLE_ENDIAN).asLongBuffer().get(values);
    return values;
  }

  /** The padded rows of a reference, packed; remembers where each token stood. */
  private record Rows(
      int[] ids, int[] lengths, int[] padded, int paddedSize, long[] supervised, long[] targets) {

    static Rows of(Checkpoint reference, String prefix) {
      long[] ids = longs(reference, prefix + "input_ids");
      long[] mask = longs(reference, prefix + "attention_mask");
      boolean hasLabels = prefix.isEmpty();
      long[] labels = hasLabels ? longs(reference, "labels") : new long[ids.length];
      long[] shape = reference.tensor(prefix + "input_ids").shape();
      int width = (int) shape[1];
      int[] packed = new int[ids.length];
      int[] padded = new int[ids.length];
      int[] lengths = new int[(int) shape[0]];
      long[] supervised = new long[ids.length];
      long[] targets = new long[ids.length];
      int tokens = 0;
      int count = 0;
      for (int row = 0; row < lengths.length; row++) {
        for (int column = 0; column < width; column++) {
          int at = row * width + column;
          if (mask[at] == 0) {
            continue;
          }
          packed[tokens] = (int) ids[at];
          padded[tokens] = at;
          if (hasLabels && column + 1 < width && labels[at + 1] != -100) {
            supervised[count] = tokens;
            targets[count++] = labels[at + 1];
          }
          lengths[row]++;
          tokens++;
        }
      }
      return new Rows(
          Arrays.copyOf(packed, tokens),
          lengths,
          Arrays.copyOf(padded, tokens),
          ids.length,
          Arrays.copyOf(supervised, count),
          Arrays.copyOf(targets, count));
    }

    /** In transformers, the longest row decides how rotary embeddings of all are stretched. */
    PackedInput pack(Decoder decoder, NDManager scope) {
      int[] longest = new int[lengths.length];
      Arrays.fill(longest, Arrays.stream(lengths).max().orElseThrow());
      return decoder.pack(scope, ids, lengths, null, DType.F32, longest);
    }

    double loss(Path folder) {
      try {
        JsonNode json = new ObjectMapper().readTree(folder.resolve("reference.json").toFile());
        return json.get("loss").asDouble();
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }

    void compare(Checkpoint reference, PackedInput input, String name, NDArray ours) {
      float[] theirs = floats(reference, name);
      assertThat(ours.getDataType()).isEqualTo(DataType.FLOAT32);
      float[] values = ours.toFloatArray();
      int width = theirs.length / paddedSize;
      assertThat(values.length).as(name).isEqualTo(input.tokens() * width);
      double largest = 0;
      for (int token = 0; token < padded.length; token++) {
        for (int i = 0; i < width; i++) {
          double difference =
              Math.abs(
                  values[input.tokenOf()[token] * width + i] - theirs[padded[token] * width + i]);
          largest = Double.isNaN(difference) ? Double.NaN : Math.max(largest, difference);
        }
      }
      assertThat(largest).as("largest difference of " + name).isLessThan(TOLERANCE);
    }
  }
}
