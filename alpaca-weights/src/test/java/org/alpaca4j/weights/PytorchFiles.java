package org.alpaca4j.weights;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/** Writes fp32 tensors as torch.save does: a zip of a pickle and one storage per tensor. */
final class PytorchFiles {
  private PytorchFiles() {}

  /** A row-major tensor. */
  record Tensor(long[] shape, float[] values) {}

  static void write(Path file, Map<String, Tensor> tensors) throws IOException {
    ByteArrayOutputStream pickle = new ByteArrayOutputStream();
    List<byte[]> storages = new ArrayList<>();
    ascii(pickle, "\u0080\u0002}(");
    for (Map.Entry<String, Tensor> entry : tensors.entrySet()) {
      Tensor tensor = entry.getValue();
      string(pickle, entry.getKey());
      ascii(pickle, "ctorch._utils\n_rebuild_tensor_v2\n((");
      string(pickle, "storage");
      ascii(pickle, "ctorch\nFloatStorage\n");
      string(pickle, Integer.toString(storages.size()));
      string(pickle, "cpu");
      number(pickle, tensor.values.length);
      ascii(pickle, "tQ");
      number(pickle, 0);
      ascii(pickle, "(");
      for (long dimension : tensor.shape) {
        number(pickle, dimension);
      }
      ascii(pickle, "t(");
      long stride = tensor.values.length;
      for (long dimension : tensor.shape) {
        stride /= dimension;
        number(pickle, stride);
      }
      ascii(pickle, "t\u0089ccollections\nOrderedDict\n)RtR");
      storages.add(bytes(tensor.values));
    }
    ascii(pickle, "u.");
    try (OutputStream out = Files.newOutputStream(file);
        ZipOutputStream zip = new ZipOutputStream(out)) {
      store(zip, "archive/data.pkl", pickle.toByteArray());
      for (int i = 0; i < storages.size(); i++) {
        store(zip, "archive/data/" + i, storages.get(i));
      }
      store(zip, "archive/version", "3\n".getBytes(StandardCharsets.US_ASCII));
    }
  }

  private static byte[] bytes(float[] values) {
    ByteBuffer bytes = ByteBuffer.allocate(values.length * 4).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asFloatBuffer().put(values);
    return bytes.array();
  }

  private static void store(ZipOutputStream zip, String name, byte[] bytes) throws IOException {
    ZipEntry entry = new ZipEntry(name);
    CRC32 crc = new CRC32();
    crc.update(bytes);
    entry.setMethod(ZipEntry.STORED);
    entry.setSize(bytes.length);
    entry.setCrc(crc.getValue());
    zip.putNextEntry(entry);
    zip.write(bytes);
    zip.closeEntry();
  }

  private static void ascii(ByteArrayOutputStream pickle, String opcodes) {
    pickle.writeBytes(opcodes.getBytes(StandardCharsets.ISO_8859_1));
  }

  private static void string(ByteArrayOutputStream pickle, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    pickle.write('X');
    pickle.writeBytes(little(bytes.length));
    pickle.writeBytes(bytes);
  }

  private static void number(ByteArrayOutputStream pickle, long value) {
    pickle.write('J');
    pickle.writeBytes(little((int) value));
  }

  private static byte[] little(int value) {
    return ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(value).array();
  }
}
