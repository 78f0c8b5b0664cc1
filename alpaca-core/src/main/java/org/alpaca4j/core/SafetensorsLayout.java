package org.alpaca4j.core;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import com.fasterxml.jackson.core.util.Separators;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

/** Where each tensor of a checkpoint goes: shards, their headers and their index. */
final class SafetensorsLayout {
  private static final int ALIGNMENT = 8;

  private SafetensorsLayout() {}

  /** A tensor to be written. */
  record Declared(String name, DType dtype, long[] shape, long byteLength) {}

  /** A file, and its tensors in the order of the file. */
  record Shard(String file, List<Declared> tensors) {}

  /** Fills shards greedily in the order of declaration, as huggingface_hub does. */
  static List<Shard> shards(String weightsName, Collection<Declared> tensors, long maxBytes) {
    List<List<Declared>> groups = new ArrayList<>();
    List<Declared> current = new ArrayList<>();
    long bytes = 0;
    for (Declared tensor : tensors) {
      if (tensor.byteLength > maxBytes) {
        groups.add(List.of(tensor));
        continue;
      }
      if (bytes > maxBytes - tensor.byteLength) {
        groups.add(current);
        current = new ArrayList<>();
        bytes = 0;
      }
      current.add(tensor);
      bytes += tensor.byteLength;
    }
    if (!current.isEmpty()) {
      groups.add(current);
    }
    List<Shard> shards = new ArrayList<>();
    for (int i = 0; i < groups.size(); i++) {
      String part =
          groups.size() == 1
              ? ""
              : String.format(Locale.ROOT, "-%05d-of-%05d", i + 1, groups.size());
      shards.add(new Shard(weightsName + part + ".safetensors", inFileOrder(groups.get(i))));
    }
    return shards;
  }

  /** Sorts as the safetensors library does: widest types first, so that all are aligned. */
  private static List<Declared> inFileOrder(List<Declared> tensors) {
    List<Declared> sorted = new ArrayList<>(tensors);
    sorted.sort(
        Comparator.comparing(Declared::dtype, Comparator.reverseOrder())
            .thenComparing(
                tensor -> tensor.name.getBytes(StandardCharsets.UTF_8), Arrays::compareUnsigned));
    return sorted;
  }

  /** Returns what a file begins with: the header's length and the header. */
  static ByteBuffer head(Shard shard) throws IOException {
    byte[] header = header(shard.tensors);
    if (header.length > SafetensorsFile.MAX_HEADER_BYTES) {
      throw new CheckpointException(
          "the header of " + shard.file + " exceeds 100 MB; use smaller shards");
    }
    return ByteBuffer.allocate(SafetensorsFile.LENGTH_BYTES + header.length)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putLong(header.length)
        .put(header)
        .flip();
  }

  private static byte[] header(List<Declared> tensors) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (JsonGenerator json = new JsonFactory().createGenerator(bytes)) {
      json.writeStartObject();
      json.writeObjectFieldStart("__metadata__");
      json.writeStringField("format", "pt");
      json.writeEndObject();
      long offset = 0;
      for (Declared tensor : tensors) {
        json.writeObjectFieldStart(tensor.name);
        json.writeStringField("dtype", tensor.dtype.safetensorsName());
        json.writeArrayFieldStart("shape");
        for (long dimension : tensor.shape) {
          json.writeNumber(dimension);
        }
        json.writeEndArray();
        json.writeArrayFieldStart("data_offsets");
        json.writeNumber(offset);
        offset += tensor.byteLength;
        json.writeNumber(offset);
        json.writeEndArray();
        json.writeEndObject();
      }
      json.writeEndObject();
    }
    while (bytes.size() % ALIGNMENT != 0) {
      bytes.write(' ');
    }
    return bytes.toByteArray();
  }

  /** Returns the index of several shards, spelled as transformers does. */
  static byte[] index(List<Shard> shards) throws IOException {
    long total = 0;
    Map<String, String> shardOfTensor = new TreeMap<>();
    for (Shard shard : shards) {
      for (Declared tensor : shard.tensors) {
        total += tensor.byteLength;
        shardOfTensor.put(tensor.name, shard.file);
      }
    }
    DefaultPrettyPrinter printer =
        new DefaultPrettyPrinter(
            Separators.createDefaultInstance()
                .withObjectFieldValueSpacing(Separators.Spacing.AFTER));
    printer.indentObjectsWith(new DefaultIndenter("  ", "\n"));
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (JsonGenerator json = new JsonFactory().createGenerator(bytes)) {
      json.setPrettyPrinter(printer);
      json.writeStartObject();
      json.writeObjectFieldStart("metadata");
      json.writeNumberField("total_size", total);
      json.writeEndObject();
      json.writeObjectFieldStart("weight_map");
      for (Map.Entry<String, String> entry : shardOfTensor.entrySet()) {
        json.writeStringField(entry.getKey(), entry.getValue());
      }
      json.writeEndObject();
      json.writeEndObject();
      json.writeRaw('\n');
    }
    return bytes.toByteArray();
  }
}
