package org.alpaca4j.core.internal.jinja;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** Python's string semantics: lengths and indices in code points, Unicode white space. */
final class Strings {

  private Strings() {}

  /** Whether each char is a code point of its own. */
  static boolean isPlain(String text) {
    for (int i = 0; i < text.length(); i++) {
      if (Character.isSurrogate(text.charAt(i))) {
        return false;
      }
    }
    return true;
  }

  static int length(String text) {
    return text.codePointCount(0, text.length());
  }

  /** Python's str.isspace for one character. */
  static boolean isSpace(int c) {
    if (c < 128) {
      return c == ' ' || c >= 9 && c <= 13 || c >= 28 && c <= 31;
    }
    return c == 0x85
        || c == 0xa0
        || c == 0x1680
        || c >= 0x2000 && c <= 0x200a
        || c == 0x2028
        || c == 0x2029
        || c == 0x202f
        || c == 0x205f
        || c == 0x3000;
  }

  static boolean isSpace(String text) {
    return !text.isEmpty() && text.chars().allMatch(Strings::isSpace);
  }

  static String lstrip(String text) {
    int start = 0;
    while (start < text.length() && isSpace(text.charAt(start))) {
      start++;
    }
    return text.substring(start);
  }

  static String rstrip(String text) {
    int end = text.length();
    while (end > 0 && isSpace(text.charAt(end - 1))) {
      end--;
    }
    return text.substring(0, end);
  }

  /** Strips characters in {@code set} (null: white space) on the left, right or both sides. */
  static String strip(String text, @Nullable String set, boolean left, boolean right) {
    if (set == null) {
      String result = left ? lstrip(text) : text;
      return right ? rstrip(result) : result;
    }
    int start = 0;
    int end = text.length();
    while (left && start < end && set.indexOf(text.codePointAt(start)) >= 0) {
      start += Character.charCount(text.codePointAt(start));
    }
    while (right && end > start && set.indexOf(text.codePointBefore(end)) >= 0) {
      end -= Character.charCount(text.codePointBefore(end));
    }
    return text.substring(start, end);
  }

  /** Compares by code point, as Python does (String.compareTo goes by UTF-16 unit). */
  static int compare(String a, String b) {
    int length = Math.min(a.length(), b.length());
    for (int i = 0; i < length; i++) {
      if (a.charAt(i) != b.charAt(i)) {
        char left = a.charAt(i);
        char right = b.charAt(i);
        if (Character.isSurrogate(left) != Character.isSurrogate(right)) {
          return Character.isSurrogate(left) ? 1 : -1;
        }
        return left < right ? -1 : 1;
      }
    }
    return Integer.compare(a.length(), b.length());
  }

  static boolean isPrintable(int c) {
    if (c == ' ') {
      return true;
    }
    return switch (Character.getType(c)) {
      case Character.CONTROL,
          Character.FORMAT,
          Character.SURROGATE,
          Character.PRIVATE_USE,
          Character.UNASSIGNED,
          Character.LINE_SEPARATOR,
          Character.PARAGRAPH_SEPARATOR,
          Character.SPACE_SEPARATOR ->
          false;
      default -> true;
    };
  }

  static void repr(String text, StringBuilder out) {
    char quote = text.indexOf('\'') >= 0 && text.indexOf('"') < 0 ? '"' : '\'';
    out.append(quote);
    text.codePoints()
        .forEach(
            c -> {
              if (c == quote || c == '\\') {
                out.append('\\').append((char) c);
              } else if (c == '\n') {
                out.append("\\n");
              } else if (c == '\r') {
                out.append("\\r");
              } else if (c == '\t') {
                out.append("\\t");
              } else if (isPrintable(c)) {
                out.appendCodePoint(c);
              } else if (c < 0x100) {
                out.append(String.format(Locale.ROOT, "\\x%02x", c));
              } else if (c < 0x10000) {
                out.append(String.format(Locale.ROOT, "\\u%04x", c));
              } else {
                out.append(String.format(Locale.ROOT, "\\U%08x", c));
              }
            });
    out.append(quote);
  }

  static String upper(String text) {
    return text.toUpperCase(Locale.ROOT);
  }

  static String lower(String text) {
    return text.toLowerCase(Locale.ROOT);
  }

  private static String titleCase(int c) {
    int title = Character.toTitleCase(c);
    if (title == c && !Character.isUpperCase(c) && !Character.isTitleCase(c)) {
      String upper = upper(Character.toString(c));
      if (upper.length() > Character.charCount(c)) {
        int first = upper.codePointAt(0);
        return Character.toString(first) + lower(upper.substring(Character.charCount(first)));
      }
    }
    return Character.toString(title);
  }

  static String capitalize(String text) {
    if (text.isEmpty()) {
      return text;
    }
    int first = Character.charCount(text.codePointAt(0));
    // lower-cased as a whole, so that a final sigma sees the letters before it
    String rest = lower(text).substring(lower(text.substring(0, first)).length());
    return titleCase(text.codePointAt(0)) + rest;
  }

  static boolean isCased(int c) {
    return Character.isUpperCase(c) || Character.isLowerCase(c) || Character.isTitleCase(c);
  }

  /** Python's str.isupper or str.islower. */
  static boolean isCased(String text, boolean upper) {
    boolean any = false;
    for (int c : text.codePoints().toArray()) {
      if (upper ? Character.isLowerCase(c) : Character.isUpperCase(c)) {
        return false;
      }
      if (Character.isTitleCase(c)) {
        return false;
      }
      any |= upper ? Character.isUpperCase(c) : Character.isLowerCase(c);
    }
    return any;
  }

  static String title(String text) {
    StringBuilder out = new StringBuilder();
    String lower = lower(text);
    boolean sameLength = lower.length() == text.length();
    boolean inWord = false;
    for (int i = 0; i < text.length(); ) {
      int c = text.codePointAt(i);
      int size = Character.charCount(c);
      if (!inWord) {
        out.append(titleCase(c));
      } else {
        out.append(sameLength ? lower.substring(i, i + size) : lower(Character.toString(c)));
      }
      inWord = isCased(c);
      i += size;
    }
    return out.toString();
  }

  static String swapCase(String text) {
    StringBuilder out = new StringBuilder();
    text.codePoints()
        .mapToObj(Character::toString)
        .forEach(
            c -> {
              int point = c.codePointAt(0);
              out.append(
                  Character.isUpperCase(point)
                      ? lower(c)
                      : Character.isLowerCase(point) ? upper(c) : c);
            });
    return out.toString();
  }

  /** Python's str.replace; {@code count} below 0 means all. */
  static String replace(String text, String old, String replacement, int count) {
    StringBuilder out = new StringBuilder();
    int done = 0;
    int from = 0;
    if (old.isEmpty()) {
      int[] points = text.codePoints().toArray();
      for (int i = 0; i <= points.length; i++) {
        if (count < 0 || done < count) {
          out.append(replacement);
          done++;
        }
        if (i < points.length) {
          out.appendCodePoint(points[i]);
        }
        Rendering.checkLength(out.length());
      }
      return out.toString();
    }
    for (int i = text.indexOf(old); i >= 0 && (count < 0 || done < count); done++) {
      out.append(text, from, i).append(replacement);
      Rendering.checkLength(out.length());
      from = i + old.length();
      i = text.indexOf(old, from);
    }
    return done == 0 ? text : out.append(text, from, text.length()).toString();
  }

  static List<Object> split(String text, @Nullable String separator, int limit, boolean fromRight) {
    if (separator != null && separator.isEmpty()) {
      throw JinjaException.value("empty separator");
    }
    List<Object> parts = new ArrayList<>();
    if (fromRight) {
      splitRight(text, separator, limit, parts);
      Collections.reverse(parts);
    } else {
      splitLeft(text, separator, limit, parts);
    }
    return parts;
  }

  private static void splitLeft(
      String text, @Nullable String separator, int limit, List<Object> parts) {
    if (separator != null) {
      int from = 0;
      for (int i = text.indexOf(separator);
          i >= 0 && (limit < 0 || parts.size() < limit);
          i = text.indexOf(separator, from)) {
        parts.add(text.substring(from, i));
        from = i + separator.length();
      }
      parts.add(text.substring(from));
      return;
    }
    int i = 0;
    while (true) {
      while (i < text.length() && isSpace(text.charAt(i))) {
        i++;
      }
      if (i == text.length()) {
        return;
      }
      if (limit >= 0 && parts.size() >= limit) {
        parts.add(text.substring(i));
        return;
      }
      int start = i;
      while (i < text.length() && !isSpace(text.charAt(i))) {
        i++;
      }
      parts.add(text.substring(start, i));
    }
  }

  private static void splitRight(
      String text, @Nullable String separator, int limit, List<Object> parts) {
    int end = text.length();
    if (separator != null) {
      for (int i = text.lastIndexOf(separator);
          i >= 0 && (limit < 0 || parts.size() < limit);
          i =
              end < separator.length()
                  ? -1
                  : text.lastIndexOf(separator, end - separator.length())) {
        parts.add(text.substring(i + separator.length(), end));
        end = i;
      }
      parts.add(text.substring(0, end));
      return;
    }
    while (true) {
      while (end > 0 && isSpace(text.charAt(end - 1))) {
        end--;
      }
      if (end == 0) {
        return;
      }
      if (limit >= 0 && parts.size() >= limit) {
        parts.add(text.substring(0, end));
        return;
      }
      int stop = end;
      while (end > 0 && !isSpace(text.charAt(end - 1))) {
        end--;
      }
      parts.add(text.substring(end, stop));
    }
  }

  static List<Object> splitLines(String text, boolean keepEnds) {
    List<Object> lines = new ArrayList<>();
    int start = 0;
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      boolean end =
          c >= 0x0a && c <= 0x0d
              || c >= 0x1c && c <= 0x1e
              || c == 0x85
              || c == 0x2028
              || c == 0x2029;
      if (end) {
        int stop = i;
        if (c == '\r' && i + 1 < text.length() && text.charAt(i + 1) == '\n') {
          i++;
        }
        lines.add(text.substring(start, keepEnds ? i + 1 : stop));
        start = i + 1;
      }
    }
    if (start < text.length()) {
      lines.add(text.substring(start));
    }
    return lines;
  }

  static String repeat(String text, long count) {
    if (count <= 0 || text.isEmpty()) {
      return "";
    }
    Rendering.checkLength(count > Rendering.MAX_TEXT ? Long.MAX_VALUE : count * text.length());
    return text.repeat((int) count);
  }

  /** Pads to {@code width} code points; {@code align} is one of {@code < > ^}, as str.center. */
  static String pad(String text, int width, String fill, char align) {
    int missing = width - length(text);
    if (missing <= 0) {
      return text;
    }
    int left =
        switch (align) {
          case '<' -> 0;
          case '>' -> missing;
          default -> missing / 2 + (missing & width & 1);
        };
    return repeat(fill, left) + text + repeat(fill, missing - left);
  }

  static String expandTabs(String text, int size) {
    StringBuilder out = new StringBuilder();
    int column = 0;
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c == '\t') {
        int spaces = size > 0 ? size - column % size : 0;
        Rendering.checkLength((long) out.length() + spaces);
        out.append(" ".repeat(spaces));
        column += spaces;
      } else {
        out.append(c);
        column = c == '\n' || c == '\r' ? 0 : column + (Character.isLowSurrogate(c) ? 0 : 1);
      }
    }
    return out.toString();
  }
}
