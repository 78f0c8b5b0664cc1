package org.alpaca4j.core.fuzz;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;

/** Damages bytes and JSON texts, mostly in ways that a reader notices late. */
public final class Mutator {
  private static final long[] NUMBERS = {
    0,
    1,
    2,
    3,
    7,
    8,
    9,
    16,
    31,
    32,
    33,
    64,
    100,
    127,
    128,
    255,
    256,
    1000,
    9999,
    10_000,
    32_767,
    32_768,
    65_535,
    65_536,
    1 << 20,
    1 << 24,
    1 << 30,
    Integer.MAX_VALUE,
    1L << 31,
    (1L << 32) - 1,
    1L << 32,
    1L << 40,
    1L << 61,
    1L << 62,
    Long.MAX_VALUE - 7,
    Long.MAX_VALUE,
    Long.MIN_VALUE,
    -1,
    -2,
    -8
  };
  private static final Pattern JSON_TOKEN =
      Pattern.compile("\"(?:[^\"\\\\]|\\\\.)*\"|-?[0-9][0-9.eE+-]*|true|false|null|[\\[\\]{},:]");
  private static final Pattern DIGITS = Pattern.compile("[0-9]+");
  private static final List<String> JSON_VALUES =
      List.of(
          "null",
          "true",
          "false",
          "0",
          "-1",
          "1.5",
          "-0.0",
          "1e5",
          "1e999",
          "2147483648",
          "9223372036854775807",
          "9223372036854775808",
          "1" + "0".repeat(40),
          "1" + "0".repeat(1001),
          "\"\"",
          "\"\\u0000\"",
          "\"../up.bin\"",
          "\"\\ud800.bin\"",
          "\"\\ud800.safetensors\"",
          "\"\\ud800\"",
          "\"F32\"",
          "\"BF16\"",
          "\"" + "x".repeat(3000) + "\"",
          "[]",
          "{}",
          "[null]",
          "[0,0]",
          "{\"\":null}",
          "[".repeat(2000),
          "[".repeat(900) + "]".repeat(900),
          "[" + "1,".repeat(2000) + "1]");

  private final Random random;

  /** Draws every decision from a source. */
  public Mutator(Random random) {
    this.random = random;
  }

  /** Returns an element. */
  public <T> T pick(List<T> values) {
    return values.get(random.nextInt(values.size()));
  }

  /** Returns a number from 0 on. */
  public int below(int bound) {
    return random.nextInt(bound);
  }

  /** Returns true once in so many times. */
  public boolean oneIn(int times) {
    return random.nextInt(times) == 0;
  }

  /** Returns a number at a limit of something, or near the size. */
  public long number(long size) {
    return switch (random.nextInt(4)) {
      case 0 -> size + random.nextInt(17) - 8;
      case 1 -> random.nextInt(1 << random.nextInt(16));
      default -> NUMBERS[random.nextInt(NUMBERS.length)];
    };
  }

  /**
   * Returns changed bytes: mostly one change, seldom many.
   *
   * @param other another file of the kind, of which parts may be taken
   */
  public byte[] bytes(byte[] sound, byte[] other) {
    byte[] bytes = sound.clone();
    do {
      bytes = bytes.length == 0 ? other.clone() : change(bytes, other);
    } while (oneIn(3));
    return bytes;
  }

  private byte[] change(byte[] bytes, byte[] other) {
    int at = random.nextInt(bytes.length);
    switch (random.nextInt(15)) {
      case 0, 1 -> bytes[at] ^= (byte) (1 << random.nextInt(8));
      case 2 -> bytes[at] = (byte) random.nextInt(256);
      case 3, 4 -> overwrite(bytes, at, 1 << random.nextInt(4), number(bytes.length));
      case 5, 6, 7 -> overwriteNumber(bytes, at);
      case 8 -> {
        return changeDigits(bytes);
      }
      case 9 -> {
        return Arrays.copyOf(bytes, at);
      }
      case 10 -> {
        byte[] longer = Arrays.copyOf(bytes, bytes.length + 1 + random.nextInt(64));
        Arrays.fill(longer, bytes.length, longer.length, (byte) (oneIn(2) ? 0 : random.nextInt()));
        return longer;
      }
      case 11 -> {
        return replace(bytes, at, at + block(bytes.length - at), new byte[0]);
      }
      case 12 -> { // once more, or many times, or swapped with another place
        byte[] block = Arrays.copyOfRange(bytes, at, at + block(bytes.length - at));
        return replace(bytes, at, at, repeated(block));
      }
      case 13 -> {
        int length = block(bytes.length - at);
        int to = random.nextInt(bytes.length - length + 1);
        byte[] block = Arrays.copyOfRange(bytes, at, at + length);
        System.arraycopy(bytes, to, bytes, at, length);
        System.arraycopy(block, 0, bytes, to, length);
      }
      default -> {
        int from = random.nextInt(other.length + 1);
        return replace(bytes, at, bytes.length, Arrays.copyOfRange(other, from, other.length));
      }
    }
    return bytes;
  }

  private int block(int most) {
    return Math.min(most, 1 + random.nextInt(1 << random.nextInt(9)));
  }

  private byte[] repeated(byte[] block) {
    int times = oneIn(4) ? 1 + random.nextInt(Math.max(1, 20_000 / block.length)) : 1;
    byte[] all = new byte[block.length * times];
    for (int i = 0; i < times; i++) {
      System.arraycopy(block, 0, all, i * block.length, block.length);
    }
    return all;
  }

  private void overwrite(byte[] bytes, int at, int width, long value) {
    ByteBuffer number = ByteBuffer.allocate(8);
    if (oneIn(4)) {
      number.order(ByteOrder.BIG_ENDIAN).putLong(value << 64 - 8 * width);
    } else {
      number.order(ByteOrder.LITTLE_ENDIAN).putLong(value);
    }
    System.arraycopy(number.array(), 0, bytes, at, Math.min(width, bytes.length - at));
  }

  /** Overwrites what looks like a length, count or offset: small, with zeros above. */
  private void overwriteNumber(byte[] bytes, int from) {
    int width = oneIn(2) ? 8 : oneIn(2) ? 4 : 2;
    ByteBuffer words = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    for (int tried = 0; tried < Math.min(bytes.length, 500); tried++) {
      int at = (from + tried) % bytes.length;
      if (at + width <= bytes.length) {
        long word =
            width == 8 ? words.getLong(at) : width == 4 ? words.getInt(at) : words.getShort(at);
        if (word > 0 && word < 1L << 4 * width && (word & 0xff) != 0) {
          overwrite(bytes, at, width, oneIn(2) ? number(word) : number(bytes.length));
          return;
        }
      }
    }
    overwrite(bytes, from, width, number(bytes.length));
  }

  private byte[] changeDigits(byte[] bytes) {
    String text = new String(bytes, StandardCharsets.ISO_8859_1);
    List<MatchResult> numbers = DIGITS.matcher(text).results().toList();
    if (numbers.isEmpty()) {
      return bytes;
    }
    MatchResult found = pick(numbers);
    byte[] digits = Long.toString(number(bytes.length)).getBytes(StandardCharsets.ISO_8859_1);
    return replace(bytes, found.start(), found.end(), digits);
  }

  /** Returns bytes with {@code [from, to)} replaced. */
  public static byte[] replace(byte[] bytes, int from, int to, byte[] by) {
    byte[] result = new byte[bytes.length - (to - from) + by.length];
    System.arraycopy(bytes, 0, result, 0, from);
    System.arraycopy(by, 0, result, from, by.length);
    System.arraycopy(bytes, to, result, from + by.length, bytes.length - to);
    return result;
  }

  /** Returns a JSON text with values and names changed, so that it mostly remains JSON. */
  public byte[] json(byte[] sound, byte[] other) {
    if (oneIn(6)) {
      return bytes(sound, other);
    }
    String text = new String(sound, StandardCharsets.UTF_8);
    List<String> tokens = new ArrayList<>();
    JSON_TOKEN.matcher(text).results().map(MatchResult::group).forEach(tokens::add);
    do {
      if (tokens.isEmpty()) {
        break;
      }
      int at = random.nextInt(tokens.size());
      for (int i = 0;
          i < 8 && tokens.get(at).length() == 1 && "[]{},:".contains(tokens.get(at));
          i++) {
        at = random.nextInt(tokens.size()); // punctuation is most of a text
      }
      switch (random.nextInt(8)) {
        case 0, 1, 2 -> tokens.set(at, pick(JSON_VALUES));
        case 3 -> tokens.set(at, Long.toString(number(text.length())));
        case 4, 5 -> tokens.set(at, pick(tokens));
        case 6 -> {
          int end = Math.min(tokens.size(), at + 1 + random.nextInt(12));
          List<String> copy = List.copyOf(tokens.subList(at, end));
          for (int times = oneIn(4) ? random.nextInt(200) : 1; times > 0; times--) {
            tokens.addAll(end, copy);
          }
        }
        default -> tokens.subList(at, Math.min(tokens.size(), at + 1 + random.nextInt(4))).clear();
      }
    } while (oneIn(3));
    return String.join("", tokens).getBytes(StandardCharsets.UTF_8);
  }
}
