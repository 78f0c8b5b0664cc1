package org.alpaca4j.core;

import java.io.ByteArrayOutputStream;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.alpaca4j.core.internal.pickle.PickleWriter;

/** Makes files as {@code torch.save} writes them. */
final class TorchFile {
  private final Map<String, byte[]> storages = new LinkedHashMap<>();
  private final PickleWriter pickle = new PickleWriter();
  private boolean legacy;
  private boolean compressed;
  private UnaryOperator<byte[]> edit = UnaryOperator.identity();

  TorchFile() {
    pickle.global("collections", "OrderedDict").ops(")R");
  }

  /** Writes the format before PyTorch 1.6. */
  TorchFile legacy() {
    legacy = true;
    return this;
  }

  /** Compresses pickle and storages, as torch.save never does. */
  TorchFile compressed() {
    compressed = true;
    return this;
  }

  /** Changes the finished pickle. */
  TorchFile edited(UnaryOperator<byte[]> change) {
    edit = change;
    return this;
  }

  TorchFile storage(String key, byte[] bytes) {
    storages.put(key, bytes);
    return this;
  }

  /** Adds a tensor that has a storage of its own, in order. */
  TorchFile tensor(String name, DType dtype, byte[] bytes, long... shape) {
    String key = String.valueOf(storages.size());
    storage(key, bytes);
    long[] strides = new long[shape.length];
    long stride = 1;
    for (int d = shape.length - 1; d >= 0; d--) {
      strides[d] = stride;
      stride *= shape[d];
    }
    return view(name, key, dtype, 0, shape, strides);
  }

  /** Adds a matrix that is stored by columns. */
  TorchFile transposed(String name, DType dtype, byte[] rows, long[] shape) {
    int count = (int) shape[1];
    byte[] columns = new byte[rows.length];
    int size = dtype.bytes();
    for (int from = 0; from < rows.length / size; from++) {
      int to = from % count * (int) shape[0] + from / count;
      System.arraycopy(rows, from * size, columns, to * size, size);
    }
    String key = String.valueOf(storages.size());
    return storage(key, columns).view(name, key, dtype, 0, shape, new long[] {1, shape[0]});
  }

  /** Adds a tensor that views a storage. */
  TorchFile view(String name, String key, DType dtype, long offset, long[] shape, long[] strides) {
    pickle.text(name);
    rebuild(key, dtype, offset, shape, strides);
    pickle.ops("s");
    return this;
  }

  /** Adds an nn.Parameter. */
  TorchFile parameter(String name, String key, DType dtype, long[] shape, long[] strides) {
    pickle.text(name).global("torch._utils", "_rebuild_parameter").ops("(");
    rebuild(key, dtype, 0, shape, strides);
    pickle.raw(0x88).ops("NtRs");
    return this;
  }

  private void rebuild(String key, DType dtype, long offset, long[] shape, long[] strides) {
    String storageClass =
        switch (dtype) {
          case BOOL -> "BoolStorage";
          case U8 -> "ByteStorage";
          case I8 -> "CharStorage";
          case I16 -> "ShortStorage";
          case F16 -> "HalfStorage";
          case BF16 -> "BFloat16Storage";
          case I32 -> "IntStorage";
          case F32 -> "FloatStorage";
          case C64 -> "ComplexFloatStorage";
          case F64 -> "DoubleStorage";
          case I64 -> "LongStorage";
          default -> "UntypedStorage";
        };
    boolean untyped = storageClass.equals("UntypedStorage");
    long elements = storages.getOrDefault(key, new byte[0]).length / (untyped ? 1 : dtype.bytes());
    pickle.global("torch._utils", untyped ? "_rebuild_tensor_v3" : "_rebuild_tensor_v2");
    pickle.ops("((").text("storage").global(untyped ? "torch.storage" : "torch", storageClass);
    pickle.text(key).text("cpu").integer(elements).ops(legacy ? "NtQ" : "tQ");
    pickle.integer(offset).integers(shape).integers(strides).raw(0x89);
    pickle.global("collections", "OrderedDict").ops(")R");
    if (untyped) {
      pickle.global("torch", dtype.torchName());
    }
    pickle.ops("tR");
  }

  /** Goes on with opcodes of one's own: the dict is on top of the stack. */
  PickleWriter pickle() {
    return pickle;
  }

  byte[] bytes() {
    return legacy ? legacyBytes() : zip("archive/", new ZipWriter(), "little").finish();
  }

  /** Adds the entries to an archive. */
  ZipWriter zip(String root, ZipWriter zip, String byteOrder) {
    entry(zip, root + "data.pkl", edit.apply(pickle.stop()));
    zip.stored(root + "byteorder", byteOrder.getBytes(StandardCharsets.UTF_8));
    storages.forEach((key, bytes) -> entry(zip, root + "data/" + key, bytes));
    return zip;
  }

  private void entry(ZipWriter zip, String name, byte[] bytes) {
    if (compressed) {
      zip.deflated(name, bytes);
    } else {
      zip.stored(name, bytes);
    }
  }

  private byte[] legacyBytes() {
    ByteArrayOutputStream file = new ByteArrayOutputStream();
    BigInteger magic = new BigInteger("1950a86a20f9469cfc6c", 16);
    file.writeBytes(new PickleWriter().integer(magic).stop());
    file.writeBytes(new PickleWriter().integer(1001).stop());
    file.writeBytes(new PickleWriter().ops("}").text("little_endian").raw(0x88).ops("s").stop());
    file.writeBytes(edit.apply(pickle.stop()));
    PickleWriter keys = new PickleWriter().ops("](");
    storages.keySet().forEach(keys::text);
    file.writeBytes(keys.ops("e").stop());
    storages.forEach(
        (key, bytes) -> {
          ByteBuffer length = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN);
          file.writeBytes(length.putLong(bytes.length / 4).array()); // tests use 32-bit types
          file.writeBytes(bytes);
        });
    return file.toByteArray();
  }
}
