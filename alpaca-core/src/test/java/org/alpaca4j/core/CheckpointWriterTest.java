package org.alpaca4j.core;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.BrokenBarrierException;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CheckpointWriterTest {
  private static final String ID = "0123456789abcdef";

  @TempDir Path parent;
  private Path target;

  @BeforeEach
  void nameTheTarget() {
    target = parent.resolve("model");
  }

  /** Supplies the tensor's name, repeated, one byte at a time. */
  private static void names(String name, WritableByteChannel out) throws IOException {
    byte[] bytes = name.repeat(100).getBytes(StandardCharsets.UTF_8);
    for (int i = 0; i < 8; i++) {
      out.write(ByteBuffer.wrap(bytes, i, 1));
    }
  }

  private CheckpointWriter.Builder four() {
    return CheckpointWriter.builder(target)
        .tensor("b", DType.F32, 2)
        .tensor("a", DType.BF16, 2, 2)
        .tensor("d", DType.F32, 2, 1)
        .tensor("c", DType.I64)
        .file("config.json", "{}");
  }

  private List<String> siblings() throws IOException {
    try (Stream<Path> files = Files.list(parent)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }

  private static List<String> list(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }

  private static String read(Checkpoint checkpoint, String name) {
    return StandardCharsets.UTF_8.decode(checkpoint.map(name)).toString();
  }

  @Test
  void whatIsWrittenIsReadBack() throws IOException {
    four().build().write(CheckpointWriterTest::names);

    assertThat(list(target)).containsExactly("config.json", "model.safetensors");
    assertThat(siblings()).containsExactly("model");
    try (Checkpoint checkpoint = Checkpoint.open(target)) {
      assertThat(checkpoint.names()).containsExactly("a", "b", "c", "d");
      assertThat(checkpoint.tensor("a").shape()).containsExactly(2, 2);
      assertThat(checkpoint.tensor("c").shape()).isEmpty();
      for (String name : checkpoint.names()) {
        assertThat(read(checkpoint, name)).isEqualTo(name.repeat(8));
      }
    }
  }

  /** As {@code safetensors.torch.save} 0.8.0 orders, pads and spells it. */
  @Test
  void theFileIsLaidOutAsTheReferenceDoes() throws IOException {
    List<String> order = new ArrayList<>();
    four()
        .build()
        .write(
            (name, out) -> {
              order.add(name);
              names(name, out);
            });

    assertThat(order).containsExactly("c", "b", "d", "a");
    byte[] file = Files.readAllBytes(target.resolve("model.safetensors"));
    String header =
        "{\"__metadata__\":{\"format\":\"pt\"},"
            + "\"c\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},"
            + "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]},"
            + "\"d\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[16,24]},"
            + "\"a\":{\"dtype\":\"BF16\",\"shape\":[2,2],\"data_offsets\":[24,32]}}";
    String text = new String(file, 8, file.length - 8, StandardCharsets.UTF_8);
    assertThat(text).startsWith(header).endsWith("aaaaaaaa");
    assertThat(file.length % 8).isZero();
    assertThat(file[0] & 0xff | (file[1] & 0xff) << 8).isEqualTo(file.length - 8 - 32);
  }

  @Test
  void shardsAreFilledInTheOrderOfDeclarationAndALargeTensorHasItsOwn() throws IOException {
    four()
        .tensor("large", DType.U8, 17)
        .tensor("e", DType.U8, 8)
        .maxShardBytes(16)
        .build()
        .write((name, out) -> out.write(ByteBuffer.wrap(new byte[name.equals("large") ? 17 : 8])));

    assertThat(list(target))
        .containsExactly(
            "config.json",
            "model-00001-of-00004.safetensors",
            "model-00002-of-00004.safetensors",
            "model-00003-of-00004.safetensors",
            "model-00004-of-00004.safetensors",
            "model.safetensors.index.json");
    JsonNode index =
        new JsonMapper().readTree(target.resolve("model.safetensors.index.json").toFile());
    assertThat(index.at("/metadata/total_size").asLong()).isEqualTo(57);
    assertThat(index.get("weight_map"))
        .isEqualTo(
            new JsonMapper()
                .readTree(
                    """
                    {"a": "model-00001-of-00004.safetensors",
                     "b": "model-00001-of-00004.safetensors",
                     "c": "model-00003-of-00004.safetensors",
                     "d": "model-00003-of-00004.safetensors",
                     "large": "model-00002-of-00004.safetensors",
                     "e": "model-00004-of-00004.safetensors"}
                    """));
    try (Checkpoint checkpoint = Checkpoint.open(target)) {
      assertThat(checkpoint.names()).hasSize(6);
    }
  }

  @Test
  void otherFilesAreWrittenCopiedAndLeftToCallbacks() throws IOException {
    Path generation = Files.writeString(parent.resolve("generation_config.json"), "{\"a\":1}");
    ModelConfig config = ModelConfig.builder("llama").build();
    CheckpointWriter.builder(target)
        .weightsName("adapter_model")
        .tensor("a", DType.U8, 8)
        .config(config)
        .copy(generation)
        .files(folder -> Files.writeString(folder.resolve("tokenizer.json"), "{}"))
        .build()
        .write(CheckpointWriterTest::names);

    assertThat(list(target))
        .containsExactly(
            "adapter_model.safetensors", "config.json", "generation_config.json", "tokenizer.json");
    assertThat(ModelConfig.load(target.resolve("config.json"))).isEqualTo(config);
    assertThat(target.resolve("generation_config.json")).hasContent("{\"a\":1}");
  }

  @Test
  void aCheckpointIsCopiedTensorByTensor() throws IOException {
    four().build().write(CheckpointWriterTest::names);
    Path copy = parent.resolve("deep/er/copy");
    try (Checkpoint checkpoint = Checkpoint.open(target)) {
      CheckpointWriter.Builder writer = CheckpointWriter.builder(copy);
      for (String name : checkpoint.names()) {
        writer.tensor(name, checkpoint.tensor(name).dtype(), checkpoint.tensor(name).shape());
      }
      writer.build().write(checkpoint::copyTo);
    }
    assertThat(copy.resolve("model.safetensors"))
        .hasSameBinaryContentAs(target.resolve("model.safetensors"));
  }

  @Test
  void anExistingCheckpointIsRefusedUnlessReplacementIsAllowed() throws IOException {
    four().build().write(CheckpointWriterTest::names);
    Files.writeString(target.resolve("config.json"), "old");

    assertThatThrownBy(() -> four().build().write(CheckpointWriterTest::names))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining(target.toString())
        .hasMessageContaining("replaceExisting(true)");
    assertThat(target.resolve("config.json")).hasContent("old");

    four().replaceExisting(true).build().write(CheckpointWriterTest::names);
    assertThat(target.resolve("config.json")).hasContent("{}");
    assertThat(siblings()).containsExactly("model");
  }

  @Test
  void anEmptyFolderIsReplacedAndAnyOtherContentIsNot() throws IOException {
    Files.createDirectory(target);
    four().build().write(CheckpointWriterTest::names);

    Files.createDirectory(target.resolve("runs"));
    assertThatThrownBy(
            () -> four().replaceExisting(true).build().write(CheckpointWriterTest::names))
        .hasMessageContaining("sub-folder runs");

    target = Files.createDirectory(parent.resolve("home"));
    Files.writeString(target.resolve("diary.txt"), "dear");
    assertThatThrownBy(
            () -> four().replaceExisting(true).build().write(CheckpointWriterTest::names))
        .hasMessageContaining("not a checkpoint's");
    assertThat(target.resolve("diary.txt")).hasContent("dear");

    target = Files.createFile(parent.resolve("file"));
    assertThatThrownBy(() -> four().build().write(CheckpointWriterTest::names))
        .hasMessageContaining("a file of that name exists");
    assertThat(siblings()).containsExactly("file", "home", "model");
  }

  @Test
  void aReplacedCheckpointMayBeTheSourceOfTheNewOne() throws IOException {
    four().build().write(CheckpointWriterTest::names);
    try (Checkpoint checkpoint = Checkpoint.open(target)) {
      CheckpointWriter.builder(target)
          .tensor("b", DType.F32, 2)
          .replaceExisting(true)
          .build()
          .write(checkpoint::copyTo);
      assertThat(read(checkpoint, "a")).isEqualTo("aaaaaaaa");
    }
    try (Checkpoint checkpoint = Checkpoint.open(target)) {
      assertThat(read(checkpoint, "b")).isEqualTo("bbbbbbbb");
    }
  }

  private void assertFailsWithoutTrace(
      CheckpointWriter.Builder writer, CheckpointWriter.TensorSource source, String... message)
      throws IOException {
    List<String> before = siblings();
    assertThatThrownBy(() -> writer.build().write(source))
        .isInstanceOf(CheckpointException.class)
        .hasMessageStartingWith("Cannot write the checkpoint " + target)
        .hasMessageContainingAll(message);
    assertThat(siblings()).isEqualTo(before);
  }

  @Test
  void aFullDiskLeavesNothingBehind() throws IOException {
    assertFailsWithoutTrace(
        four().outputs(output -> new FullDisk(output, 8 + 256 + 8 + 8 + 4)),
        CheckpointWriterTest::names,
        "tensor 'd' in model.safetensors",
        "No space left on device");
  }

  @Test
  void aFullDiskLeavesTheEarlierCheckpointAsItWas() throws IOException {
    four().build().write(CheckpointWriterTest::names);
    byte[] before = Files.readAllBytes(target.resolve("model.safetensors"));
    assertFailsWithoutTrace(
        four().replaceExisting(true).outputs(output -> new FullDisk(output, 10)),
        CheckpointWriterTest::names,
        "No space left on device");
    assertThat(target.resolve("model.safetensors")).hasBinaryContent(before);
  }

  @Test
  void moreBytesThanTheDiskHasAreRefusedAtOnce() throws IOException {
    assertFailsWithoutTrace(
        CheckpointWriter.builder(target).tensor("a", DType.U8, Long.MAX_VALUE),
        (name, out) -> {
          throw new AssertionError("nothing should be asked for");
        },
        "need 9223372036854775807 bytes");
  }

  @Test
  void aFailingSourceLeavesNothingBehind() throws IOException {
    assertFailsWithoutTrace(
        four(),
        (name, out) -> {
          throw new IllegalStateException("the model was closed");
        },
        "tensor 'c'",
        "the model was closed");
    assertFailsWithoutTrace(
        four()
            .files(
                folder -> {
                  throw new IOException("no tokenizer");
                }),
        CheckpointWriterTest::names,
        "no tokenizer");
    assertFailsWithoutTrace(
        four().copy(parent.resolve("absent.json")),
        CheckpointWriterTest::names,
        "absent.json: NoSuchFileException");
  }

  @Test
  void anErrorLeavesNothingBehindEither() throws IOException {
    assertThatThrownBy(
            () ->
                four()
                    .build()
                    .write(
                        (name, out) -> {
                          throw new OutOfMemoryError("test");
                        }))
        .isInstanceOf(OutOfMemoryError.class);
    assertThat(siblings()).isEmpty();
  }

  @Test
  void aSourceMustSupplyExactlyTheDeclaredBytes() throws IOException {
    assertFailsWithoutTrace(
        four(),
        (name, out) -> out.write(ByteBuffer.allocate(7)),
        "tensor 'c'",
        "7 bytes instead of 8");
    assertFailsWithoutTrace(
        four(),
        (name, out) -> out.write(ByteBuffer.allocate(9)),
        "tensor 'c'",
        "more than the declared 8 bytes");
  }

  @Test
  void anUnwritableParentIsNamed() throws IOException {
    Path file = Files.createFile(parent.resolve("file"));
    assertThatThrownBy(
            () ->
                CheckpointWriter.builder(file.resolve("model"))
                    .build()
                    .write(CheckpointWriterTest::names))
        .isInstanceOf(CheckpointException.class)
        .hasMessageContaining(file.resolve("model").toString());
  }

  @Test
  void impossibleDeclarationsAreRefusedAtOnce() {
    assertThatThrownBy(() -> four().tensor("a", DType.U8, 1)).hasMessageContaining("twice");
    assertThatThrownBy(() -> four().tensor("z", DType.U8, -1)).hasMessageContaining("impossible");
    assertThatThrownBy(() -> four().tensor("z", DType.F64, Long.MAX_VALUE))
        .hasMessageContaining("impossible");
    assertThatThrownBy(() -> four().tensor("__metadata__", DType.U8))
        .hasMessageContaining("reserved");
    assertThatThrownBy(() -> four().file("../x", "")).hasMessageContaining("plain file name");
    assertThatThrownBy(() -> four().file("config.json", "")).hasMessageContaining("twice");
    assertThatThrownBy(() -> four().maxShardBytes(0).build()).hasMessageContaining("maxShardBytes");
    assertThatThrownBy(() -> four().threads(0).build()).hasMessageContaining("threads");
    assertThatThrownBy(() -> four().weightsName("a/b").build()).hasMessageContaining("weightsName");
  }

  @Test
  void leftoversOfAKilledWriteAreRemovedAndNothingElse() throws IOException {
    Path leftover = Files.createDirectory(parent.resolve(".model.tmp-" + ID));
    Files.writeString(leftover.resolve("model.safetensors"), "half");
    Files.createFile(parent.resolve(".model.tmp-" + ID + ".lock"));
    Files.createDirectory(parent.resolve(".model.tmp-mine"));
    Files.createDirectory(parent.resolve(".other.tmp-" + ID));

    four().build().write(CheckpointWriterTest::names);

    assertThat(siblings()).containsExactly(".model.tmp-mine", ".other.tmp-" + ID, "model");
  }

  @Test
  void aWriteInProgressIsNoLeftover() throws IOException {
    four()
        .build()
        .write(
            (name, out) -> {
              if (name.equals("c")) {
                four().build().write(CheckpointWriterTest::names);
                Files.delete(target.resolve("config.json"));
                Files.delete(target.resolve("model.safetensors"));
              }
              names(name, out);
            });
    assertThat(siblings()).containsExactly("model");
    assertThat(list(target)).containsExactly("config.json", "model.safetensors");
  }

  @Test
  void anEarlierVersionLeftAsideByAKilledReplacementIsRestored() throws IOException {
    Path aside = parent.resolve(".model.old-" + ID);
    four().build().write(CheckpointWriterTest::names);
    Files.writeString(target.resolve("config.json"), "old");
    Files.move(target, aside);

    assertThatThrownBy(() -> Checkpoint.open(target)).hasMessageContaining(aside.toString());
    assertThatThrownBy(() -> four().build().write(CheckpointWriterTest::names))
        .hasMessageContaining("replaceExisting");
    assertThat(target.resolve("config.json")).hasContent("old");
    assertThat(siblings()).containsExactly("model");

    Files.createDirectory(aside);
    four().replaceExisting(true).build().write(CheckpointWriterTest::names);
    assertThat(siblings()).containsExactly("model");
  }

  @Test
  void aLinkedTargetIsWrittenWhereItPoints() throws IOException {
    Path disk = Files.createDirectories(parent.resolve("disk/model"));
    Files.createSymbolicLink(target, disk);
    four().build().write(CheckpointWriterTest::names);

    assertThat(target).isSymbolicLink();
    assertThat(list(disk)).containsExactly("config.json", "model.safetensors");
  }

  @Test
  void largeBuffersOfTheHeapAreWrittenWhole() throws IOException {
    int bytes = 5_000_000;
    CheckpointWriter.builder(target)
        .tensor("a", DType.U8, bytes)
        .build()
        .write(
            (name, out) -> {
              ByteBuffer buffer = ByteBuffer.allocate(bytes).put(bytes - 1, (byte) 7);
              assertThat(out.write(buffer)).isEqualTo(bytes);
              assertThat(buffer.hasRemaining()).isFalse();
            });
    try (Checkpoint checkpoint = Checkpoint.open(target)) {
      assertThat(checkpoint.map("a").get(bytes - 1)).isEqualTo((byte) 7);
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 3})
  void tensorsOfManyBlocksAreWrittenWhole(int threads) throws IOException {
    Map<String, byte[]> contents = new TreeMap<>();
    Random random = new Random(threads);
    for (int size : new int[] {9_000_011, 1, 5_000_007, 4096, 0, 13_000_001}) {
      byte[] bytes = new byte[size];
      random.nextBytes(bytes);
      contents.put("t" + size, bytes);
    }
    CheckpointWriter.Builder writer = CheckpointWriter.builder(target).threads(threads);
    contents.forEach((name, bytes) -> writer.tensor(name, DType.U8, bytes.length));
    writer
        .build()
        .write(
            (name, out) -> {
              byte[] bytes = contents.get(name);
              for (int from = 0; from < bytes.length; from += 777_777) {
                out.write(ByteBuffer.wrap(bytes, from, Math.min(777_777, bytes.length - from)));
              }
            });
    try (Checkpoint checkpoint = Checkpoint.open(target)) {
      contents.forEach(
          (name, bytes) -> assertThat(checkpoint.map(name)).isEqualTo(ByteBuffer.wrap(bytes)));
    }
  }

  @Test
  void aWriterThatBreaksDownIsNoSuccess() throws IOException {
    assertFailsWithoutTrace(
        CheckpointWriter.builder(target)
            .tensor("a", DType.U8, 8)
            .outputs(
                output ->
                    (bytes, position) -> {
                      if (position == 0) {
                        return output.write(bytes, position); // the header
                      }
                      throw new IllegalStateException("broken");
                    }),
        CheckpointWriterTest::names,
        "tensor 'a' in model.safetensors",
        "broken");
  }

  @Test
  void severalThreadsWriteTheSameFiles() throws IOException {
    four().tensor("e", DType.U8, 8).maxShardBytes(24).build().write(CheckpointWriterTest::names);
    Path sequential = target;
    target = parent.resolve("parallel");
    four()
        .tensor("e", DType.U8, 8)
        .maxShardBytes(24)
        .threads(3)
        .build()
        .write(CheckpointWriterTest::names);

    assertThat(list(target)).isEqualTo(list(sequential));
    for (String file : list(target)) {
      assertThat(target.resolve(file)).hasSameBinaryContentAs(sequential.resolve(file));
    }
  }

  @Test
  void severalThreadsAreWaitedForWhenOneFails() throws IOException {
    AtomicInteger working = new AtomicInteger();
    CyclicBarrier together = new CyclicBarrier(2);
    assertFailsWithoutTrace(
        four().threads(2),
        (name, out) -> {
          working.incrementAndGet();
          try {
            if (name.equals("c") || name.equals("b")) {
              together.await(); // the first two to be asked for
            }
            if (name.equals("c")) {
              throw new IOException("the source is gone");
            }
            names(name, out);
          } catch (InterruptedException | BrokenBarrierException e) {
            throw new IllegalStateException(e);
          } finally {
            working.decrementAndGet();
          }
        },
        "tensor 'c'",
        "the source is gone");
    assertThat(working).hasValue(0);
    assertFailsWithoutTrace(
        four().threads(2).outputs(output -> new FullDisk(output, 8 + 256 + 8 + 8 + 4)),
        CheckpointWriterTest::names,
        "No space left on device");
    assertThatThrownBy(
            () ->
                four()
                    .threads(2)
                    .build()
                    .write(
                        (name, out) -> {
                          throw new OutOfMemoryError("test");
                        }))
        .isInstanceOf(OutOfMemoryError.class);
    assertThat(siblings()).isEmpty();
  }

  /** A disk that is full after so many bytes. */
  private static final class FullDisk implements ShardFile.Output {
    private final ShardFile.Output out;
    private final AtomicInteger left;

    FullDisk(ShardFile.Output out, int left) {
      this.out = out;
      this.left = new AtomicInteger(left);
    }

    @Override
    public int write(ByteBuffer bytes, long position) throws IOException {
      if (left.addAndGet(-bytes.remaining()) < 0) {
        throw new IOException("No space left on device");
      }
      return out.write(bytes, position);
    }
  }
}
