package org.alpaca4j.weights.gguf;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.Channels;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.alpaca4j.core.AlpacaException;
import org.alpaca4j.core.ModelConfig;
import org.alpaca4j.core.RopeScaling;
import org.alpaca4j.core.fuzz.Fuzz;
import org.alpaca4j.core.fuzz.Meter;
import org.alpaca4j.core.fuzz.Mutator;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Mutated GGUF files: header, metadata, every type of tensor, and whole models for the import. */
@Tag("fuzz")
class GgufFuzzIT {
  private static final long BASE_BYTES = 1 << 20;

  @TempDir Path temporary;

  /** A sound file, and how many bytes stand before its tensors. */
  private record Sound(byte[] bytes, int head) {}

  @Test
  void ggufFiles() throws IOException {
    List<Sound> sound =
        List.of(
            model("llama", "llama", RopeScaling.DEFAULT),
            model("llama", "gpt2", RopeScaling.llama3(8, 1, 4, 64)),
            model("qwen2", "gpt2", RopeScaling.linear(2)),
            model("mixtral", "llama", RopeScaling.DEFAULT),
            model("internlm2", "llama", RopeScaling.DEFAULT),
            model("gemma3_text", "llama", RopeScaling.linear(2)),
            model("gpt2", "gpt2", RopeScaling.DEFAULT),
            everyType());
    Fuzz.run(
        "gguf",
        25,
        BASE_BYTES,
        random -> {
          Mutator mutator = new Mutator(random);
          Sound file = mutator.pick(sound);
          int head = mutator.oneIn(8) ? file.bytes.length : file.head;
          byte[] header = Arrays.copyOf(file.bytes, head);
          byte[] changed = mutator.bytes(header, mutator.pick(sound).bytes);
          return Map.of("model.gguf", Mutator.replace(file.bytes, 0, head, changed));
        },
        (folder, meter) -> read(folder.resolve("model.gguf"), folder.resolve("out"), meter));
  }

  // ---- reading

  private static void read(Path file, Path target, Meter meter) throws Exception {
    try (GgufFile gguf = meter.measure("open", () -> GgufFile.open(file))) {
      for (GgufTensor tensor : gguf.tensors()) {
        meter.measure(
            "decode",
            () -> {
              TensorCopy.Source source =
                  new TensorCopy.Source(
                      tensor.type(),
                      tensor.elements(),
                      (offset, bytes) -> gguf.read(tensor, offset, bytes));
              TensorCopy.plain(tensor.name(), source, GgufType.F32)
                  .writeTo(Channels.newChannel(OutputStream.nullOutputStream()));
              return null;
            });
      }
    }
    GgufImport gguf = GgufImport.builder(file).build();
    try {
      meter.measure(
          "import",
          () -> {
            gguf.write(target);
            return null;
          });
    } catch (AlpacaException e) {
      assertThat(target).doesNotExist();
      throw e;
    } finally {
      Fuzz.deleteRecursively(target);
    }
  }

  // ---- files

  private Sound model(String family, String tokenizer, RopeScaling scaling) throws IOException {
    ModelConfig config =
        TinyModel.config(family)
            .hiddenSize(8)
            .intermediateSize(8)
            .numHiddenLayers(1)
            .headDim(4)
            .numAttentionHeads(2)
            .numKeyValueHeads(1)
            .vocabSize(8)
            .field("num_local_experts", 2)
            .field("query_pre_attn_scalar", 4)
            .field("bias", false)
            .ropeScaling(scaling)
            .build();
    Map<String, GgufValue> metadata = new LinkedHashMap<>();
    metadata.put("general.architecture", GgufValue.of(GgufArchitecture.of(config).ggufName()));
    metadata.putAll(GgufHyperparameters.write(config));
    metadata.put("tokenizer.ggml.model", GgufValue.of(tokenizer));
    metadata.put("tokenizer.ggml.pre", GgufValue.of("qwen2"));
    List<String> tokens = List.of("<unk>", "<s>", "</s>", "a", "b", "ab", "ba", "aba");
    metadata.put("tokenizer.ggml.tokens", GgufValue.strings(tokens));
    metadata.put("tokenizer.ggml.token_type", GgufValue.int32s(new int[] {2, 3, 3, 1, 1, 1, 1, 1}));
    metadata.put("tokenizer.ggml.scores", GgufValue.float32s(new float[8]));
    metadata.put("tokenizer.ggml.merges", GgufValue.strings(List.of("a b", "b a", "ab a")));
    metadata.put("tokenizer.ggml.bos_token_id", GgufValue.uint32(1));
    metadata.put("tokenizer.ggml.eos_token_id", GgufValue.uint32(2));
    metadata.put("tokenizer.ggml.add_bos_token", GgufValue.of(true));
    metadata.put("tokenizer.chat_template", GgufValue.of(TinyModel.TEMPLATE));
    List<GgufTensor> tensors = new ArrayList<>();
    for (GgufLayout.Entry entry : GgufLayout.of(config)) {
      for (GgufLayout.Part part : entry.parts()) {
        GgufType type = part.needsF32() ? GgufType.F32 : GgufType.BF16;
        tensors.add(GgufTensor.of(part.name(), type, part.shape()));
      }
    }
    Map<String, float[]> divisors = GgufRope.tensors(config);
    divisors.forEach(
        (name, values) ->
            tensors.add(GgufTensor.of(name, GgufType.F32, List.of((long) values.length))));
    return write(metadata, tensors, divisors);
  }

  /** One row of each type, and each kind of metadata. */
  private Sound everyType() throws IOException {
    Map<String, GgufValue> metadata = new LinkedHashMap<>();
    for (GgufValue.Kind kind : GgufValue.Kind.values()) {
      Object value =
          switch (kind) {
            case FLOAT32, FLOAT64 -> 1.5;
            case BOOL -> true;
            case STRING -> "text";
            case ARRAY -> nested();
            default -> 7L;
          };
      metadata.put("kind." + kind, new GgufValue(kind, value));
    }
    metadata.put("general.alignment", GgufValue.uint32(8));
    metadata.put("strings", GgufValue.strings(List.of("", "a", "bc")));
    metadata.put("flags", GgufValue.bools(new boolean[] {true, false}));
    List<GgufTensor> tensors = new ArrayList<>();
    for (GgufType type : GgufType.values()) {
      tensors.add(GgufTensor.of("of." + type, type, List.of(1L, 256L)));
    }
    return write(metadata, tensors, Map.of());
  }

  /** Two arrays of two bytes each. */
  private static GgufValue.Elements nested() {
    ByteBuffer bytes = ByteBuffer.allocate(28).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < 2; i++) {
      bytes.putInt(GgufValue.Kind.UINT8.id()).putLong(2).putShort((short) 7);
    }
    return new GgufValue.Elements(GgufValue.Kind.ARRAY, 2, bytes.flip());
  }

  private Sound write(
      Map<String, GgufValue> metadata, List<GgufTensor> tensors, Map<String, float[]> divisors)
      throws IOException {
    Path file = temporary.resolve("sound.gguf");
    new GgufWriter(file, metadata, tensors)
        .write(
            true,
            1,
            (tensor, out) -> {
              byte[] bytes = new byte[(int) tensor.byteLength()];
              new Random(bytes.length).nextBytes(bytes);
              float[] values = divisors.get(tensor.name());
              if (values != null) {
                ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().put(values);
              }
              out.write(ByteBuffer.wrap(bytes));
            });
    try (GgufFile gguf = GgufFile.open(file)) {
      long head = gguf.tensors().stream().mapToLong(GgufTensor::offset).min().orElseThrow();
      return new Sound(Files.readAllBytes(file), (int) head);
    }
  }
}
