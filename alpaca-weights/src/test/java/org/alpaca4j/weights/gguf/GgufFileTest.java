package org.alpaca4j.weights.gguf;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.fail;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import org.alpaca4j.core.AlpacaException;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.core.DType;
import org.alpaca4j.core.RopeScaling;
import org.alpaca4j.core.UnsupportedModelException;
import org.alpaca4j.core.internal.model.DecoderDescription.Rotary;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GgufFileTest {
  @TempDir Path folder;

  /** Writes a file's parts, little-endian. */
  private static final class Bytes {
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();

    Bytes u32(long number) {
      return number(number, 4);
    }

    Bytes u64(long number) {
      return number(number, 8);
    }

    Bytes string(String text) {
      u64(text.length());
      return raw(text);
    }

    Bytes raw(String text) {
      out.writeBytes(text.getBytes(StandardCharsets.ISO_8859_1));
      return this;
    }

    /** A tensor of F32 with one dimension. */
    Bytes tensor(String name, long elements, long type, long offset) {
      return string(name).u32(1).u64(elements).u32(type).u64(offset);
    }

    Bytes pad(int alignment) {
      return raw("\0".repeat((alignment - out.size() % alignment) % alignment));
    }

    private Bytes number(long number, int bytes) {
      for (int i = 0; i < bytes; i++) {
        out.write((int) (number >>> 8 * i));
      }
      return this;
    }
  }

  private static Bytes header(long tensors, long values) {
    return new Bytes().raw("GGUF").u32(3).u64(tensors).u64(values);
  }

  private Path write(Bytes bytes) throws IOException {
    return Files.write(folder.resolve("file.gguf"), bytes.out.toByteArray());
  }

  private void assertRefused(Bytes bytes, String... why) throws IOException {
    Path file = write(bytes);
    assertThatThrownBy(() -> GgufFile.open(file))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining(file.toString())
        .hasMessageContainingAll(why);
  }

  @Test
  void readsMetadataAndTensors() throws IOException {
    Bytes bytes = header(1, 2).string("general.alignment").u32(4).u32(8);
    bytes.string("list").u32(9).u32(8).u64(2).string("a").string("bc");
    bytes.string("t").u32(2).u64(2).u64(1).u32(0).u64(0).pad(8).u32(0x3f800000).u32(0x40000000);

    try (GgufFile file = GgufFile.open(write(bytes))) {
      assertThat(file.metadata().strings("list"))
          .hasValueSatisfying(list -> assertThat(list).containsExactly("a", "bc"));
      GgufTensor tensor = file.tensor("t");
      assertThat(tensor.shape()).containsExactly(1L, 2L);
      ByteBuffer data = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN);
      file.read(tensor, 0, data);
      assertThat(data.getFloat(4)).isEqualTo(2f);
    }
  }

  @Test
  void refusesWhatIsNoGguf() throws IOException {
    assertRefused(new Bytes(), "magic");
    assertRefused(new Bytes().raw("PK\3\4____"), "does not begin with 'GGUF'");
  }

  @Test
  void refusesOtherVersionsAndByteOrdersByName() throws IOException {
    assertRefused(new Bytes().raw("GGUF").raw("\0\0\0\3").u64(0).u64(0), "big-endian");
    assertRefused(new Bytes().raw("GGUF").u32(1).u64(0).u64(0), "version 1");
    assertRefused(new Bytes().raw("GGUF").u32(4).u64(0).u64(0), "version 4");
  }

  @Test
  void refusesCountsAndLengthsBeyondTheFile() throws IOException {
    assertRefused(header(Long.MAX_VALUE, 0), "tensors, too many");
    assertRefused(header(0, -1), "18446744073709551615 metadata values");
    assertRefused(header(0, 1).u64(1L << 62).raw("x".repeat(40)), "metadata key 0");
    assertRefused(
        header(0, 1).string("list").u32(9).u32(0).u64(1L << 40).raw("x".repeat(40)), "'list'");
    assertRefused(
        header(0, 1).string("list").u32(9).u32(8).u64(2).u64(-1).raw("x".repeat(40)), "list");
  }

  @Test
  void refusesMalformedMetadata() throws IOException {
    assertRefused(
        header(0, 2).string("a").u32(4).u32(1).string("a").u32(4).u32(1).pad(32), "'a' twice");
    assertRefused(header(0, 1).string("a").u32(13).u64(1), "unknown value type 13");
    assertRefused(header(0, 1).string("a").u32(7).raw("\2").pad(32), "neither 0 nor 1");
    assertRefused(header(0, 1).string("a").u32(8).string("\u00ff").pad(32), "not UTF-8");
    assertRefused(header(0, 1).string("general.alignment").u32(4).u32(24), "24", "a power of two");
    Bytes nested = header(0, 1).string("a").u32(9);
    for (int i = 0; i < 5; i++) {
      nested.u32(9).u64(1);
    }
    assertRefused(nested.u32(4).u64(0), "nested");
  }

  @Test
  void refusesTensorsThatCannotBe() throws IOException {
    assertRefused(header(1, 0).tensor("t", 8, 0, 64).pad(32), "'t'", "cut short");
    assertRefused(header(1, 0).tensor("t", 8, 0, 1).pad(32), "offset 1", "alignment");
    assertRefused(header(1, 0).tensor("t", 8, 0, Long.MAX_VALUE - 31).pad(32), "cut short");
    assertRefused(header(1, 0).tensor("t", 8, 10, 0).pad(32), "Q2_K", "not supported");
    assertRefused(header(1, 0).tensor("t", 8, 999, 0).pad(32), "999", "not supported");
    assertRefused(header(1, 0).tensor("t", 33, 8, 0).pad(32), "whole blocks of 32");
    assertRefused(header(1, 0).tensor("t", 0, 0, 0).pad(32), "impossible shape");
    assertRefused(header(1, 0).tensor("t", Long.MAX_VALUE, 0, 0).pad(32), "impossible shape");
    assertRefused(header(1, 0).string("t").u32(5).pad(64).pad(32), "5 dimensions");
  }

  @Test
  void refusesTensorsThatShareBytesOrNames() throws IOException {
    String data = "\0".repeat(128);
    assertRefused(
        header(2, 0).tensor("a", 16, 0, 0).tensor("b", 8, 0, 32).pad(32).raw(data), "overlap");
    assertRefused(
        header(2, 0).tensor("a", 8, 0, 0).tensor("a", 8, 0, 32).pad(32).raw(data), "'a' twice");
  }

  @Test
  void refusesModelsItCannotRepresent() throws IOException {
    Path file = write(header(0, 1).string("general.architecture").u32(8).string("mamba").pad(32));

    assertThatThrownBy(() -> GgufImport.builder(file).build().write(folder.resolve("out")))
        .isInstanceOf(UnsupportedModelException.class)
        .hasMessageContainingAll("mamba", "gemma3", "llama, phi2", "qwen2");
  }

  @Test
  void refusesMoreLayersThanTensors() throws IOException {
    Bytes bytes = header(0, 2).string("general.architecture").u32(8).string("llama");
    Path file = write(bytes.string("llama.block_count").u32(4).u32(9999).pad(32));

    assertThatThrownBy(() -> GgufImport.builder(file).build().write(folder.resolve("out")))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContainingAll("block_count is 9999", "only 0 tensors");
  }

  @Test
  void makesNoDivisorsForAHeadOfAnyWidth() throws IOException {
    Rotary rotary = new Rotary(0, 1 << 30, false, 10_000, RopeScaling.DEFAULT, false, false);
    float[] divisors = {1, 8};

    try (GgufFile file = GgufFile.open(write(header(0, 0).pad(32)))) {
      assertThatThrownBy(() -> Llama3Frequencies.scaling(file, divisors, rotary, 8192))
          .isInstanceOf(UnsupportedModelException.class)
          .hasMessageContaining("rope_freqs.weight is not Llama 3's");
    }
  }

  @Test
  void neverFailsOtherwiseThanDocumentedOnMutatedFiles() throws IOException {
    Path source =
        TinyModel.write(
            folder.resolve("source"),
            TinyModel.config("llama").numHiddenLayers(1).build(),
            DType.BF16,
            TinyModel.sentencePiece());
    Path file = folder.resolve("model.gguf");
    GgufExport.builder(source).embedTokenizerJson(false).build().write(file);
    byte[] sound = Files.readAllBytes(file);
    int header = sound.length - 70_000;
    for (int seed = 0; seed < 100; seed++) {
      Random random = new Random(seed);
      byte[] mutated = sound.clone();
      for (int change = random.nextInt(3); change >= 0; change--) {
        int at = random.nextInt(header);
        mutated[at] = (byte) (random.nextBoolean() ? random.nextInt(256) : mutated[at] ^ 0x80);
      }
      int length = random.nextInt(4) == 0 ? random.nextInt(sound.length) : sound.length;
      Files.write(file, java.util.Arrays.copyOf(mutated, length));
      Path out = folder.resolve("out" + seed);
      try {
        GgufImport.builder(file).build().write(out);
      } catch (AlpacaException expected) {
        assertThat(out).doesNotExist();
      } catch (RuntimeException | Error e) {
        fail("seed " + seed, e);
      }
    }
  }
}
