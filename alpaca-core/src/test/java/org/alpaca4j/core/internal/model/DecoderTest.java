package org.alpaca4j.core.internal.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Stream;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.RopeScaling;
import org.alpaca4j.core.internal.Internals;
import org.alpaca4j.core.internal.torch.Fill;
import org.alpaca4j.core.internal.torch.Tensors;
import org.alpaca4j.core.internal.torch.Torch;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class DecoderTest {
  private static final int VOCABULARY = 41;
  private static final int[] LENGTHS = {12, 1, 7};

  /** Two examples of 12 tokens of which the first 9 are alike, and one of 3. */
  private static final int[] TREE_LENGTHS = {12, 3, 12};

  private static final int[] TREE = {
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 1, 2, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 20, 21, 22
  };

  private NDManager scope;

  @BeforeEach
  void open() {
    Torch.initialize();
    scope = NDManager.newBaseManager(Device.cpu(), Torch.ENGINE);
  }

  @AfterEach
  void close() {
    scope.close();
  }

  private static ModelConfig.Builder config(String family) {
    return ModelConfig.builder(family)
        .hiddenSize(24)
        .intermediateSize(40)
        .numHiddenLayers(1)
        .numAttentionHeads(6)
        .numKeyValueHeads(2)
        .headDim(8)
        .vocabSize(VOCABULARY)
        .maxPositionEmbeddings(64);
  }

  static Stream<Arguments> models() {
    return Stream.of(
        Arguments.of("grouped queries", config("llama").build()),
        Arguments.of("a key head per query head", config("llama").numKeyValueHeads(6).build()),
        Arguments.of("one key head", config("llama").numKeyValueHeads(1).build()),
        Arguments.of("biases", config("llama").attentionBias(true).mlpBias(true).build()),
        Arguments.of("head norms", config("qwen3").build()),
        Arguments.of("a window", config("mistral").field("sliding_window", 5).build()),
        Arguments.of("a window of 1", config("mistral").field("sliding_window", 1).build()),
        Arguments.of("a window of all", config("mistral").field("sliding_window", 12).build()),
        Arguments.of("a window of more", config("mistral").field("sliding_window", 99).build()));
  }

  /** Matrix products are what devices other than the CPU use, and the CPU for short examples. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("models")
  void attentionByProductsEqualsTheCpuKernelForwardAndBackward(String what, ModelConfig config) {
    Map<String, float[]> kernel = pass(config, true, DType.F32, LENGTHS);
    Map<String, float[]> products = pass(config, false, DType.F32, LENGTHS);

    assertThat(products).containsOnlyKeys(kernel.keySet());
    kernel.forEach((name, values) -> assertClose(name, products.get(name), values, 1e-5));
  }

  /** Long enough for several blocks of queries, and sums of products that are taken in parts. */
  @ParameterizedTest(name = "a window of {0}")
  @ValueSource(ints = {0, 2, 5, 100, 130, 299})
  void blocksOfQueriesSeeWhatTheCpuKernelSees(int window) {
    ModelConfig.Builder builder = config(window == 0 ? "llama" : "mistral").intermediateSize(400);
    ModelConfig config = (window == 0 ? builder : builder.field("sliding_window", window)).build();

    Map<String, float[]> kernel = pass(config, true, DType.F32, 300, 5, 200);
    Map<String, float[]> products = pass(config, false, DType.F32, 300, 5, 200);

    kernel.forEach((name, values) -> assertClose(name, products.get(name), values, 1e-5));
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("models")
  void inHalfPrecisionTheyAgreeAsFarAsItGoes(String what, ModelConfig config) {
    Map<String, float[]> kernel = pass(config, true, DType.BF16, LENGTHS);
    Map<String, float[]> products = pass(config, false, DType.BF16, LENGTHS);
    Map<String, float[]> single = pass(config, true, DType.F32, LENGTHS);

    kernel.forEach(
        (name, values) -> {
          assertClose("products, " + name, products.get(name), single.get(name), 0.04);
          assertClose("kernel, " + name, values, single.get(name), 0.04);
        });
  }

  /** Where nobody reads the last layer's output, nothing but keys and values is computed. */
  @ParameterizedTest(name = "{0}")
  @MethodSource("models")
  void theLastLayerHasTheWantedRowsAndTheirGradients(String what, ModelConfig config) {
    int[] wanted = {5, 26, 15, 0}; // the third example begins with the first one's token
    int[] rows = {0, 5, 14};
    Map<String, float[]> some = pass(config, false, DType.F32, TREE, TREE_LENGTHS, wanted, rows);
    Map<String, float[]> all = pass(config, false, DType.F32, TREE, TREE_LENGTHS, null, rows);

    float[] output = all.get("output");
    float[] expected = new float[3 * 24];
    for (int i = 0; i < 3; i++) {
      System.arraycopy(output, rows[i] * 24, expected, i * 24, 24);
    }
    all.put("output", expected);
    all.put("kept output", expected);
    all.put("rows", new float[] {1, 2, 0, 0});
    all.forEach((name, values) -> assertClose(name, some.get(name), values, 1e-5));
  }

  /** Output, gradient of the input and of every parameter of one layer, by name. */
  private Map<String, float[]> pass(
      ModelConfig config, boolean cpuKernel, DType dtype, int... lengths) {
    return pass(config, cpuKernel, dtype, different(lengths), lengths, null, null);
  }

  /** Ids of examples none of which begins as another. */
  private static int[] different(int... lengths) {
    int[] ids = new int[Arrays.stream(lengths).sum()];
    int at = 0;
    for (int example = 0; example < lengths.length; example++) {
      Arrays.fill(ids, at, at + lengths[example], example);
      at += lengths[example];
    }
    return ids;
  }

  private Map<String, float[]> pass(
      ModelConfig config,
      boolean cpuKernel,
      DType dtype,
      int[] ids,
      int[] lengths,
      int @Nullable [] wanted,
      int @Nullable [] rowsWithGradient) {
    Map<String, float[]> results = new LinkedHashMap<>();
    try (Decoder decoder = new Decoder(Internals.description(config), Device.cpu(), cpuKernel, 0)) {
      PackedInput input = decoder.pack(scope, ids, lengths, wanted, dtype);
      int tokens = input.tokens();
      UnitTensors weights = random(decoder.units().get(1), dtype);
      NDArray x = normal(tokens * 24L, 1, 1, dtype, tokens, 24);
      NDArray dz = normal(tokens * 24L, 1, 2, dtype, tokens, 24);
      if (rowsWithGradient != null) {
        dz = rowsOf(dz, rowsWithGradient, wanted == null);
      }
      results.put("rows", floats(input.outputRows()));
      results.put("output", floats(decoder.layer(scope, 0, x, input, weights, true)));

      NDArray kept = Tensors.zeros(scope, decoder.keptWidth() * tokens, dtype);
      NDArray scratch = Tensors.zeros(scope, decoder.scratchWidth() * tokens, dtype);
      NDList keeping = decoder.layerKeeping(scope, 0, x, input, weights, kept, scratch);
      NDArray[] extras = keeping.subNDList(1).toArray(new NDArray[0]);
      results.put("kept output", floats(keeping.get(0)));
      for (boolean recompute : new boolean[] {false, true}) {
        String how = recompute ? " recomputed" : "";
        UnitTensors gradients = UnitTensors.zeros(scope, weights.layout(), DType.F32);
        NDArray dx =
            decoder.layerBackward(
                scope,
                0,
                x,
                dz,
                kept,
                scratch,
                recompute ? null : extras,
                input,
                weights,
                gradients,
                false);
        results.put("dx" + how, floats(dx));
        for (UnitLayout.Parameter parameter : weights.layout().parameters()) {
          results.put(parameter.name() + how, gradients.parameter(scope, parameter).toFloatArray());
        }
      }
      assertClose("kept", results.get("kept output"), results.get("output"), 1e-6);
    }
    return results;
  }

  private UnitTensors random(UnitLayout layout, DType dtype) {
    UnitTensors weights = UnitTensors.zeros(scope, layout, dtype);
    for (int i = 0; i < layout.parameters().size(); i++) {
      UnitLayout.Parameter parameter = layout.parameters().get(i);
      NDArray values = weights.parameter(scope, parameter);
      if (parameter.name().endsWith("norm.weight")) {
        Fill.with(values, 1 + i / 64.0);
      } else {
        Tensors.fillNormal(values, 0.25, i);
      }
    }
    return weights;
  }

  /** Some rows, [rows, width], or all with zeros elsewhere. */
  private NDArray rowsOf(NDArray x, int[] rows, boolean keepPlaces) {
    int width = (int) x.getShape().get(1);
    float[] values = x.toFloatArray();
    float[] result = new float[keepPlaces ? values.length : rows.length * width];
    for (int i = 0; i < rows.length; i++) {
      int to = (keepPlaces ? rows[i] : i) * width;
      System.arraycopy(values, rows[i] * width, result, to, width);
    }
    return scope.create(result, new Shape(result.length / width, width));
  }

  private NDArray normal(long elements, double deviation, long seed, DType dtype, long... shape) {
    NDArray flat = Tensors.empty(scope, elements, dtype);
    Tensors.fillNormal(flat, deviation, seed);
    return Tensors.view(scope, flat, 0, shape);
  }

  private float[] floats(NDArray array) {
    return Tensors.cast(scope, array, DType.F32).toFloatArray();
  }

  private static void assertClose(String name, float[] ours, float[] theirs, double tolerance) {
    assertThat(ours).as(name).hasSameSizeAs(theirs);
    double difference = 0;
    double norm = 0;
    for (int i = 0; i < ours.length; i++) {
      difference += Math.pow(ours[i] - theirs[i], 2);
      norm += Math.pow(theirs[i], 2);
    }
    // The gradient of a key's bias is 0 but for rounding: it shifts all scores of a query alike.
    double noise = tolerance * Math.sqrt(ours.length);
    assertThat(Math.sqrt(difference))
        .as(name)
        .isLessThanOrEqualTo(tolerance * Math.sqrt(norm) + noise);
  }

  /** Of so large a vocabulary, logits are exponentiated five rows at once. */
  @Test
  void lossesAndTheirGradientsAreTheSameInAnyChunks() {
    ModelConfig config =
        config("llama").hiddenSize(8).vocabSize(200_000).tieWordEmbeddings(false).build();
    Map<String, float[]> one = head(config, 1);
    Map<String, float[]> all = head(config, 16);

    head(config, 7).forEach((name, values) -> assertClose(name, values, one.get(name), 1e-5));
    all.forEach((name, values) -> assertClose(name, values, one.get(name), 1e-5));
    assertThat(one.get("losses")[0]).isBetween(8f, 16f); // a guess costs log(200,000) = 12.2
  }

  /** Losses, gradients of the hidden states and of the head at 16 positions, by name. */
  private Map<String, float[]> head(ModelConfig config, int chunk) {
    try (Decoder decoder = new Decoder(Internals.description(config), Device.cpu())) {
      UnitTensors weights = random(decoder.units().get(2), DType.F32);
      UnitTensors gradients = UnitTensors.zeros(scope, weights.layout(), DType.F32);
      NDArray targets = scope.arange(16).mul(12_500).toType(DataType.INT64, false);
      NDList results =
          decoder.headBackward(
              scope,
              normal(20 * 8, 1, 1, DType.F32, 20, 8),
              scope.arange(3, 19).toType(DataType.INT64, false),
              targets.reshape(16, 1),
              scope.arange(1f, 17f).reshape(16, 1),
              scope.create(new Shape(chunk, decoder.logitsWidth())),
              weights,
              weights,
              gradients,
              gradients,
              false);
      return Map.of(
          "losses", results.get(0).toFloatArray(),
          "dx", results.get(1).toFloatArray(),
          "matrices", gradients.flat(0).toFloatArray(),
          "vectors", gradients.flat(1).toFloatArray());
    }
  }

  @Test
  void aTokenSeesAsManyTokensAsTheWindowIsWide() {
    ModelConfig config = config("mistral").field("sliding_window", 3).build();
    for (boolean cpuKernel : new boolean[] {true, false}) {
      try (Decoder decoder =
          new Decoder(Internals.description(config), Device.cpu(), cpuKernel, 0)) {
        UnitTensors weights = random(decoder.units().get(1), DType.F32);
        PackedInput input = decoder.pack(scope, new int[8], new int[] {8}, null, DType.F32);
        NDArray x = normal(8 * 24, 1, 1, DType.F32, 8, 24);
        float[] before = decoder.layer(scope, 0, x, input, weights, true).toFloatArray();
        Fill.with(Tensors.view(scope, x.reshape(-1), 2 * 24, 24), 0.1);
        float[] after = decoder.layer(scope, 0, x, input, weights, true).toFloatArray();

        for (int token = 0; token < 8; token++) {
          boolean same =
              Arrays.equals(
                  before, token * 24, token * 24 + 24, after, token * 24, token * 24 + 24);
          assertThat(same)
              .as("token %d, cpuKernel %s", token, cpuKernel)
              .isEqualTo(token < 2 || token > 4);
        }
      }
    }
  }

  @Test
  void packedExamplesHaveThePositionsThatEachHasAlone() {
    for (RopeScaling scaling :
        new RopeScaling[] {
          RopeScaling.DEFAULT,
          RopeScaling.linear(2),
          RopeScaling.dynamic(2),
          RopeScaling.yarn(4, 16),
          RopeScaling.llama3(8, 1, 4, 16)
        }) {
      ModelConfig config = config("llama").maxPositionEmbeddings(16).ropeScaling(scaling).build();
      try (Decoder decoder = new Decoder(Internals.description(config), Device.cpu())) {
        PackedInput packed =
            decoder.pack(scope, different(24, 5, 24), new int[] {24, 5, 24}, null, DType.F32);
        PackedInput longer = decoder.pack(scope, new int[24], new int[] {24}, null, DType.F32);
        PackedInput shorter = decoder.pack(scope, new int[5], new int[] {5}, null, DType.F32);

        assertThat(packed.cos()[0].getShape()).isEqualTo(new Shape(53, 1, 4));
        for (boolean sine : new boolean[] {false, true}) {
          float[] all = (sine ? packed.sin() : packed.cos())[0].toFloatArray();
          float[] first = (sine ? longer.sin() : longer.cos())[0].toFloatArray();
          float[] second = (sine ? shorter.sin() : shorter.cos())[0].toFloatArray();
          assertThat(Arrays.copyOfRange(all, 0, 96)).as("%s", scaling).isEqualTo(first);
          assertThat(Arrays.copyOfRange(all, 96, 116)).as("%s", scaling).isEqualTo(second);
          assertThat(Arrays.copyOfRange(all, 116, 212)).as("%s", scaling).isEqualTo(first);
        }
      }
    }
  }

  static Stream<RopeScaling> scalings() {
    return Stream.of(
        RopeScaling.DEFAULT,
        RopeScaling.linear(4),
        RopeScaling.dynamic(3),
        RopeScaling.yarn(4, 16),
        RopeScaling.llama3(8, 1, 4, 16));
  }

  @ParameterizedTest
  @MethodSource("scalings")
  void anglesArePositionTimesFrequencyScaledAsTheConfigurationSays(RopeScaling scaling) {
    ModelConfig config = config("llama").maxPositionEmbeddings(16).ropeScaling(scaling).build();
    for (int length : new int[] {16, 40}) {
      try (Decoder decoder = new Decoder(Internals.description(config), Device.cpu())) {
        PackedInput input =
            decoder.pack(scope, new int[length], new int[] {length}, null, DType.F32);
        float[] frequencies = scaling.inverseFrequencies(config.ropeTheta(), 8, 16, length);
        double scale = scaling.attentionScaling();
        float[] cos = input.cos()[0].toFloatArray();
        float[] sin = input.sin()[0].toFloatArray();
        for (int position = 0; position < length; position++) {
          for (int i = 0; i < 4; i++) {
            double angle = (float) position * frequencies[i];
            assertThat(cos[position * 4 + i])
                .isCloseTo((float) (Math.cos(angle) * scale), within(1e-5f));
            assertThat(sin[position * 4 + i])
                .isCloseTo((float) (Math.sin(angle) * scale), within(1e-5f));
          }
        }
      }
    }
  }

  @Test
  void dynamicFrequenciesChangeBeyondTheTrainedLengthOnly() {
    ModelConfig plain = config("llama").maxPositionEmbeddings(16).build();
    ModelConfig dynamic = plain.toBuilder().ropeScaling(RopeScaling.dynamic(2)).build();
    assertThat(secondSines(dynamic, 16)).isEqualTo(secondSines(plain, 16));
    assertThat(secondSines(dynamic, 17)).isNotEqualTo(secondSines(plain, 17));
  }

  /** Sines of position 1. */
  private float[] secondSines(ModelConfig config, int length) {
    try (Decoder decoder = new Decoder(Internals.description(config), Device.cpu())) {
      float[] all =
          decoder
              .pack(scope, new int[length], new int[] {length}, null, DType.F32)
              .sin()[0]
              .toFloatArray();
      return Arrays.copyOfRange(all, 4, 8);
    }
  }

  @Test
  void lengthsThatDoNotFitTheIdsAreRefused() {
    try (Decoder decoder =
        new Decoder(Internals.description(config("llama").build()), Device.cpu())) {
      for (int[] lengths : new int[][] {{3}, {5}, {4, 0}, {5, -1}, {}}) {
        assertThatThrownBy(() -> decoder.pack(scope, new int[4], lengths, null, DType.F32))
            .as(Arrays.toString(lengths))
            .isInstanceOf(IllegalArgumentException.class);
      }
      assertThatThrownBy(
              () -> decoder.pack(scope, new int[] {0, 41, 1}, new int[] {1, 2}, null, DType.F32))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("token id 41 at place 1 is not in the model's vocabulary of 41");
    }
  }
}
