package org.alpaca4j.weights.gguf;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.weights.gguf.GgufValue.Elements;
import org.alpaca4j.weights.gguf.GgufValue.Kind;

/**
 * Reads and validates the part of a GGUF file before the tensors' bytes. A count, length or offset
 * is compared with what is left of the file before anything is allocated or skipped by it.
 *
 * <p>Layout (ggml's {@code docs/gguf.md}): magic {@code GGUF}, version u32, tensor count u64,
 * metadata count u64; per metadata entry key, type u32, value; per tensor name, dimension count
 * u32, dimensions u64 (columns first), type u32, offset u64; padding to the alignment; data. A
 * string is its length u64 and UTF-8.
 */
final class GgufHeader {
  private static final int MAGIC = 0x46554747; // "GGUF"
  private static final int DEFAULT_ALIGNMENT = 32;
  private static final int MIN_VALUE_BYTES =
      8 + 1 + 4 + 1; // key of one letter, type, smallest value
  private static final int MIN_TENSOR_BYTES = 8 + 1 + 4 + 8 + 4 + 8;

  // ggml's own limits.
  private static final int MAX_KEY_BYTES = 65_535;
  private static final int MAX_NAME_BYTES = 64;
  private static final int MAX_DIMENSIONS = 4;

  /** Nobody nests arrays; the format permits it. */
  private static final int MAX_NESTING = 4;

  private static final Map<Integer, String> UNREAD_TYPES =
      Map.ofEntries(
          Map.entry(9, "Q8_1"),
          Map.entry(10, "Q2_K"),
          Map.entry(11, "Q3_K"),
          Map.entry(15, "Q8_K"),
          Map.entry(16, "IQ2_XXS"),
          Map.entry(17, "IQ2_XS"),
          Map.entry(18, "IQ3_XXS"),
          Map.entry(19, "IQ1_S"),
          Map.entry(20, "IQ4_NL"),
          Map.entry(21, "IQ3_S"),
          Map.entry(22, "IQ2_S"),
          Map.entry(23, "IQ4_XS"),
          Map.entry(24, "I8"),
          Map.entry(25, "I16"),
          Map.entry(26, "I32"),
          Map.entry(27, "I64"),
          Map.entry(28, "F64"),
          Map.entry(29, "IQ1_M"),
          Map.entry(34, "TQ1_0"),
          Map.entry(35, "TQ2_0"),
          Map.entry(39, "MXFP4"));

  private final Path file;
  private final ByteBuffer bytes;
  private final long fileSize;
  private final Map<String, GgufValue> metadata = new LinkedHashMap<>();
  private final Map<String, GgufTensor> tensors = new LinkedHashMap<>();

  private GgufHeader(Path file, ByteBuffer bytes, long fileSize) {
    this.file = file;
    this.bytes = bytes.order(ByteOrder.LITTLE_ENDIAN);
    this.fileSize = fileSize;
  }

  /**
   * Reads a header.
   *
   * @param start the file's begin, all of it up to 2 GiB
   * @throws CheckpointException if the file is not sound
   */
  static GgufHeader parse(Path file, ByteBuffer start, long fileSize) {
    GgufHeader header = new GgufHeader(file, start, fileSize);
    header.parse();
    return header;
  }

  Map<String, GgufValue> metadata() {
    return metadata;
  }

  Map<String, GgufTensor> tensors() {
    return tensors;
  }

  private void parse() {
    need(4 + 4, "magic and version");
    if (bytes.getInt() != MAGIC) {
      throw malformed("it does not begin with 'GGUF'");
    }
    int version = bytes.getInt();
    if ((version & 0xffff) == 0 && version != 0) {
      throw malformed("it is big-endian; only little-endian files can be read: take that one");
    }
    if (version != 2 && version != 3) {
      throw malformed(
          "it has version " + Integer.toUnsignedString(version) + "; versions 2 and 3 can be read");
    }
    need(8 + 8, "the counts");
    int tensorCount = count("tensors", bytes.getLong(), MIN_TENSOR_BYTES);
    int valueCount = count("metadata values", bytes.getLong(), MIN_VALUE_BYTES);
    for (int i = 0; i < valueCount; i++) {
      String key = string("metadata key " + i, MAX_KEY_BYTES);
      need(4, "the type of " + key);
      if (metadata.put(key, value(key, kind(key))) != null) {
        throw malformed("it has the metadata key '" + key + "' twice");
      }
    }
    int alignment = alignment();
    List<GgufTensor> found = new ArrayList<>();
    for (int i = 0; i < tensorCount; i++) {
      found.add(tensor(i, alignment));
    }
    long end = bytes.position();
    place(found, (end + alignment - 1) / alignment * alignment);
  }

  private int count(String what, long count, int minBytes) {
    if (count < 0 || count > bytes.remaining() / minBytes) {
      throw malformed(
          "it is said to have " + Long.toUnsignedString(count) + " " + what + ", too many for it");
    }
    return (int) count;
  }

  private void need(long length, String what) {
    if (length < 0 || length > bytes.remaining()) {
      throw malformed(
          what
              + " at byte "
              + bytes.position()
              + " would take "
              + Long.toUnsignedString(length)
              + " bytes, but it "
              + (fileSize > bytes.limit() ? "may not go beyond the first 2 GiB" : "ends before"));
    }
  }

  private String string(String what, long maxBytes) {
    need(8, what);
    long length = bytes.getLong();
    need(length, what);
    if (length == 0 || length > maxBytes) {
      throw malformed(what + " has " + length + " bytes; 1 to " + maxBytes + " are permitted");
    }
    return GgufMetadata.utf8(file, what, bytes, (int) length);
  }

  private Kind kind(String key) {
    int id = bytes.getInt();
    return Kind.ofId(id)
        .orElseThrow(
            () ->
                malformed(
                    "'" + key + "' has the unknown value type " + Integer.toUnsignedString(id)));
  }

  private GgufValue value(String key, Kind kind) {
    need(kind.bytes(), key);
    Object value =
        switch (kind) {
          case UINT8 -> (long) (bytes.get() & 0xff);
          case INT8 -> (long) bytes.get();
          case UINT16 -> (long) (bytes.getShort() & 0xffff);
          case INT16 -> (long) bytes.getShort();
          case UINT32 -> bytes.getInt() & 0xffffffffL;
          case INT32 -> (long) bytes.getInt();
          case UINT64, INT64 -> bytes.getLong();
          case FLOAT32 -> (double) bytes.getFloat();
          case FLOAT64 -> bytes.getDouble();
          case BOOL -> bool(key, bytes.get());
          case STRING -> {
            need(8, key);
            long length = bytes.getLong();
            need(length, key);
            yield GgufMetadata.utf8(file, key, bytes, (int) length);
          }
          case ARRAY -> array(key);
        };
    return new GgufValue(kind, value);
  }

  private boolean bool(String key, byte value) {
    if (value != 0 && value != 1) {
      throw malformed("the boolean '" + key + "' is " + value + ", neither 0 nor 1");
    }
    return value == 1;
  }

  private Elements array(String key) {
    need(4 + 8, key);
    Kind kind = kind(key);
    long count = bytes.getLong();
    int begin = bytes.position();
    skip(key, kind, count, 1);
    ByteBuffer elements = bytes.duplicate().limit(bytes.position()).position(begin).slice();
    return new Elements(kind, (int) count, elements);
  }

  /** Moves behind so many elements, and so checks that they are there. */
  private void skip(String key, Kind kind, long count, int nesting) {
    int smallest = kind == Kind.STRING ? 8 : kind == Kind.ARRAY ? 4 + 8 : kind.bytes();
    if (count < 0 || count > bytes.remaining() / smallest) {
      throw malformed(
          "the array '"
              + key
              + "' is said to have "
              + Long.toUnsignedString(count)
              + " elements, too many for it");
    }
    for (int i = 0; i < count; i++) {
      switch (kind) {
        case STRING -> {
          need(8, key);
          long length = bytes.getLong();
          need(length, key);
          bytes.position(bytes.position() + (int) length);
        }
        case ARRAY -> {
          if (nesting == MAX_NESTING) {
            throw malformed("the array '" + key + "' is nested more than " + MAX_NESTING + " deep");
          }
          need(4 + 8, key);
          Kind inner = kind(key);
          skip(key, inner, bytes.getLong(), nesting + 1);
        }
        case BOOL -> bool(key, bytes.get());
        default -> {
          bytes.position(bytes.position() + (int) count * kind.bytes());
          return;
        }
      }
    }
  }

  private int alignment() {
    GgufValue value = metadata.get("general.alignment");
    if (value == null) {
      return DEFAULT_ALIGNMENT;
    }
    boolean sound =
        value.kind() == Kind.UINT32
            && value.value() instanceof Long bytes
            && bytes <= 1 << 30
            && Long.bitCount(bytes) == 1;
    if (!sound || !(value.value() instanceof Long alignment)) {
      throw malformed("general.alignment is " + value.value() + ", but must be a power of two");
    }
    return alignment.intValue();
  }

  /** Reads a tensor's description; its offset is still relative to the data. */
  private GgufTensor tensor(int index, int alignment) {
    String name = string("the name of tensor " + index, MAX_NAME_BYTES);
    String what = "tensor '" + name + "'";
    need(4, what);
    int dimensions = bytes.getInt();
    if (dimensions < 1 || dimensions > MAX_DIMENSIONS) {
      throw malformed(
          what + " has " + Integer.toUnsignedString(dimensions) + " dimensions; 1 to 4 can be");
    }
    need(8L * dimensions + 4 + 8, what);
    List<Long> shape = new ArrayList<>();
    for (int i = 0; i < dimensions; i++) {
      shape.add(bytes.getLong());
    }
    Collections.reverse(shape);
    int id = bytes.getInt();
    GgufType type =
        GgufType.ofId(id)
            .orElseThrow(
                () ->
                    malformed(
                        what
                            + " has the type "
                            + UNREAD_TYPES.getOrDefault(id, Integer.toUnsignedString(id))
                            + ", which is not supported; supported: "
                            + List.of(GgufType.values())));
    long offset = bytes.getLong();
    if (offset < 0 || offset % alignment != 0) {
      throw malformed(
          what
              + " has the offset "
              + Long.toUnsignedString(offset)
              + ", not a multiple of the alignment "
              + alignment);
    }
    return new GgufTensor(name, type, List.copyOf(shape), offset, byteLength(what, type, shape));
  }

  private long byteLength(String what, GgufType type, List<Long> shape) {
    try {
      long elements = 1;
      for (long dimension : shape) {
        if (dimension < 1) {
          throw new ArithmeticException();
        }
        elements = Math.multiplyExact(elements, dimension);
      }
      if (shape.get(shape.size() - 1) % type.blockElements() == 0) {
        return type.bytes(elements);
      }
    } catch (ArithmeticException e) {
      throw malformed(what + " has the impossible shape " + shape);
    }
    throw malformed(
        what + " " + shape + " has rows that are not whole blocks of " + type.blockElements());
  }

  /** Gives tensors their place in the file; refuses those beyond its end and those that overlap. */
  private void place(List<GgufTensor> found, long dataOffset) {
    List<GgufTensor> byOffset = new ArrayList<>(found);
    byOffset.sort(Comparator.comparingLong(GgufTensor::offset));
    long end = 0;
    String before = "";
    for (GgufTensor tensor : byOffset) {
      if (tensor.offset() < end) {
        throw malformed("tensors '" + before + "' and '" + tensor.name() + "' overlap");
      }
      boolean beyond = tensor.offset() > fileSize; // else the next line could overflow
      if (beyond || tensor.byteLength() > fileSize - dataOffset - tensor.offset()) {
        throw malformed(
            "tensor '"
                + tensor.name()
                + "' of "
                + tensor.byteLength()
                + " bytes begins at data byte "
                + tensor.offset()
                + ", but the file has only "
                + fileSize
                + " bytes; was it cut short?");
      }
      end = tensor.offset() + tensor.byteLength();
      before = tensor.name();
    }
    for (GgufTensor tensor : found) {
      if (tensors.put(tensor.name(), tensor.at(dataOffset + tensor.offset())) != null) {
        throw malformed("it has the tensor '" + tensor.name() + "' twice");
      }
    }
  }

  private CheckpointException malformed(String why) {
    return new CheckpointException(file + " is not a sound GGUF file: " + why);
  }
}
