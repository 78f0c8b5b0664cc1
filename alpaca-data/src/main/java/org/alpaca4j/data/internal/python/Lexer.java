package org.alpaca4j.data.internal.python;

import java.text.Normalizer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Locale;
import java.util.Set;

/**
 * Cuts Python source into tokens, indentation included, as <a
 * href="https://docs.python.org/3.11/reference/lexical_analysis.html">the reference</a> says.
 */
final class Lexer {
  private static final int MAX_BRACKETS = 200;
  private static final int MAX_INDENTATIONS = 100;
  private static final int TAB = 8;

  private static final Set<String> KEYWORDS =
      Set.of(
          "False",
          "None",
          "True",
          "and",
          "as",
          "assert",
          "async",
          "await",
          "break",
          "class",
          "continue",
          "def",
          "del",
          "elif",
          "else",
          "except",
          "finally",
          "for",
          "from",
          "global",
          "if",
          "import",
          "in",
          "is",
          "lambda",
          "nonlocal",
          "not",
          "or",
          "pass",
          "raise",
          "return",
          "try",
          "while",
          "with",
          "yield");

  private static final Set<String> STRING_PREFIXES =
      Set.of("r", "u", "b", "f", "br", "rb", "fr", "rf");

  /** A number may be followed by these without a blank, as in {@code 1if x else 2}. */
  private static final List<String> AFTER_NUMBERS =
      List.of("and", "else", "for", "if", "in", "is", "not", "or");

  /** Longer ones first. */
  private static final List<String> OPERATORS =
      List.of(
          "**=", "//=", ">>=", "<<=", "...", "**", "//", ">>", "<<", "<=", ">=", "==", "!=", "->",
          "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "@=", ":=", "+", "-", "*", "/", "%", "@",
          "&", "|", "^", "~", "<", ">", "(", ")", "[", "]", "{", "}", ",", ":", ";", ".", "=");

  /** A line's indentation with tabs of eight columns and of one: both must agree on the order. */
  private record Indentation(int columns, int characters) {}

  private final String source;
  private final List<Token> tokens = new ArrayList<>();
  private final Deque<Character> brackets = new ArrayDeque<>();
  private final Deque<Indentation> indentations = new ArrayDeque<>();
  private int at;
  private int line = 1;

  private Lexer(String source) {
    this.source = source;
  }

  /** Returns the tokens; the last one is an END. */
  static List<Token> tokens(String text) throws PythonSyntaxException {
    if (text.indexOf('\0') >= 0) {
      throw new PythonSyntaxException(1, "holds a null character");
    }
    String source = text.replace("\r\n", "\n").replace('\r', '\n');
    Lexer lexer = new Lexer(source.endsWith("\n") ? source : source + "\n");
    lexer.run();
    return lexer.tokens;
  }

  private void run() throws PythonSyntaxException {
    indentations.push(new Indentation(0, 0));
    while (at < source.length()) {
      if (startLine()) {
        line();
      }
    }
    if (!brackets.isEmpty()) {
      throw error("'" + brackets.peek() + "' is missing");
    }
    while (indentations.size() > 1) {
      indentations.pop();
      add(Token.Type.DEDENT, "");
    }
    add(Token.Type.END, "");
  }

  /** Reads a line's indentation; returns false, behind the line, if there is nothing in it. */
  private boolean startLine() throws PythonSyntaxException {
    int columns = 0;
    int characters = 0;
    for (; ; at++) {
      char c = source.charAt(at);
      if (c == ' ') {
        columns++;
        characters++;
      } else if (c == '\t') {
        columns = (columns / TAB + 1) * TAB;
        characters++;
      } else if (c == '\f') {
        columns = 0;
        characters = 0;
      } else {
        break;
      }
    }
    if (source.charAt(at) == '#') {
      at = source.indexOf('\n', at);
    }
    if (source.charAt(at) == '\n') {
      at++;
      line++;
      return false;
    }
    indent(new Indentation(columns, characters));
    return true;
  }

  private void indent(Indentation found) throws PythonSyntaxException {
    Indentation current = indentations.element();
    if (found.columns() > current.columns()) {
      if (found.characters() <= current.characters()) {
        throw error("tabs and spaces are mixed");
      }
      if (indentations.size() == MAX_INDENTATIONS) {
        throw error("more than " + MAX_INDENTATIONS + " levels of indentation");
      }
      indentations.push(found);
      add(Token.Type.INDENT, "");
      return;
    }
    while (found.columns() < indentations.element().columns()) {
      indentations.pop();
      add(Token.Type.DEDENT, "");
    }
    if (found.columns() != indentations.element().columns()) {
      throw error("the indentation is that of no outer level");
    }
    if (found.characters() != indentations.element().characters()) {
      throw error("tabs and spaces are mixed");
    }
  }

  /** Reads to the end of a logical line: brackets hold several together. */
  private void line() throws PythonSyntaxException {
    while (at < source.length()) {
      char c = source.charAt(at);
      if (c == '\n') {
        at++;
        if (brackets.isEmpty()) {
          add(Token.Type.NEWLINE, "");
          line++;
          return;
        }
        line++;
      } else if (c == ' ' || c == '\t' || c == '\f') {
        at++;
      } else if (c == '#') {
        at = source.indexOf('\n', at);
      } else if (c == '\\') {
        if (source.charAt(at + 1) != '\n' || at + 2 == source.length()) {
          throw error("nothing may follow a backslash but the next line");
        }
        at += 2;
        line++;
      } else {
        token(c);
      }
    }
  }

  private void token(char c) throws PythonSyntaxException {
    if (c == '"' || c == '\'') {
      string(at);
    } else if (isDigit(c) || c == '.' && isDigit(source.charAt(at + 1))) {
      number();
    } else if (isIdentifierStart(source.codePointAt(at))) {
      name();
    } else {
      operator();
    }
  }

  private void name() throws PythonSyntaxException {
    int start = at;
    while (isIdentifierPart(source.codePointAt(at))) {
      at += Character.charCount(source.codePointAt(at));
    }
    String text = source.substring(start, at);
    char next = source.charAt(at);
    if ((next == '"' || next == '\'') && STRING_PREFIXES.contains(text.toLowerCase(Locale.ROOT))) {
      string(start);
      return;
    }
    String normal = Normalizer.normalize(text, Normalizer.Form.NFKC);
    // Python looks for keywords before it normalises.
    add(KEYWORDS.contains(text) ? Token.Type.KEYWORD : Token.Type.NAME, normal);
  }

  /** Reads a string from its first quote; the token starts with the prefix. */
  private void string(int start) throws PythonSyntaxException {
    char quote = source.charAt(at);
    int firstLine = line;
    String end = String.valueOf(quote);
    if (source.startsWith(end.repeat(3), at)) {
      end = end.repeat(3);
    }
    at += end.length();
    while (!source.startsWith(end, at)) {
      boolean escaped = at < source.length() && source.charAt(at) == '\\';
      if (escaped) {
        at++;
      }
      if (at >= source.length() || source.charAt(at) == '\n' && !escaped && end.length() == 1) {
        throw new PythonSyntaxException(firstLine, "a string is never closed");
      }
      if (source.charAt(at) == '\n') {
        line++;
      }
      at++;
    }
    at += end.length();
    tokens.add(new Token(Token.Type.STRING, source.substring(start, at), firstLine));
  }

  private void number() throws PythonSyntaxException {
    int start = at;
    boolean zero = source.charAt(at) == '0';
    char base = zero ? Character.toLowerCase(source.charAt(at + 1)) : '0';
    if (base == 'x' || base == 'o' || base == 'b') {
      at += 2;
      int radix = base == 'x' ? 16 : base == 'o' ? 8 : 2;
      if (source.charAt(at) == '_') {
        at++;
      }
      digits(radix);
    } else {
      if (source.charAt(at) != '.') {
        digits(10);
      }
      boolean integer = fraction();
      if (integer
          && zero
          && source.substring(start, at).chars().anyMatch(c -> c >= '1' && c <= '9')) {
        throw error("a decimal number starts with zero");
      }
    }
    checkEndOfNumber();
    add(Token.Type.NUMBER, source.substring(start, at));
  }

  /** Reads what makes a number more than an integer; returns whether it was one. */
  private boolean fraction() throws PythonSyntaxException {
    boolean integer = true;
    if (source.charAt(at) == '.') {
      at++;
      integer = false;
      if (isDigit(source.charAt(at))) {
        digits(10);
      }
    }
    char c = source.charAt(at);
    if (c == 'e' || c == 'E') {
      char sign = source.charAt(at + 1);
      int digit = sign == '+' || sign == '-' ? at + 2 : at + 1;
      if (isDigit(source.charAt(Math.min(digit, source.length() - 1)))) {
        at = digit;
        digits(10);
        integer = false;
      }
    }
    c = source.charAt(at);
    if (c == 'j' || c == 'J') {
      at++;
      integer = false;
    }
    return integer;
  }

  private void digits(int radix) throws PythonSyntaxException {
    while (true) {
      int start = at;
      while (source.charAt(at) < 128 && Character.digit(source.charAt(at), radix) >= 0) {
        at++;
      }
      if (at == start) {
        throw error("a digit is missing in a number");
      }
      if (source.charAt(at) != '_') {
        return;
      }
      at++;
    }
  }

  private void checkEndOfNumber() throws PythonSyntaxException {
    if (isIdentifierPart(source.codePointAt(at))
        && AFTER_NUMBERS.stream().noneMatch(word -> source.startsWith(word, at))) {
      throw error("a number is followed by a letter or digit");
    }
  }

  private void operator() throws PythonSyntaxException {
    for (String operator : OPERATORS) {
      if (source.startsWith(operator, at)) {
        switch (operator) {
          case "(" -> open(')');
          case "[" -> open(']');
          case "{" -> open('}');
          case ")", "]", "}" -> close(operator.charAt(0));
          default -> {}
        }
        at += operator.length();
        add(Token.Type.OPERATOR, operator);
        return;
      }
    }
    throw error("unexpected character '" + Character.toString(source.codePointAt(at)) + "'");
  }

  private void open(char closing) throws PythonSyntaxException {
    if (brackets.size() == MAX_BRACKETS) {
      throw error("more than " + MAX_BRACKETS + " nested brackets");
    }
    brackets.push(closing);
  }

  private void close(char closing) throws PythonSyntaxException {
    if (brackets.isEmpty() || brackets.pop() != closing) {
      throw error("'" + closing + "' closes nothing");
    }
  }

  private void add(Token.Type type, String text) {
    tokens.add(new Token(type, text, line));
  }

  private PythonSyntaxException error(String problem) {
    return new PythonSyntaxException(line, problem);
  }

  private static boolean isDigit(char c) {
    return c >= '0' && c <= '9';
  }

  private static boolean isIdentifierStart(int c) {
    return c == '_' || Character.isUnicodeIdentifierStart(c);
  }

  private static boolean isIdentifierPart(int c) {
    return c == '_' || Character.isUnicodeIdentifierPart(c) && !Character.isIdentifierIgnorable(c);
  }
}
