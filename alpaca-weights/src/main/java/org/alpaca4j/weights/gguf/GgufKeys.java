package org.alpaca4j.weights.gguf;

import java.util.LinkedHashMap;
import java.util.Map;

/** The metadata about a model's architecture: all keys begin with its name. */
final class GgufKeys {
  private final String prefix;
  private final Map<String, GgufValue> values = new LinkedHashMap<>();

  GgufKeys(GgufArchitecture architecture) {
    prefix = architecture.ggufName() + ".";
  }

  void size(String key, long value) {
    put(key, GgufValue.uint32(value));
  }

  void number(String key, double value) {
    put(key, GgufValue.float32(value));
  }

  void flag(String key, boolean value) {
    put(key, GgufValue.of(value));
  }

  void text(String key, String value) {
    put(key, GgufValue.of(value));
  }

  void put(String key, GgufValue value) {
    values.put(prefix + key, value);
  }

  Map<String, GgufValue> values() {
    return values;
  }
}
