package org.alpaca4j.core.internal.torch;

import java.io.ByteArrayOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/**
 * Writes the smallest TorchScript archive that {@code torch::jit::load} accepts: one module class
 * {@code M} whose text is given, with scalar attributes.
 *
 * <p>Format: a zip of stored entries {@code m/data.pkl} (pickle protocol 2 of the module object),
 * {@code m/code/__torch__.py} (the text), {@code m/constants.pkl} (an empty tuple) and {@code
 * m/version}; see {@code torch/csrc/jit/serialization} in PyTorch.
 */
final class TorchArchive {
  private static final String ROOT = "m/";
  private static final byte[] EMPTY_TUPLE = {(byte) 0x80, 2, ')', '.'};

  /** Operator versioning: 10 is the newest file format that libtorch 2.x writes by default. */
  private static final byte[] VERSION = "10\n".getBytes(StandardCharsets.US_ASCII);

  private TorchArchive() {}

  /**
   * Returns the archive's bytes.
   *
   * @param functions text of free functions, called as {@code __torch__.name(...)}
   * @param methods text of the methods of the module class, indented by two spaces
   * @param constants the module's attributes: Long, Double, Boolean or String values, {@code
   *     long[]}, {@code double[]}, or a {@link TorchProgram.State} that the program fills itself
   */
  static byte[] of(String functions, String methods, Map<String, Object> constants) {
    StringBuilder text = new StringBuilder(functions);
    text.append("\nclass M(Module):\n  __parameters__ = []\n  __buffers__ = []\n");
    text.append("  training : bool\n");
    constants.forEach(
        (name, value) ->
            text.append("  ").append(name).append(" : ").append(type(value)).append('\n'));
    text.append(methods);

    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ZipOutputStream zip = new ZipOutputStream(bytes)) {
      store(zip, "data.pkl", pickle(constants));
      store(zip, "code/__torch__.py", text.toString().getBytes(StandardCharsets.UTF_8));
      store(zip, "constants.pkl", EMPTY_TUPLE);
      store(zip, "version", VERSION);
    } catch (IOException e) {
      throw new UncheckedIOException(e); // in memory: cannot happen
    }
    return bytes.toByteArray();
  }

  private static String type(Object value) {
    if (value instanceof Long) {
      return "int";
    }
    if (value instanceof Double) {
      return "float";
    }
    if (value instanceof Boolean) {
      return "bool";
    }
    if (value instanceof String) {
      return "str";
    }
    if (value instanceof long[]) {
      return "List[int]";
    }
    if (value instanceof double[]) {
      return "List[float]";
    }
    if (value instanceof TorchProgram.State state) {
      return state.type();
    }
    throw new IllegalArgumentException(
        "a program constant is a Long, Double, Boolean, String, long[], double[] or State, not "
            + value.getClass());
  }

  /** The module object: class {@code __torch__.M} with a dictionary of attributes as its state. */
  private static byte[] pickle(Map<String, Object> constants) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    DataOutputStream out = new DataOutputStream(bytes);
    out.write(new byte[] {(byte) 0x80, 2}); // PROTO 2
    out.writeBytes("c__torch__\nM\n"); // GLOBAL
    out.writeBytes(")"); // EMPTY_TUPLE
    out.write(0x81); // NEWOBJ
    out.writeBytes("}("); // EMPTY_DICT MARK
    unicode(out, "training");
    out.write(0x88); // NEWTRUE
    for (Map.Entry<String, Object> constant : constants.entrySet()) {
      unicode(out, constant.getKey());
      Object value = constant.getValue();
      if (value instanceof Long number) {
        integer(out, number);
      } else if (value instanceof long[] numbers) {
        // Without the typed constructor its elements would be of type Any.
        out.writeBytes("ctorch.jit._pickle\nbuild_intlist\n"); // GLOBAL
        out.writeBytes("]("); // EMPTY_LIST MARK
        for (long number : numbers) {
          integer(out, number);
        }
        endList(out);
      } else if (value instanceof double[] numbers) {
        out.writeBytes("ctorch.jit._pickle\nbuild_doublelist\n"); // GLOBAL
        out.writeBytes("]("); // EMPTY_LIST MARK
        for (double number : numbers) {
          out.write('G'); // BINFLOAT
          out.writeDouble(number);
        }
        endList(out);
      } else if (value instanceof TorchProgram.State) {
        out.writeBytes("]"); // EMPTY_LIST
      } else if (value instanceof Double number) {
        out.write('G'); // BINFLOAT
        out.writeDouble(number);
      } else if (value instanceof Boolean flag) {
        out.write(flag ? 0x88 : 0x89); // NEWTRUE, NEWFALSE
      } else {
        unicode(out, (String) value);
      }
    }
    out.writeBytes("ub."); // SETITEMS BUILD STOP
    return bytes.toByteArray();
  }

  private static void endList(DataOutputStream out) throws IOException {
    out.writeBytes("e"); // APPENDS
    out.write(0x85); // TUPLE1
    out.writeBytes("R"); // REDUCE
  }

  private static void integer(DataOutputStream out, long value) throws IOException {
    out.write(0x8a); // LONG1
    out.write(Long.BYTES);
    out.writeLong(Long.reverseBytes(value));
  }

  private static void unicode(DataOutputStream out, String text) throws IOException {
    byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
    out.write('X'); // BINUNICODE
    out.writeInt(Integer.reverseBytes(utf8.length));
    out.write(utf8);
  }

  private static void store(ZipOutputStream zip, String name, byte[] content) throws IOException {
    CRC32 crc = new CRC32();
    crc.update(content);
    ZipEntry entry = new ZipEntry(ROOT + name);
    entry.setMethod(ZipEntry.STORED);
    entry.setSize(content.length);
    entry.setCompressedSize(content.length);
    entry.setCrc(crc.getValue());
    zip.putNextEntry(entry);
    zip.write(content);
    zip.closeEntry();
  }
}
