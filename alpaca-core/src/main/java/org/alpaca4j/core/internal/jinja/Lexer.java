package org.alpaca4j.core.internal.jinja;

import java.math.BigInteger;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.alpaca4j.core.internal.jinja.JinjaException.Kind;
import org.alpaca4j.core.internal.jinja.Token.Type;

/**
 * Cuts a template into tokens, following {@code jinja2/lexer.py} with trim_blocks and lstrip_blocks
 * on: the newline after a block or comment tag is dropped, and so is the white space before one at
 * the start of a line; {@code -} strips all white space on its side, {@code +} keeps it.
 */
final class Lexer {
  private static final Pattern NEWLINE = Pattern.compile("\r\n|\r");
  private static final Pattern FLOAT =
      Pattern.compile(
          "(?<!\\.)(?:\\d+_)*\\d+"
              + "(?:(?:\\.(?:\\d+_)*\\d+)?[eE][+\\-]?(?:\\d+_)*\\d+|\\.(?:\\d+_)*\\d+)");
  private static final Pattern INTEGER =
      Pattern.compile(
          "0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|0[xX](?:_?[0-9a-fA-F])+|[1-9](?:_?\\d)*|0(?:_?0)*");
  private static final String[] LONG_OPERATORS = {"//", "**", "==", "!=", ">=", "<="};
  private static final String SHORT_OPERATORS = "+-/*%~[](){}><=.:|,;";

  private final String source;
  private final List<Token> tokens = new ArrayList<>();
  private int position;
  private int line = 1;
  private boolean lineStarting = true;

  private Lexer(String source) {
    this.source = source;
  }

  static List<Token> tokenize(String template) {
    String source = NEWLINE.matcher(template).replaceAll("\n");
    if (source.endsWith("\n")) {
      source = source.substring(0, source.length() - 1);
    }
    Lexer lexer = new Lexer(source);
    lexer.run();
    return lexer.tokens;
  }

  private void run() {
    while (position < source.length()) {
      int tag = nextTag();
      if (tag < 0) {
        emitData(source.substring(position));
        position = source.length();
        break;
      }
      char kind = source.charAt(tag + 1);
      int after = tag + 2;
      char sign = after < source.length() ? source.charAt(after) : 0;
      boolean signed = sign == '-' || sign == '+';
      data(source.substring(position, tag), signed ? sign : 0, kind != '{');
      if (kind == '%') {
        int raw = rawBegin(after + (signed ? 1 : 0));
        if (raw >= 0) {
          countLines(tag, raw);
          position = raw;
          lineStarting = source.charAt(raw - 1) == '\n';
          rawBlock();
          continue;
        }
      }
      position = after + (signed ? 1 : 0);
      lineStarting = false;
      if (kind == '#') {
        comment();
      } else {
        tag(kind == '%');
      }
    }
    tokens.add(new Token(Type.EOF, "", line));
  }

  private int nextTag() {
    for (int i = source.indexOf('{', position); i >= 0; i = source.indexOf('{', i + 1)) {
      if (i + 1 < source.length() && "{%#".indexOf(source.charAt(i + 1)) >= 0) {
        return i;
      }
    }
    return -1;
  }

  /** Emits the text before a tag, stripped as the tag asks for. */
  private void data(String text, char sign, boolean lstrip) {
    String kept = text;
    if (sign == '-') {
      kept = Strings.rstrip(text);
    } else if (sign != '+' && lstrip) {
      int lineStart = text.lastIndexOf('\n') + 1;
      if ((lineStart > 0 || lineStarting)
          && lineStart < text.length()
          && Strings.isSpace(text.substring(lineStart))) {
        kept = text.substring(0, lineStart);
      }
    }
    emitData(kept);
    for (int i = kept.length(); i < text.length(); i++) {
      line += text.charAt(i) == '\n' ? 1 : 0;
    }
  }

  private void emitData(String text) {
    if (!text.isEmpty()) {
      tokens.add(new Token(Type.DATA, text, line));
      line += (int) text.chars().filter(c -> c == '\n').count();
    }
  }

  private void countLines(int from, int to) {
    for (int i = from; i < to; i++) {
      line += source.charAt(i) == '\n' ? 1 : 0;
    }
  }

  /** Returns the end of a {@code raw %}} tag whose name starts at or after {@code from}, or -1. */
  private int rawBegin(int from) {
    int i = skipSpace(from);
    if (!source.startsWith("raw", i)) {
      return -1;
    }
    i = skipSpace(i + 3);
    if (source.startsWith("-%}", i)) {
      return skipSpace(i + 3);
    }
    return source.startsWith("%}", i) ? i + 2 : -1;
  }

  private void rawBlock() {
    for (int i = source.indexOf("{%", position); i >= 0; i = source.indexOf("{%", i + 1)) {
      int after = i + 2;
      char sign = after < source.length() ? source.charAt(after) : 0;
      boolean signed = sign == '-' || sign == '+';
      int name = skipSpace(after + (signed ? 1 : 0));
      if (source.startsWith("endraw", name)) {
        int end = blockEnd(skipSpace(name + 6), "%}");
        if (end >= 0) {
          data(source.substring(position, i), signed ? sign : 0, true);
          countLines(i, end);
          lineStarting = source.charAt(end - 1) == '\n';
          position = end;
          return;
        }
      }
    }
    throw syntax("Missing end of raw directive");
  }

  private void comment() {
    for (int i = position; i < source.length(); i++) {
      int end = blockEnd(i, "#}");
      if (end >= 0) {
        countLines(position, end);
        lineStarting = source.charAt(end - 1) == '\n';
        position = end;
        return;
      }
    }
    throw syntax("Missing end of comment tag");
  }

  /**
   * Returns where text goes on after a block or comment end at {@code i}, or -1 if none is there.
   */
  private int blockEnd(int i, String end) {
    if (source.startsWith("+" + end, i)) {
      return i + 3;
    }
    if (source.startsWith("-" + end, i)) {
      return skipSpace(i + 3);
    }
    if (source.startsWith(end, i)) {
      return source.startsWith("\n", i + 2) ? i + 3 : i + 2;
    }
    return -1;
  }

  private int skipSpace(int from) {
    int i = from;
    while (i < source.length() && Strings.isSpace(source.charAt(i))) {
      i++;
    }
    return i;
  }

  private void tag(boolean block) {
    tokens.add(
        new Token(block ? Type.BLOCK_BEGIN : Type.VARIABLE_BEGIN, block ? "{%" : "{{", line));
    Deque<Character> open = new ArrayDeque<>();
    Matcher floats = FLOAT.matcher(source).useTransparentBounds(true);
    Matcher integers = INTEGER.matcher(source);
    while (position < source.length()) {
      if (open.isEmpty()) {
        int end = block ? blockEnd(position, "%}") : variableEnd(position);
        if (end >= 0) {
          tokens.add(new Token(block ? Type.BLOCK_END : Type.VARIABLE_END, "", line));
          countLines(position, end);
          lineStarting = source.charAt(end - 1) == '\n';
          position = end;
          return;
        }
      }
      int c = source.codePointAt(position);
      int start = position;
      if (Strings.isSpace(c)) {
        position = skipSpace(position);
        countLines(start, position);
      } else if (c >= '0' && c <= '9') {
        number(floats, integers);
      } else if (c == '_' || Character.isLetter(c) || Character.isUnicodeIdentifierStart(c)) {
        while (position < source.length()
            && Character.isUnicodeIdentifierPart(source.codePointAt(position))
            && !Character.isIdentifierIgnorable(source.codePointAt(position))) {
          position += Character.charCount(source.codePointAt(position));
        }
        tokens.add(new Token(Type.NAME, source.substring(start, position).intern(), line));
      } else if (c == '"' || c == '\'') {
        string((char) c);
      } else {
        operator(open);
      }
    }
  }

  private int variableEnd(int i) {
    if (source.startsWith("-}}", i)) {
      return skipSpace(i + 3);
    }
    return source.startsWith("}}", i) ? i + 2 : -1;
  }

  private void number(Matcher floats, Matcher integers) {
    if (floats.region(position, source.length()).lookingAt()) {
      double value = Double.parseDouble(floats.group().replace("_", ""));
      tokens.add(new Token(Type.FLOAT, value, line));
      position = floats.end();
      return;
    }
    if (!integers.region(position, source.length()).lookingAt()) {
      throw syntax("invalid number");
    }
    String digits = integers.group().replace("_", "");
    int radix = 10;
    if (digits.length() > 1 && digits.charAt(0) == '0') {
      radix =
          switch (Character.toLowerCase(digits.charAt(1))) {
            case 'b' -> 2;
            case 'o' -> 8;
            case 'x' -> 16;
            default -> 10;
          };
      digits = radix == 10 ? digits : digits.substring(2);
    }
    if (digits.length() > Values.MAX_INT_DIGITS) {
      throw syntax("integer literal with more than " + Values.MAX_INT_DIGITS + " digits");
    }
    Object value = Values.normalize(new BigInteger(digits, radix));
    tokens.add(new Token(Type.INTEGER, value, line));
    position = integers.end();
  }

  private void operator(Deque<Character> open) {
    for (String operator : LONG_OPERATORS) {
      if (source.startsWith(operator, position)) {
        tokens.add(new Token(Type.OPERATOR, operator, line));
        position += 2;
        return;
      }
    }
    char c = source.charAt(position);
    if (SHORT_OPERATORS.indexOf(c) < 0) {
      throw syntax("unexpected char '" + Character.toString(source.codePointAt(position)) + "'");
    }
    switch (c) {
      case '{' -> open.push('}');
      case '(' -> open.push(')');
      case '[' -> open.push(']');
      case '}', ')', ']' -> {
        if (open.isEmpty()) {
          throw syntax("unexpected '" + c + "'");
        }
        char expected = open.pop();
        if (expected != c) {
          throw syntax("unexpected '" + c + "', expected '" + expected + "'");
        }
      }
      default -> {}
    }
    tokens.add(new Token(Type.OPERATOR, String.valueOf(c).intern(), line));
    position++;
  }

  private void string(char quote) {
    int start = line;
    int from = position + 1;
    StringBuilder text = new StringBuilder();
    for (int i = from; i < source.length(); ) {
      char c = source.charAt(i);
      if (c == quote) {
        tokens.add(new Token(Type.STRING, text.toString(), start));
        position = i + 1;
        return;
      }
      if (c == '\n') {
        line++;
      }
      if (c == '\\' && i + 1 < source.length()) {
        i = escape(i + 1, text);
      } else {
        text.append(c);
        i++;
      }
    }
    line = start;
    throw syntax("unexpected char '" + quote + "' (string not closed)");
  }

  /**
   * Appends what the escape at {@code i} (after the backslash) means; returns where text goes on.
   */
  private int escape(int i, StringBuilder text) {
    char c = source.charAt(i);
    switch (c) {
      case '\n' -> line++;
      case '\\', '\'', '"' -> text.append(c);
      case 'a' -> text.append('\u0007');
      case 'b' -> text.append('\b');
      case 'f' -> text.append('\f');
      case 'n' -> text.append('\n');
      case 'r' -> text.append('\r');
      case 't' -> text.append('\t');
      case 'v' -> text.append('\u000b');
      case 'x' -> {
        return hex(i + 1, 2, text);
      }
      case 'u' -> {
        return hex(i + 1, 4, text);
      }
      case 'U' -> {
        return hex(i + 1, 8, text);
      }
      case 'N' -> {
        int end = source.indexOf('}', i);
        if (!source.startsWith("{", i + 1) || end < 0) {
          throw syntax("malformed \\N character escape");
        }
        try {
          text.appendCodePoint(Character.codePointOf(source.substring(i + 2, end)));
        } catch (IllegalArgumentException e) {
          throw syntax("unknown Unicode character name");
        }
        return end + 1;
      }
      default -> {
        if (c >= '0' && c <= '7') {
          int value = 0;
          int end = i;
          while (end < source.length()
              && end < i + 3
              && Character.digit(source.charAt(end), 8) >= 0) {
            value = value * 8 + Character.digit(source.charAt(end++), 8);
          }
          text.appendCodePoint(value);
          return end;
        }
        text.append('\\').append(c);
      }
    }
    return i + 1;
  }

  private int hex(int from, int digits, StringBuilder text) {
    long value = 0;
    for (int i = from; i < from + digits; i++) {
      char c = i < source.length() ? source.charAt(i) : 0;
      int digit = c < 128 ? Character.digit(c, 16) : -1;
      if (digit < 0) {
        throw syntax("truncated hexadecimal escape in a string");
      }
      value = value * 16 + digit;
    }
    if (value > Character.MAX_CODE_POINT) {
      throw syntax("illegal Unicode character in a string");
    }
    text.appendCodePoint((int) value);
    return from + digits;
  }

  private JinjaException syntax(String message) {
    return new JinjaException(Kind.SYNTAX, message, line);
  }
}
