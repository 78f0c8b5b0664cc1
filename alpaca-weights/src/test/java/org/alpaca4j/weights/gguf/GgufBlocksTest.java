package org.alpaca4j.weights.gguf;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Golden blocks: {@code gguf-blocks.txt} was made with the Python package gguf, {@code
 * gguf-encoded.txt} with llama.cpp's own library.
 */
class GgufBlocksTest {
  record Golden(String type, byte[] block, float[] values) {
    @Override
    public String toString() {
      return type;
    }
  }

  static List<Golden> decoded() throws IOException {
    return golden("gguf-blocks.txt").stream().filter(g -> !g.type.equals("Q8_0_ENCODED")).toList();
  }

  static List<Golden> encoded() throws IOException {
    return golden("gguf-blocks.txt").stream().filter(g -> g.type.equals("Q8_0_ENCODED")).toList();
  }

  static List<Golden> encodedByLlamaCpp() throws IOException {
    return golden("gguf-encoded.txt");
  }

  private static List<Golden> golden(String file) throws IOException {
    try (InputStream in = GgufBlocksTest.class.getResourceAsStream(file)) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8)
          .lines()
          .filter(line -> !line.startsWith("#"))
          .map(line -> line.split(" "))
          .map(f -> new Golden(f[0], HexFormat.of().parseHex(f[1]), floats(f[2])))
          .toList();
    }
  }

  private static float[] floats(String hex) {
    ByteBuffer bytes = ByteBuffer.wrap(HexFormat.of().parseHex(hex));
    float[] values = new float[bytes.remaining() / 4];
    bytes.asFloatBuffer().get(values);
    return values;
  }

  @ParameterizedTest
  @MethodSource("decoded")
  void decodesBlocksBitForBit(Golden golden) {
    GgufType type = GgufType.valueOf(golden.type);
    float[] values = new float[golden.values.length];

    GgufCodec.decode(type, golden.block, values, values.length);

    assertThat(values).hasSize(type.blockElements()).isEqualTo(golden.values);
  }

  @ParameterizedTest
  @MethodSource("encoded")
  void encodesQ8BlocksBitForBit(Golden golden) {
    byte[] block = new byte[34];

    GgufCodec.encode(GgufType.Q8_0, golden.values, block, 32);

    assertThat(block).isEqualTo(golden.block);
  }

  @ParameterizedTest
  @MethodSource("encodedByLlamaCpp")
  void encodesAsLlamaCpp(Golden golden) {
    GgufType type = GgufType.valueOf(golden.type);
    byte[] block = new byte[type.blockBytes()];

    GgufCodec.encode(type, golden.values, block, golden.values.length);

    assertThat(block).isEqualTo(golden.block);
  }

  @ParameterizedTest
  @EnumSource(names = {"Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"})
  void encodingErrsByLessThanItsBitsAllow(GgufType type) {
    Random random = new Random(11);
    float[] values = new float[64 * 256];
    for (int i = 0; i < values.length; i++) {
      values[i] = (float) random.nextGaussian();
    }
    byte[] blocks = new byte[(int) type.bytes(values.length)];
    float[] decoded = new float[values.length];

    GgufCodec.encode(type, values, blocks, values.length);
    GgufCodec.decode(type, blocks, decoded, values.length);

    double squares = 0;
    for (int i = 0; i < values.length; i++) {
      squares += Math.pow(decoded[i] - values[i], 2);
    }
    double expected =
        switch (type) {
          case Q8_0 -> 0.006;
          case Q6_K -> 0.02;
          case Q4_K -> 0.08;
          default -> 0.045;
        };
    assertThat(Math.sqrt(squares / values.length)).isBetween(expected / 3, expected);
  }
}
