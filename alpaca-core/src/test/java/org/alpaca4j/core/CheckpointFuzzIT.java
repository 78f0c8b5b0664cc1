package org.alpaca4j.core;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.Channels;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.zip.CRC32;
import java.util.zip.CheckedOutputStream;
import org.alpaca4j.core.fuzz.Fuzz;
import org.alpaca4j.core.fuzz.Meter;
import org.alpaca4j.core.fuzz.Mutator;
import org.alpaca4j.core.fuzz.PickleMutator;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * Mutated weights: whatever is in a file, opening and reading it fails as documented or gives the
 * same bytes by each way of reading.
 */
@Tag("fuzz")
class CheckpointFuzzIT {
  /** A piece of copyTo takes 1 MiB at most, bounded by the tensor; exceptions and buffers less. */
  private static final long BASE_BYTES = 1 << 20;

  private static final String INDEX = "model.safetensors.index.json";
  private static final String BIN_INDEX = "pytorch_model.bin.index.json";

  private final ByteBuffer piece = ByteBuffer.allocate(4093); // not of whole elements

  @Test
  void safetensors() {
    List<byte[]> sound =
        List.of(safetensors(1, DType.values()), safetensors(2, DType.F32), empty());
    Fuzz.run(
        "safetensors",
        25,
        BASE_BYTES,
        random -> Map.of("model.safetensors", safetensors(new Mutator(random), sound)),
        this::read);
  }

  @Test
  void zip() {
    Fuzz.run("zip", 25, BASE_BYTES, random -> Map.of("pytorch_model.bin", zip(random)), this::read);
  }

  @Test
  void legacy() {
    Fuzz.run(
        "legacy",
        15,
        BASE_BYTES,
        random -> Map.of("pytorch_model.bin", legacy(random)),
        this::read);
  }

  @Test
  void safetensorsShards() {
    Map<String, byte[]> sound =
        Map.of(
            INDEX,
            index(".safetensors"),
            "a.safetensors",
            safetensors(3, "a", DType.F32, DType.BF16),
            "b.safetensors",
            safetensors(4, "b", DType.I64));
    Fuzz.run(
        "safetensors-index", 10, BASE_BYTES, random -> shards(random, sound, INDEX), this::read);
  }

  @Test
  void binShards() {
    Map<String, byte[]> sound =
        Map.of(
            BIN_INDEX,
            index(".bin"),
            "a.bin",
            new TorchFile()
                .tensor("a0", DType.F32, noise(8), 2)
                .tensor("a1", DType.BF16, noise(12), 3, 2)
                .bytes(),
            "b.bin",
            new TorchFile().legacy().tensor("b0", DType.F32, noise(24), 2, 3).bytes());
    Fuzz.run("bin-index", 10, BASE_BYTES, random -> shards(random, sound, BIN_INDEX), this::read);
  }

  // ---- reading

  private void read(Path folder, Meter meter) throws Exception {
    try (Checkpoint checkpoint = meter.measure("open", () -> Checkpoint.open(folder))) {
      AlpacaException refused = null;
      for (String name : checkpoint.names()) {
        try {
          read(checkpoint, name, meter);
        } catch (AlpacaException e) { // the other ones may still be read
          refused = e;
        }
      }
      if (refused != null) {
        throw refused;
      }
    }
  }

  private void read(Checkpoint checkpoint, String name, Meter meter) throws Exception {
    CRC32 read = new CRC32();
    long length = checkpoint.tensor(name).byteLength();
    meter.measure(
        "readBytes",
        () -> {
          for (long at = 0; at < length; at += piece.limit()) {
            piece.clear().limit((int) Math.min(piece.capacity(), length - at));
            checkpoint.readBytes(name, piece, at);
            read.update(piece.flip());
          }
          return null;
        });
    CRC32 mapped = new CRC32();
    mapped.update(meter.measure("map", () -> checkpoint.map(name)));
    CRC32 copied = new CRC32();
    CheckedOutputStream out = new CheckedOutputStream(OutputStream.nullOutputStream(), copied);
    meter.measure(
        "copyTo",
        () -> {
          checkpoint.copyTo(name, Channels.newChannel(out));
          return null;
        });
    assertThat(mapped.getValue()).as("map of %s", name).isEqualTo(read.getValue());
    assertThat(copied.getValue()).as("copyTo of %s", name).isEqualTo(read.getValue());
  }

  // ---- safetensors

  private static byte[] safetensors(Mutator mutator, List<byte[]> sound) {
    byte[] file = mutator.pick(sound);
    if (mutator.oneIn(4)) {
      return mutator.bytes(file, mutator.pick(sound));
    }
    int length = Math.toIntExact(ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN).getLong(0));
    byte[] header = new byte[length];
    System.arraycopy(file, 8, header, 0, length);
    byte[] changed = Mutator.replace(file, 8, 8 + length, mutator.json(header, header));
    long claimed = changed.length - (file.length - length);
    ByteBuffer.wrap(changed).order(ByteOrder.LITTLE_ENDIAN).putLong(0, claimed);
    return changed;
  }

  private static byte[] safetensors(int seed, DType... dtypes) {
    return safetensors(seed, "tensor.", dtypes);
  }

  private static byte[] safetensors(int seed, String prefix, DType... dtypes) {
    StringBuilder header = new StringBuilder("{\"__metadata__\":{\"format\":\"pt\"}");
    int end = 0;
    for (int i = 0; i < dtypes.length; i++) {
      int length = (i + 1) * seed * 2 * dtypes[i].bytes();
      header.append(
          ",\"%s%d\":{\"dtype\":\"%s\",\"shape\":[%d,%d],\"data_offsets\":[%d,%d]}"
              .formatted(
                  prefix, i, dtypes[i].safetensorsName(), i + 1, seed * 2, end, end + length));
      end += length;
    }
    return safetensors(header + "}", noise(end));
  }

  private static byte[] empty() {
    return safetensors(
        "{\"none\":{\"dtype\":\"F32\",\"shape\":[0,3],\"data_offsets\":[0,0]},"
            + "\"scalar\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,1]}}  ",
        noise(1));
  }

  private static byte[] safetensors(String header, byte[] data) {
    byte[] json = header.getBytes(StandardCharsets.UTF_8);
    return ByteBuffer.allocate(8 + json.length + data.length)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putLong(json.length)
        .put(json)
        .put(data)
        .array();
  }

  // ---- PyTorch

  private static byte[] zip(Random random) {
    Mutator mutator = new Mutator(random);
    boolean pickle = mutator.oneIn(2);
    TorchFile file = pickled(mutator);
    if (pickle) {
      file.edited(new PickleMutator(mutator)::pickle);
    }
    ZipWriter zip = new ZipWriter();
    if (mutator.oneIn(3)) {
      zip.zip64();
    }
    if (mutator.oneIn(3)) {
      file.compressed();
    }
    file.zip("archive/", zip, mutator.oneIn(4) ? "big" : "little");
    if (mutator.oneIn(8)) {
      zip.claim("archive/data/x", mutator.number(240), mutator.number(1000));
    }
    byte[] sound = zip.finish();
    return pickle && !mutator.oneIn(4) ? sound : mutator.bytes(sound, sound);
  }

  private static byte[] legacy(Random random) {
    Mutator mutator = new Mutator(random);
    TorchFile file =
        new TorchFile()
            .legacy()
            .tensor("a", DType.F32, noise(48), 3, 4)
            .transposed("b", DType.I32, noise(48), longs(4, 3))
            .view("c", "0", DType.F32, 2, longs(2, 2), longs(4, 1));
    boolean pickle = mutator.oneIn(2);
    if (pickle) {
      file.edited(new PickleMutator(mutator)::pickle);
    }
    byte[] sound = file.bytes();
    return pickle && !mutator.oneIn(4) ? sound : mutator.bytes(sound, sound);
  }

  /** Tensors of several types, in order and not, of which some share a storage. */
  private static TorchFile pickled(Mutator mutator) {
    TorchFile file = new TorchFile().storage("shared", noise(256));
    for (int count = 1 + mutator.below(4); count > 0; count--) {
      DType dtype = mutator.pick(List.of(DType.values()));
      String name = "tensor." + count;
      long visible = 256 / dtype.bytes();
      switch (mutator.below(6)) {
        case 0 -> file.tensor(name, dtype, noise(6 * dtype.bytes()), 2, 3);
        case 1 -> file.view(name, "shared", dtype, 1, longs(visible / 4, 2), longs(1, visible / 4));
        case 2 -> file.view(name, "shared", dtype, 3, longs(2, 3, 4), longs(5, 0, 1));
        case 3 -> file.view(name, "shared", dtype, 0, longs(40, 60), longs(0, 0));
        case 4 -> file.tensor(name, dtype, new byte[500 * dtype.bytes()], 500);
        default -> file.parameter(name, "shared", dtype, longs(visible), longs(1));
      }
    }
    return file;
  }

  // ---- shards

  private static Map<String, byte[]> shards(
      Random random, Map<String, byte[]> sound, String index) {
    Mutator mutator = new Mutator(random);
    Map<String, byte[]> files = new HashMap<>(sound);
    if (mutator.oneIn(4)) {
      String name = mutator.pick(sound.keySet().stream().sorted().toList());
      byte[] other = sound.get(mutator.pick(sound.keySet().stream().sorted().toList()));
      files.put(name, mutator.bytes(sound.get(name), other));
    } else {
      files.put(index, mutator.json(sound.get(index), sound.get(index)));
    }
    return files;
  }

  private static byte[] index(String extension) {
    return """
        {"metadata": {"total_size": 44},
         "weight_map": {"a0": "a%1$s", "a1": "a%1$s", "b0": "b%1$s"}}
        """
        .formatted(extension)
        .getBytes(StandardCharsets.UTF_8);
  }

  private static byte[] noise(int length) {
    byte[] bytes = new byte[length];
    new Random(length).nextBytes(bytes);
    return bytes;
  }

  private static long[] longs(long... values) {
    return values;
  }
}
