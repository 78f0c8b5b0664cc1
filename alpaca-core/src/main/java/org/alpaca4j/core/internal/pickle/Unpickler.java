package org.alpaca4j.core.internal.pickle;

import java.io.IOException;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Reads one pickle of protocol 0 to 5, as Python's {@code pickle} and PyTorch write them. Values
 * become {@link PickleNone}, Boolean, Long, BigInteger, Double, String, byte[], {@link
 * PickleTuple}, {@link PickleList}, {@link PickleDict}, or what a {@link PickleGlobals} answers.
 *
 * <p>A pickle is a program for a stack machine, and files are hostile: no class is loaded and no
 * method called by name; a global that is not permitted is refused by its name and the offset.
 * Opcodes that only make objects of classes are refused. There is no recursion, each operation's
 * work is bounded by the bytes that led to it, and the number of operations is bounded; so is what
 * stack and memo can hold.
 *
 * @see <a href="https://github.com/python/cpython/blob/3.12/Lib/pickletools.py">pickletools, the
 *     description of every opcode</a>
 */
public final class Unpickler {
  /** A tensor takes about 30: enough for more than 60,000 of them. */
  public static final int MAX_OPERATIONS = 2_000_000;

  private static final int MAX_PROTOCOL = 5;

  /** PyTorch's own largest integer has ten bytes. */
  private static final int MAX_INTEGER_BYTES = 256;

  private static final int MAX_INTEGER_DIGITS = 600;
  private static final PickleTuple EMPTY_TUPLE = new PickleTuple(List.of());

  private final PickleInput input;
  private final PickleGlobals globals;
  private final ArrayList<Object> stack = new ArrayList<>();
  private int[] marks = new int[8];
  private int markCount;
  private @Nullable Object[] memo = new Object[16];
  private int memoized;
  private int operations;

  /** Prepares to read one pickle; several may follow each other in an input. */
  public Unpickler(PickleInput input, PickleGlobals globals) {
    this.input = input;
    this.globals = globals;
  }

  /**
   * Returns the value. The input is then behind its end.
   *
   * @throws PickleException if the pickle is malformed, too long, or holds what is not permitted
   * @throws IOException if reading fails
   */
  public Object load() throws IOException {
    long begin = input.position();
    while (true) {
      long offset = input.position() - begin;
      try {
        if (++operations > MAX_OPERATIONS) {
          throw new PickleException("it has more than " + MAX_OPERATIONS + " operations");
        }
        int opcode = input.readByte();
        if (opcode == '.') {
          Object value = pop();
          if (markCount > 0 || !stack.isEmpty()) {
            throw new PickleException("it stops with further values on the stack");
          }
          return value;
        }
        if (!pushValue(opcode) && !build(opcode) && !remember(opcode)) {
          throw refused(opcode);
        }
      } catch (PickleException e) {
        throw e.at(offset);
      }
    }
  }

  /** Pushes a value that stands in the pickle; false if the opcode is none of those. */
  private boolean pushValue(int opcode) throws IOException {
    switch (opcode) {
      case 'N' -> push(PickleNone.NONE);
      case 0x88 -> push(true);
      case 0x89 -> push(false);
      case 'J' -> push((long) (int) input.readUnsigned(4));
      case 'K' -> push(input.readUnsigned(1));
      case 'M' -> push(input.readUnsigned(2));
      case 'I' -> push(parseIntLine(input.readLine()));
      case 'L' -> push(parseLongLine(input.readLine()));
      case 0x8a -> push(readInteger(input.readUnsigned(1)));
      case 0x8b -> push(readInteger(input.readUnsigned(4)));
      case 'F' -> push(parseDouble(input.readLine()));
      case 'G' -> push(input.readBigEndianDouble());
      case 'S' -> push(parseQuoted(input.readLine()));
      case 'V' -> push(withoutEscapes(input.readLine()));
      case 'U', 0x8c -> push(input.readText(input.readUnsigned(1)));
      case 'T', 'X' -> push(input.readText(input.readUnsigned(4)));
      case 0x8d -> push(input.readText(input.readUnsigned(8)));
      case 'C' -> push(input.readBytes(input.readUnsigned(1)));
      case 'B' -> push(input.readBytes(input.readUnsigned(4)));
      case 0x8e, 0x96 -> push(input.readBytes(input.readUnsigned(8)));
      case ')' -> push(EMPTY_TUPLE);
      case ']', 0x8f -> push(new PickleList());
      case '}' -> push(new PickleDict());
      case 'c' -> pushGlobal(input.readLine(), input.readLine());
      default -> {
        return false;
      }
    }
    return true;
  }

  /** Makes a value of those on the stack; false if the opcode does not. */
  private boolean build(int opcode) throws IOException {
    switch (opcode) {
      case '(' -> mark();
      case '0' -> {
        if (stack.size() == base() && markCount > 0) {
          markCount--;
        } else {
          pop();
        }
      }
      case '1' -> popToMark();
      case '2' -> push(peek());
      case 0x85 -> push(new PickleTuple(List.of(pop())));
      case 0x86 -> {
        Object second = pop();
        push(new PickleTuple(List.of(pop(), second)));
      }
      case 0x87 -> {
        Object third = pop();
        Object second = pop();
        push(new PickleTuple(List.of(pop(), second, third)));
      }
      case 't' -> push(new PickleTuple(Collections.unmodifiableList(popToMark())));
      case 'l' -> {
        PickleList list = new PickleList();
        list.addAll(popToMark());
        push(list);
      }
      case 'd' -> {
        PickleDict dict = new PickleDict();
        putAll(dict, popToMark());
        push(dict);
      }
      case 'a' -> {
        Object value = pop();
        peek(PickleList.class).addAll(List.of(value));
      }
      case 'e', 0x90 -> {
        List<Object> values = popToMark();
        peek(PickleList.class).addAll(values);
      }
      case 's' -> {
        Object value = pop();
        Object key = pop();
        peek(PickleDict.class).put(key, value);
      }
      case 'u' -> {
        List<Object> entries = popToMark();
        putAll(peek(PickleDict.class), entries);
      }
      case 0x93 -> {
        Object name = pop();
        Object module = pop();
        if (!(module instanceof String m) || !(name instanceof String n)) {
          throw new PickleException("a global is not named by two texts");
        }
        pushGlobal(m, n);
      }
      case 'R' -> {
        Object arguments = pop();
        Object function = pop();
        if (!(arguments instanceof PickleTuple tuple)) {
          throw new PickleException("a call's arguments are no tuple");
        }
        push(globals.call(function, tuple.items()));
      }
      case 'Q' -> push(globals.persistent(pop()));
      case 'b' -> setState();
      default -> {
        return false;
      }
    }
    return true;
  }

  /** Memo, protocol and frames; false if the opcode is of another kind. */
  private boolean remember(int opcode) throws IOException {
    switch (opcode) {
      case 'p' -> put(memoIndex(input.readLine()));
      case 'q' -> put(input.readUnsigned(1));
      case 'r' -> put(input.readUnsigned(4));
      case 0x94 -> put(memoized);
      case 'g' -> get(memoIndex(input.readLine()));
      case 'h' -> get(input.readUnsigned(1));
      case 'j' -> get(input.readUnsigned(4));
      case 0x80 -> {
        long protocol = input.readUnsigned(1);
        if (protocol > MAX_PROTOCOL) {
          throw new PickleException(
              "it is of protocol " + protocol + "; known are 0 to " + MAX_PROTOCOL);
        }
      }
      case 0x95 -> input.requireLeft(input.readUnsigned(8));
      default -> {
        return false;
      }
    }
    return true;
  }

  private PickleException refused(int opcode) throws IOException {
    return switch (opcode) {
      case 'i' ->
          new PickleException(
              "an object of "
                  + show(input.readLine())
                  + "."
                  + show(input.readLine())
                  + " is not permitted (opcode INST)");
      case 'o' -> new PickleException("making an object is not permitted (opcode OBJ)");
      case 0x81 -> new PickleException("making an object is not permitted (opcode NEWOBJ)");
      case 0x92 -> new PickleException("making an object is not permitted (opcode NEWOBJ_EX)");
      case 0x82, 0x83, 0x84 ->
          new PickleException("the extension registry is not permitted (opcode EXT)");
      case 'P' -> new PickleException("a persistent id in text is not permitted (opcode PERSID)");
      case 0x91 -> new PickleException("a frozenset is not permitted (opcode FROZENSET)");
      case 0x97, 0x98 -> new PickleException("out-of-band buffers are not permitted");
      default -> new PickleException("there is no opcode 0x" + Integer.toHexString(opcode));
    };
  }

  private void pushGlobal(String module, String name) throws PickleException {
    push(
        globals
            .find(module, name)
            .orElseThrow(
                () ->
                    new PickleException(
                        "the global "
                            + show(module)
                            + "."
                            + show(name)
                            + " is not permitted; only tensors and plain containers are")));
  }

  /** An OrderedDict's attributes, such as _metadata of a state dict: nothing a reader needs. */
  private void setState() throws PickleException {
    Object state = pop();
    if (!(peek() instanceof PickleDict) || !(state instanceof PickleDict attributes)) {
      throw new PickleException("attributes are permitted on an OrderedDict alone (opcode BUILD)");
    }
    for (int i = 0; i < attributes.size(); i++) {
      Object key = attributes.key(i);
      if (!(key instanceof String text) || text.startsWith("__")) {
        throw new PickleException(
            "the attribute "
                + (key instanceof String text ? "'" + show(text) + "'" : "of no name")
                + " is not permitted (opcode BUILD)");
      }
    }
  }

  private static void putAll(PickleDict dict, List<Object> entries) throws PickleException {
    if (entries.size() % 2 != 0) {
      throw new PickleException("a dict's entry has a key but no value");
    }
    for (int i = 0; i < entries.size(); i += 2) {
      dict.put(entries.get(i), entries.get(i + 1));
    }
  }

  // ---- stack

  private void push(Object value) {
    stack.add(value);
  }

  /** Where the values since the last mark begin; none before it can be taken. */
  private int base() {
    return markCount == 0 ? 0 : marks[markCount - 1];
  }

  private Object peek() throws PickleException {
    if (stack.size() == base()) {
      throw new PickleException("an operation needs more values than the stack holds");
    }
    return stack.get(stack.size() - 1);
  }

  private <T> T peek(Class<T> kind) throws PickleException {
    Object value = peek();
    if (!kind.isInstance(value)) {
      throw new PickleException("values are added to what is no list, set or dict");
    }
    return kind.cast(value);
  }

  private Object pop() throws PickleException {
    Object value = peek();
    stack.remove(stack.size() - 1);
    return value;
  }

  private void mark() {
    if (markCount == marks.length) {
      marks = Arrays.copyOf(marks, 2 * markCount);
    }
    marks[markCount++] = stack.size();
  }

  private List<Object> popToMark() throws PickleException {
    if (markCount == 0) {
      throw new PickleException("an operation needs a mark, and there is none");
    }
    int mark = marks[--markCount];
    if (mark == stack.size()) {
      return List.of();
    }
    List<Object> top = stack.subList(mark, stack.size());
    List<Object> values = Arrays.asList(top.toArray());
    top.clear();
    return values;
  }

  // ---- memo

  private static long memoIndex(String line) throws PickleException {
    if (line.isEmpty() || line.length() > 9 || !isDigits(line, 0)) {
      throw new PickleException("'" + show(line) + "' is no number in the memo");
    }
    return Long.parseLong(line);
  }

  private void put(long index) throws PickleException {
    // Picklers number in order, from 0 or 1: there cannot be more than operations.
    if (index < 0 || index > operations) {
      throw new PickleException(
          "number " + index + " of the memo is set after " + operations + " operations");
    }
    int at = (int) index;
    if (at >= memo.length) {
      memo = Arrays.copyOf(memo, Math.max(at + 1, 2 * memo.length));
    }
    memo[at] = peek();
    memoized++;
  }

  private void get(long index) throws PickleException {
    Object value = index < 0 || index >= memo.length ? null : memo[(int) index];
    if (value == null) {
      throw new PickleException("number " + index + " of the memo was never set");
    }
    push(value);
  }

  // ---- values

  private Object readInteger(long bytes) throws IOException {
    if (bytes < 0 || bytes > MAX_INTEGER_BYTES) {
      throw new PickleException(
          "an integer of " + bytes + " bytes; the limit is " + MAX_INTEGER_BYTES);
    }
    if (bytes == 0) {
      return 0L;
    }
    byte[] littleEndian = input.readBytes(bytes);
    byte[] bigEndian = new byte[littleEndian.length];
    for (int i = 0; i < bigEndian.length; i++) {
      bigEndian[i] = littleEndian[bigEndian.length - 1 - i];
    }
    return narrowed(new BigInteger(bigEndian));
  }

  private static Object narrowed(BigInteger value) {
    return value.bitLength() < Long.SIZE ? (Object) value.longValue() : value;
  }

  private static Object parseIntLine(String line) throws PickleException {
    return switch (line) {
      case "00" -> false;
      case "01" -> true;
      default -> parseLongLine(line);
    };
  }

  private static Object parseLongLine(String line) throws PickleException {
    String digits = line.endsWith("L") ? line.substring(0, line.length() - 1) : line;
    int signs = digits.startsWith("-") || digits.startsWith("+") ? 1 : 0;
    if (digits.length() == signs
        || digits.length() > MAX_INTEGER_DIGITS
        || !isDigits(digits, signs)) {
      throw new PickleException("'" + show(line) + "' is no integer");
    }
    return narrowed(new BigInteger(digits));
  }

  private static boolean isDigits(String text, int from) {
    for (int i = from; i < text.length(); i++) {
      if (text.charAt(i) < '0' || text.charAt(i) > '9') {
        return false;
      }
    }
    return true;
  }

  private static double parseDouble(String line) throws PickleException {
    try {
      return Double.parseDouble(line);
    } catch (NumberFormatException e) {
      throw new PickleException("'" + show(line) + "' is no number");
    }
  }

  private static String parseQuoted(String line) throws PickleException {
    int last = line.length() - 1;
    char quote = line.isEmpty() ? 0 : line.charAt(0);
    if (last < 1 || quote != line.charAt(last) || (quote != '\'' && quote != '"')) {
      throw new PickleException("a text of protocol 0 is not in quotes");
    }
    return withoutEscapes(line.substring(1, last));
  }

  private static String withoutEscapes(String text) throws PickleException {
    if (text.indexOf('\\') >= 0) {
      throw new PickleException("escapes in a text of protocol 0 are not read");
    }
    return text;
  }

  /** Returns a text from a file in a form that is safe in a message. */
  public static String show(String text) {
    String head = text.length() <= 80 ? text : text.substring(0, 80) + "…";
    return head.codePoints()
        .map(
            c -> Character.isISOControl(c) || Character.getType(c) == Character.SURROGATE ? '?' : c)
        .collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append)
        .toString();
  }
}
