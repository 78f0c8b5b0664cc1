package org.alpaca4j.core;

import ai.djl.Device;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import org.alpaca4j.core.internal.model.LlamaDecoder;
import org.alpaca4j.core.internal.model.UnitLayout;

/** Writes a Llama of a few thousand random weights, with the byte-level tokenizer of the tests. */
final class TinyModel {
  static final int VOCABULARY = 265;

  private static final Path TOKENIZER = Path.of("src/test/resources/byte-level-tokenizer");

  private TinyModel() {}

  /** The configuration of {@link #write}. */
  static ModelConfig.Builder config() {
    return ModelConfig.builder("llama")
        .vocabSize(VOCABULARY)
        .hiddenSize(32)
        .intermediateSize(48)
        .numHiddenLayers(2)
        .numAttentionHeads(4)
        .numKeyValueHeads(2)
        .headDim(8)
        .maxPositionEmbeddings(128)
        .tieWordEmbeddings(true)
        .eosTokenIds(List.of(2));
  }

  /** Writes a model whose weights are bf16 values, in the given type. */
  static Path write(Path folder, ModelConfig config, DType dtype, boolean tokenizer)
      throws IOException {
    List<UnitLayout> units;
    try (LlamaDecoder decoder = new LlamaDecoder(config, Device.cpu())) {
      units = decoder.units();
    }
    CheckpointWriter.Builder writer = CheckpointWriter.builder(folder).config(config);
    for (UnitLayout unit : units) {
      unit.parameters().forEach(p -> writer.tensor(p.name(), dtype, p.shapeArray()));
    }
    if (tokenizer) {
      writer.copy(TOKENIZER.resolve("tokenizer.json"));
      writer.copy(TOKENIZER.resolve("tokenizer_config.json"));
    }
    writer
        .build()
        .write(
            (name, out) -> {
              for (UnitLayout unit : units) {
                for (UnitLayout.Parameter parameter : unit.parameters()) {
                  if (parameter.name().equals(name)) {
                    out.write(values(parameter, dtype));
                  }
                }
              }
            });
    return folder;
  }

  static Path write(Path folder) throws IOException {
    return write(folder, config().build(), DType.F32, true);
  }

  private static ByteBuffer values(UnitLayout.Parameter parameter, DType dtype) {
    Random random = new Random(parameter.name().hashCode());
    int elements = (int) parameter.elements();
    ByteBuffer bytes = ByteBuffer.allocate(elements * dtype.bytes()).order(ByteOrder.LITTLE_ENDIAN);
    boolean norm = parameter.name().endsWith("norm.weight");
    for (int i = 0; i < elements; i++) {
      float value = (float) ((norm ? 1 : 0) + random.nextGaussian() * 0.3);
      int bits = Float.floatToIntBits(value) & 0xffff0000; // a value that bf16 has
      if (dtype == DType.F32) {
        bytes.putInt(bits);
      } else {
        bytes.putShort((short) (bits >>> Short.SIZE));
      }
    }
    return bytes.flip();
  }
}
