package org.alpaca4j.weights.gguf;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Golden blocks: {@code gguf-blocks.txt} was made with the Python package gguf. */
class GgufBlocksTest {
  record Golden(String type, byte[] block, float[] values) {
    @Override
    public String toString() {
      return type;
    }
  }

  static List<Golden> decoded() throws IOException {
    return golden().stream().filter(g -> !g.type.equals("Q8_0_ENCODED")).toList();
  }

  static List<Golden> encoded() throws IOException {
    return golden().stream().filter(g -> g.type.equals("Q8_0_ENCODED")).toList();
  }

  private static List<Golden> golden() throws IOException {
    try (InputStream in = GgufBlocksTest.class.getResourceAsStream("gguf-blocks.txt")) {
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
}
