package org.alpaca4j.weights.gguf;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.alpaca4j.core.CheckpointException;
import org.alpaca4j.weights.gguf.GgufValue.Elements;
import org.alpaca4j.weights.gguf.GgufValue.Kind;

/** The metadata of a GGUF file, by type. A value of another type is an error that names its key. */
final class GgufMetadata {
  private final Path file;
  private final Map<String, GgufValue> values;

  GgufMetadata(Path file, Map<String, GgufValue> values) {
    this.file = file;
    this.values = values;
  }

  boolean has(String key) {
    return values.containsKey(key);
  }

  boolean isArray(String key) {
    GgufValue value = values.get(key);
    return value != null && value.value() instanceof Elements;
  }

  Optional<String> string(String key) {
    return typed(key, String.class, "a string");
  }

  Optional<Boolean> flag(String key) {
    return typed(key, Boolean.class, "a boolean");
  }

  /** Returns an integer that is not negative and fits an int. */
  Optional<Integer> integer(String key) {
    Optional<Long> number = typed(key, Long.class, "an integer");
    number
        .filter(n -> n < 0 || n > Integer.MAX_VALUE)
        .ifPresent(n -> reject(key, Long.toUnsignedString(n), "an integer from 0 to 2^31 - 1"));
    return number.map(Long::intValue);
  }

  Optional<Double> number(String key) {
    GgufValue value = values.get(key);
    if (value != null && value.value() instanceof Long whole) {
      return Optional.of((double) whole);
    }
    return typed(key, Double.class, "a number");
  }

  Optional<List<String>> strings(String key) {
    return elements(key, Kind.STRING)
        .map(
            elements -> {
              ByteBuffer bytes = little(elements);
              List<String> texts = new ArrayList<>(elements.count());
              for (int i = 0; i < elements.count(); i++) {
                int length = (int) bytes.getLong();
                texts.add(utf8(file, key + "[" + i + "]", bytes, length));
              }
              return texts;
            });
  }

  /** Returns an array of 32-bit integers. */
  Optional<int[]> integers(String key) {
    return elements(key, Kind.INT32, Kind.UINT32)
        .map(
            elements -> {
              int[] numbers = new int[elements.count()];
              little(elements).asIntBuffer().get(numbers);
              return numbers;
            });
  }

  Optional<float[]> floats(String key) {
    return elements(key, Kind.FLOAT32)
        .map(
            elements -> {
              float[] numbers = new float[elements.count()];
              little(elements).asFloatBuffer().get(numbers);
              return numbers;
            });
  }

  Optional<boolean[]> flags(String key) {
    return elements(key, Kind.BOOL)
        .map(
            elements -> {
              boolean[] flags = new boolean[elements.count()];
              for (int i = 0; i < flags.length; i++) {
                flags[i] = elements.bytes().get(i) != 0;
              }
              return flags;
            });
  }

  CheckpointException missing(String key) {
    return new CheckpointException(file + " has no metadata " + key + "; take a complete file");
  }

  /** Decodes a string, which moves the buffer's position behind it. */
  static String utf8(Path file, String what, ByteBuffer bytes, int length) {
    ByteBuffer text = bytes.slice().limit(length);
    bytes.position(bytes.position() + length);
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(text).toString();
    } catch (CharacterCodingException e) {
      throw new CheckpointException(
          file + " is not a sound GGUF file: " + what + " is not UTF-8", e);
    }
  }

  private static ByteBuffer little(Elements elements) {
    return elements.bytes().duplicate().order(ByteOrder.LITTLE_ENDIAN);
  }

  private Optional<Elements> elements(String key, Kind... kinds) {
    Optional<Elements> array = typed(key, Elements.class, "an array");
    array
        .filter(elements -> !List.of(kinds).contains(elements.kind()))
        .ifPresent(elements -> reject(key, "an array of " + elements.kind(), "of " + kinds[0]));
    return array;
  }

  private <T> Optional<T> typed(String key, Class<T> type, String must) {
    GgufValue value = values.get(key);
    if (value != null && !type.isInstance(value.value())) {
      reject(key, "of type " + value.kind(), must);
    }
    return Optional.ofNullable(value).map(GgufValue::value).map(type::cast);
  }

  private void reject(String key, String found, String must) {
    throw new CheckpointException(
        file + ": metadata " + key + " is " + found + ", but must be " + must);
  }
}
