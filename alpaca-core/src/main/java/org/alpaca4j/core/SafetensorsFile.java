package org.alpaca4j.core;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonParser.NumberType;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.alpaca4j.core.internal.JsonProblem;
import org.jspecify.annotations.Nullable;

/**
 * A safetensors file: eight bytes of header length, a JSON header, the tensors' bytes. Everything
 * the header says is checked against the file before it is used, with the rules of the reference
 * implementation: tensors cover the data without overlap or hole, and nothing follows them.
 *
 * @see <a href="https://github.com/huggingface/safetensors#format">The safetensors format</a>
 */
final class SafetensorsFile implements TensorContainer {
  /** The reference implementation's limit. */
  static final long MAX_HEADER_BYTES = 100_000_000;

  static final int LENGTH_BYTES = 8;

  /** What torch can handle; also keeps messages short. */
  private static final int MAX_DIMENSIONS = 64;

  private static final JsonFactory JSON =
      JsonFactory.builder().disable(JsonFactory.Feature.INTERN_FIELD_NAMES).build();

  private final Path file;
  private final FileChannel channel;
  private final List<TensorInfo> tensors;
  private final Map<String, String> metadata;

  private SafetensorsFile(Path file, FileChannel channel, Header header) {
    this.file = file;
    this.channel = channel;
    this.tensors = Collections.unmodifiableList(header.tensors);
    this.metadata = Collections.unmodifiableMap(header.metadata);
  }

  /**
   * Opens a file and validates its header.
   *
   * @throws CheckpointException if the file cannot be read or is not a sound safetensors file
   */
  static SafetensorsFile open(Path file) {
    FileChannel channel = null;
    try {
      channel = FileChannel.open(file, StandardOpenOption.READ);
      SafetensorsFile opened = new SafetensorsFile(file, channel, readHeader(file, channel));
      channel = null;
      return opened;
    } catch (NoSuchFileException e) {
      throw new CheckpointException(file + " does not exist", e);
    } catch (IOException e) {
      throw new CheckpointException("Cannot read " + file + ": " + e, e);
    } finally {
      if (channel != null) {
        closeQuietly(channel);
      }
    }
  }

  private static void closeQuietly(FileChannel channel) {
    try {
      channel.close();
    } catch (IOException ignored) {
      // Only ever reached while another exception, the one that matters, is being thrown.
    }
  }

  private static Header readHeader(Path file, FileChannel channel) throws IOException {
    long size = channel.size();
    if (size < LENGTH_BYTES) {
      throw malformed(file, "it has " + size + " bytes; the header length alone takes 8");
    }
    ByteBuffer length = ByteBuffer.allocate(LENGTH_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    readFully(channel, length, 0);
    long headerBytes = length.getLong(0);
    if (headerBytes < 0 || headerBytes > MAX_HEADER_BYTES) {
      throw malformed(
          file,
          "the header is said to have "
              + Long.toUnsignedString(headerBytes)
              + " bytes, more than the "
              + MAX_HEADER_BYTES
              + " permitted");
    }
    if (headerBytes > size - LENGTH_BYTES) {
      throw malformed(
          file,
          "the header is said to have " + headerBytes + " bytes, but the file has only " + size);
    }
    ByteBuffer bytes = ByteBuffer.allocate((int) headerBytes);
    readFully(channel, bytes, LENGTH_BYTES);
    if (headerBytes == 0 || bytes.get(0) != '{') {
      throw malformed(file, "the header does not begin with '{'");
    }
    String json;
    try {
      json = StandardCharsets.UTF_8.newDecoder().decode(bytes.flip()).toString();
    } catch (CharacterCodingException e) {
      throw new CheckpointException(
          file + " is not a sound safetensors file: the header is not UTF-8", e);
    }
    long dataOffset = LENGTH_BYTES + headerBytes;
    return parseHeader(file, json, dataOffset, size - dataOffset);
  }

  private static void readFully(FileChannel channel, ByteBuffer destination, long position)
      throws IOException {
    long at = position;
    while (destination.hasRemaining()) {
      int read = channel.read(destination, at);
      if (read < 0) {
        throw new EOFException("the file ends at byte " + at + "; was it cut short meanwhile?");
      }
      at += read;
    }
  }

  private static Header parseHeader(Path file, String json, long dataOffset, long dataBytes) {
    Header header = new Header();
    try (JsonParser parser = JSON.createParser(json)) {
      Set<String> names = new HashSet<>();
      expect(file, parser, parser.nextToken(), JsonToken.START_OBJECT, "the header");
      while (parser.nextToken() != JsonToken.END_OBJECT) {
        String name = parser.currentName();
        if (!names.add(name)) {
          throw malformed(file, "the header holds the name '" + name + "' twice");
        }
        expect(file, parser, parser.nextToken(), JsonToken.START_OBJECT, "'" + name + "'");
        if (name.equals("__metadata__")) {
          parseMetadata(file, parser, header.metadata);
        } else {
          header.tensors.add(parseTensor(file, parser, name, dataOffset, dataBytes));
        }
      }
      if (parser.nextToken() != null) {
        throw malformed(file, "the header goes on after its JSON object");
      }
    } catch (JsonProcessingException e) {
      throw new CheckpointException(
          file
              + " is not a sound safetensors file: the header is not JSON: "
              + JsonProblem.describe(e),
          e);
    } catch (IOException e) {
      throw new CheckpointException("Cannot read " + file + ": " + e, e);
    }
    requireGapless(file, header.tensors, dataOffset, dataBytes);
    return header;
  }

  private static void parseMetadata(Path file, JsonParser parser, Map<String, String> metadata)
      throws IOException {
    while (parser.nextToken() != JsonToken.END_OBJECT) {
      String key = parser.currentName();
      expect(
          file, parser, parser.nextToken(), JsonToken.VALUE_STRING, "__metadata__ '" + key + "'");
      if (metadata.put(key, parser.getText()) != null) {
        throw malformed(file, "__metadata__ holds the key '" + key + "' twice");
      }
    }
  }

  private static TensorInfo parseTensor(
      Path file, JsonParser parser, String name, long dataOffset, long dataBytes)
      throws IOException {
    DType dtype = null;
    long[] shape = null;
    long[] offsets = null;
    Set<String> fields = new HashSet<>();
    while (parser.nextToken() != JsonToken.END_OBJECT) {
      String field = parser.currentName();
      if (!fields.add(field)) {
        throw malformed(file, "tensor '" + name + "' has the field '" + field + "' twice");
      }
      JsonToken token = parser.nextToken();
      switch (field) {
        case "dtype" -> {
          expect(file, parser, token, JsonToken.VALUE_STRING, "dtype of tensor '" + name + "'");
          String text = parser.getText();
          dtype =
              DType.ofSafetensorsName(text)
                  .orElseThrow(
                      () ->
                          malformed(
                              file,
                              "tensor '"
                                  + name
                                  + "' has the unknown dtype '"
                                  + text
                                  + "'; known are "
                                  + Arrays.toString(DType.values())));
        }
        case "shape" -> shape = sizes(file, parser, token, "shape of tensor '" + name + "'");
        case "data_offsets" ->
            offsets = sizes(file, parser, token, "data_offsets of tensor '" + name + "'");
        default -> parser.skipChildren();
      }
    }
    if (dtype == null || shape == null || offsets == null) {
      throw malformed(
          file, "tensor '" + name + "' needs dtype, shape and data_offsets, but has " + fields);
    }
    if (offsets.length != 2 || offsets[0] > offsets[1] || offsets[1] > dataBytes) {
      throw malformed(
          file,
          "tensor '"
              + name
              + "' has data_offsets "
              + Arrays.toString(offsets)
              + "; they must be [begin, end] within the file's "
              + dataBytes
              + " data bytes");
    }
    long needed = byteLength(file, name, dtype, shape);
    if (needed != offsets[1] - offsets[0]) {
      throw malformed(
          file,
          "tensor '"
              + name
              + "' of "
              + dtype
              + Arrays.toString(shape)
              + " needs "
              + needed
              + " bytes, but its data_offsets "
              + Arrays.toString(offsets)
              + " span "
              + (offsets[1] - offsets[0]));
    }
    return new TensorInfo(name, dtype, shape, file, dataOffset + offsets[0], needed);
  }

  private static long byteLength(Path file, String name, DType dtype, long[] shape) {
    try {
      return byteLength(dtype, shape);
    } catch (ArithmeticException e) {
      throw malformed(
          file, "tensor '" + name + "' has the impossible shape " + Arrays.toString(shape));
    }
  }

  /**
   * Returns the bytes of a tensor.
   *
   * @throws ArithmeticException if they are more than a long can count
   */
  static long byteLength(DType dtype, long[] shape) {
    long elements = 1;
    for (long dimension : shape) {
      elements = Math.multiplyExact(elements, dimension);
    }
    return Math.multiplyExact(elements, (long) dtype.bytes());
  }

  private static long[] sizes(Path file, JsonParser parser, @Nullable JsonToken first, String what)
      throws IOException {
    expect(file, parser, first, JsonToken.START_ARRAY, what);
    long[] sizes = new long[4];
    int count = 0;
    while (parser.nextToken() != JsonToken.END_ARRAY) {
      if (parser.currentToken() != JsonToken.VALUE_NUMBER_INT
          || parser.getNumberType() == NumberType.BIG_INTEGER
          || parser.getLongValue() < 0) {
        throw malformed(
            file, what + " holds " + abbreviate(parser.getText()) + ", not a size of 0 or more");
      }
      if (count == MAX_DIMENSIONS) {
        throw malformed(file, what + " has more than " + MAX_DIMENSIONS + " entries");
      }
      if (count == sizes.length) {
        sizes = Arrays.copyOf(sizes, count * 2);
      }
      sizes[count++] = parser.getLongValue();
    }
    return Arrays.copyOf(sizes, count);
  }

  /** Refuses overlaps, holes and trailing bytes: sorted, each tensor begins where one ended. */
  private static void requireGapless(
      Path file, List<TensorInfo> tensors, long dataOffset, long dataBytes) {
    tensors.sort(
        Comparator.comparingLong(TensorInfo::offset).thenComparingLong(TensorInfo::byteLength));
    long end = dataOffset;
    for (TensorInfo tensor : tensors) {
      if (tensor.offset() != end) {
        throw malformed(
            file,
            "tensor '"
                + tensor.name()
                + "' begins at data byte "
                + (tensor.offset() - dataOffset)
                + ", but the tensors before it end at "
                + (end - dataOffset)
                + (tensor.offset() < end ? ": they overlap" : ": there is a hole"));
      }
      end += tensor.byteLength();
    }
    if (end != dataOffset + dataBytes) {
      throw malformed(
          file,
          "its tensors take "
              + (end - dataOffset)
              + " data bytes, but it holds "
              + dataBytes
              + "; was it cut short or appended to?");
    }
  }

  private static void expect(
      Path file, JsonParser parser, @Nullable JsonToken found, JsonToken expected, String what)
      throws IOException {
    if (found != expected) {
      throw malformed(
          file,
          what
              + " is "
              + (found == null ? "missing" : abbreviate(parser.getText()))
              + ", but must be "
              + switch (expected) {
                case START_OBJECT -> "a JSON object";
                case START_ARRAY -> "a JSON array";
                default -> "a string";
              });
    }
  }

  private static String abbreviate(String text) {
    return text.length() <= 40 ? text : text.substring(0, 40) + "…";
  }

  private static CheckpointException malformed(Path file, String why) {
    return new CheckpointException(file + " is not a sound safetensors file: " + why);
  }

  @Override
  public Path file() {
    return file;
  }

  @Override
  public Collection<TensorInfo> tensors() {
    return tensors;
  }

  /** Returns the {@code __metadata__} of the header. */
  Map<String, String> metadata() {
    return metadata;
  }

  @Override
  public void read(TensorInfo tensor, ByteBuffer destination, long offset) throws IOException {
    readFully(channel, destination, tensor.offset() + offset);
  }

  @Override
  public boolean isInPlace(TensorInfo tensor) {
    return true;
  }

  @Override
  public ByteBuffer map(TensorInfo tensor) throws IOException {
    return channel
        .map(FileChannel.MapMode.READ_ONLY, tensor.offset(), tensor.byteLength())
        .order(ByteOrder.LITTLE_ENDIAN);
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }

  private static final class Header {
    final List<TensorInfo> tensors = new ArrayList<>();
    final Map<String, String> metadata = new LinkedHashMap<>();
  }
}
